"""What a package holds, and its two forms: a zip file, and plain data to be signed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollback_app.errors import UsageError, shown
from rollback_app.history import Key

SCHEMA = 1
LIMIT = 50_000_000  # bytes: of the file, and of all that it holds
_MANIFEST = "manifest.json"
_MODULE = re.compile(r"[\w-]+(/[\w-]+)*\.py")
_KEY = re.compile(r"\w+\.[\w-]+")
_MAKE_ONE = "Make one with the newer release: python manage.py rollbackpackage --output FILE"
# Of zipfile and zlib, over bytes that nobody wrote as a zip file.
_NO_ZIP = (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True)
class Package:
    """Migrations, with all files that they need.

    release: whose they are; empty if nobody said. django, version: of Django and of this app, where it was made. migrations:
    each with the name of its file. files: by name, as `shop/migrations/0002_price.py`: the place of the module. code: all
    migrations of that release. where: what to call the package. spoilt: why nothing of it may be used, a sentence's end;
    empty if it may.
    """

    release: str
    django: str
    version: str
    migrations: Mapping[Key, str]
    files: Mapping[str, bytes]
    code: frozenset[Key]
    where: str = ""
    spoilt: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        """What it is, and the digest of each file."""
        return {
            "schema": SCHEMA,
            "release": self.release,
            "django": self.django,
            "rollback_app": self.version,
            "migrations": {str(key): self.migrations[key] for key in sorted(self.migrations)},
            "sha256": {name: _digest(self.files[name]) for name in sorted(self.files)},
            "code": sorted(map(str, self.code)),
        }


def module_of(file: str) -> str:
    """The name of the module of a file."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# As a zip file


def to_zip(package: Package) -> bytes:
    """The same package gives the same bytes: nothing is compressed, since that differs from machine to machine."""
    manifest = json.dumps(package.manifest, indent=2).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in [(_MANIFEST, manifest), *sorted(package.files.items())]:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content)
    return written.getvalue()


def of_zip(data: bytes, where: str) -> Package:
    """where: the name of the file. Errors: UsageError, if it is no package, or not the one that was made."""
    if len(data) > LIMIT:
        raise _too_large(where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _contents(archive, where)
    except _NO_ZIP as error:
        raise UsageError(
            f"The file '{shown(where)}' is no zip file, or a damaged one: {shown(str(error))}", hint=_MAKE_ONE
        ) from error
    if _MANIFEST not in files:
        raise UsageError(f"The file '{shown(where)}' is no rollback package: it has no {_MANIFEST}.", hint=_MAKE_ONE)
    manifest = files.pop(_MANIFEST)
    return _checked(manifest, files, where)


def _contents(archive: zipfile.ZipFile, where: str) -> dict[str, bytes]:
    """Errors: UsageError, before anything is unpacked; those of zipfile."""
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > LIMIT:
        raise _too_large(where)
    wrong = [
        entry.filename for entry in entries if entry.filename != _MANIFEST and not _MODULE.fullmatch(entry.filename)
    ]
    if wrong:
        raise UsageError(
            f"The file '{shown(where)}' is no rollback package: '{shown(wrong[0])}' is not the name of a module's file.",
            hint=_MAKE_ONE,
        )
    found = {entry.filename: archive.read(entry) for entry in entries}
    if len(found) < len(entries):
        raise ValueError("a name occurs twice")
    return found


def _too_large(where: str) -> UsageError:
    return UsageError(
        f"The file '{shown(where)}' is too large for a rollback package: more than {LIMIT // 1_000_000} MB.",
        hint="Make one of what the older release lacks alone: python manage.py rollbackpackage manifest:FILE --output FILE",
    )


# As plain data


def to_data(package: Package) -> dict[str, Any]:
    """Errors: UnicodeDecodeError, of a file that is not UTF-8."""
    return {"manifest": package.manifest, "files": {name: text.decode() for name, text in package.files.items()}}


def of_data(data: Any, where: str) -> Package:
    """Errors: UsageError, if it is not what `to_data` gives."""
    try:
        manifest, files = (
            json.dumps(data["manifest"]).encode(),
            {name: str(text).encode() for name, text in data["files"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _not_understood(where, error) from error
    return _checked(manifest, files, where)


# Both


def _checked(manifest: bytes, files: Mapping[str, bytes], where: str) -> Package:
    try:
        package = _read(json.loads(manifest), files, where)
    # RecursionError: brackets in brackets in brackets.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_understood(where, error) from error
    return package


def _read(manifest: Any, files: Mapping[str, bytes], where: str) -> Package:
    if manifest["schema"] != SCHEMA:
        raise ValueError(f"schema {manifest['schema']}, which another version of rollback_app made")
    digests = dict(manifest["sha256"])
    different = sorted(digests.keys() ^ files.keys()) or [
        name for name in files if _digest(files[name]) != digests[name]
    ]
    if different:
        raise ValueError(f"the SHA-256 of '{different[0]}' is not the one that is noted")
    migrations = {_key(name): str(file) for name, file in manifest["migrations"].items()}
    if not set(migrations.values()) <= files.keys():
        raise ValueError("a file is missing")
    code = frozenset(map(_key, manifest["code"]))
    release, django, version = (str(manifest[name]) for name in ("release", "django", "rollback_app"))
    return Package(release, django, version, migrations, files, code, where)


def _key(name: str) -> Key:
    if not _KEY.fullmatch(name):
        raise ValueError(f"'{name}' is not the name of a migration")
    return Key(*name.split("."))


def _not_understood(where: str, error: Exception) -> UsageError:
    return UsageError(
        f"The rollback package {shown(where)} was changed, or is damaged: {shown(str(error))}", hint=_MAKE_ONE
    )
