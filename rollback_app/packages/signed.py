"""A package as signed text: whoever has the project's SECRET_KEY can make one, and nobody else."""

from __future__ import annotations

from django.core import signing

from rollback_app.errors import UsageError

from .package import Package, of_data, to_data

_SALT = "rollback_app.package"


def to_signed(package: Package) -> str:
    """Compressed, and signed with SECRET_KEY. Errors: UnicodeDecodeError, of a file that is not UTF-8."""
    return signing.dumps(to_data(package), salt=_SALT, compress=True)


def of_signed(text: str, where: str) -> Package:
    """Errors: UsageError, if neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS has signed it. Nothing is unpacked before."""
    try:
        data = signing.loads(text, salt=_SALT)
    except signing.BadSignature as error:
        raise UsageError(
            f"{where} is not signed with this project's SECRET_KEY",
            hint="If the key was changed, put the older one into SECRET_KEY_FALLBACKS.",
        ) from error
    return of_data(data, where)
