"""The two forms of a package, and what is refused before anything of it is imported."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.core import signing
from hypothesis import given
from hypothesis import strategies as st

from rollback_app.errors import UsageError
from rollback_app.history import Key
from rollback_app.packages import LIMIT, Package, of_signed, of_zip, to_signed, to_zip

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

PRICE = Key("shop", "0002_price")
FILES = {"shop/migrations/0002_price.py": b"from ._money import CENT\n", "shop/migrations/_money.py": b"CENT = 100\n"}
PACKAGE = Package(
    release="2.2",
    django="5.2.1",
    version="0.1.0",
    migrations={PRICE: "shop/migrations/0002_price.py"},
    files=FILES,
    code=frozenset([PRICE, Key("shop", "0001_initial")]),
)


def written(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def with_manifest(files: dict[str, bytes] = FILES, **changes: Any) -> bytes:
    return written({"manifest.json": json.dumps({**PACKAGE.manifest, **changes}).encode(), **files})


def test_there_and_back() -> None:
    assert replace(of_zip(to_zip(PACKAGE), "shop.zip"), where="") == PACKAGE
    assert replace(of_signed(to_signed(PACKAGE), "row 1"), where="") == PACKAGE


def test_the_same_package_is_the_same_bytes() -> None:
    files = dict(reversed(FILES.items()))
    assert to_zip(replace(PACKAGE, files=files)) == to_zip(PACKAGE)


def doubled() -> bytes:
    data = io.BytesIO(to_zip(PACKAGE))
    with zipfile.ZipFile(data, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("shop/migrations/_money.py", b"CENT = 1\n")
    return data.getvalue()


def encrypted() -> bytes:
    """The flag alone, in the directory and in front of the file."""
    data = bytearray(written({"a.py": b""}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"a text", "is no zip file, or a damaged one"),
    "nothing": (lambda: b"", "is no zip file, or a damaged one"),
    "cut off": (lambda: to_zip(PACKAGE)[:-30], "is no zip file, or a damaged one"),
    "damaged": (lambda: to_zip(PACKAGE).replace(b"CENT = 100", b"CENT = 999"), "is no zip file, or a damaged one"),
    "a name twice": (doubled, "a name occurs twice"),
    "encrypted": (encrypted, "is no zip file, or a damaged one"),
    "another zip": (lambda: written({"a.py": b""}), "is no rollback package: it has no manifest.json"),
    "climbs out": (lambda: written({"../../a.py": b""}), "'../../a.py' is not the name of a module's file"),
    "from the root": (lambda: written({"/etc/a.py": b""}), "'/etc/a.py' is not the name of a module's file"),
    "other file": (
        lambda: with_manifest({**FILES, "shop/a.so": b""}),
        "'shop/a.so' is not the name of a module's file",
    ),
    "bomb": (
        lambda: written({"a.py": bytes(LIMIT + 1)}, zipfile.ZIP_DEFLATED),
        "is too large for a rollback package: more than 50 MB",
    ),
    "large": (lambda: bytes(LIMIT + 1), "is too large for a rollback package: more than 50 MB"),
    "tampered": (
        lambda: with_manifest({**FILES, "shop/migrations/_money.py": b"CENT = 1\n"}),
        "the SHA-256 of 'shop/migrations/_money.py' is not the one that is noted",
    ),
    "more": (lambda: with_manifest({**FILES, "os.py": b""}), "the SHA-256 of 'os.py' is not the one that is noted"),
    "less": (lambda: with_manifest({}), "the SHA-256 of 'shop/migrations/0002_price.py' is not the one that is noted"),
    "no file": (lambda: with_manifest(migrations={"shop.0003": "shop/x.py"}), "a file is missing"),
    "no name": (lambda: with_manifest(migrations={"0003": "shop/x.py"}), "'0003' is not the name of a migration"),
    "newer": (lambda: with_manifest(schema=2), "schema 2, which another version of rollback_app made"),
    "no JSON": (lambda: written({"manifest.json": b"{"}), "was changed, or is damaged"),
    "a list": (lambda: written({"manifest.json": b"[]"}), "was changed, or is damaged"),
    "brackets": (lambda: written({"manifest.json": b"[" * 100_000}), "was changed, or is damaged"),
    "no code": (lambda: with_manifest(code=None), "was changed, or is damaged"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_refused(attack: str) -> None:
    made, words = ATTACKS[attack]
    with pytest.raises(UsageError) as caught:
        of_zip(made(), "shop.zip")
    assert words in caught.value.message
    assert "shop.zip" in caught.value.message
    assert "\n" not in caught.value.message
    assert "rollbackpackage" in caught.value.hint


@given(st.data())
def test_any_damage_is_refused_or_none(data: st.DataObject) -> None:
    damaged = bytearray(to_zip(PACKAGE))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        found = of_zip(bytes(damaged), "shop.zip")
    except UsageError:
        return
    assert found.files == FILES


def test_only_the_key_of_the_project_signs(settings: Settings) -> None:
    text = to_signed(PACKAGE)
    settings.SECRET_KEY = "another"
    with pytest.raises(UsageError, match="row 1 is not signed with this project's SECRET_KEY"):
        of_signed(text, "row 1")
    settings.SECRET_KEY_FALLBACKS = ["not a secret"]
    assert of_signed(text, "row 1").files == FILES


def test_what_else_is_signed_is_no_package() -> None:
    with pytest.raises(UsageError, match="is not signed"):
        of_signed(signing.dumps({}, salt="something else"), "row 1")
    with pytest.raises(UsageError, match="was changed, or is damaged"):
        of_signed(signing.dumps([], salt="rollback_app.package"), "row 1")
