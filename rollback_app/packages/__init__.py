"""Packages: the migrations of a newer release, as an older one needs them to undo that release by itself.

A package is made from the code of the newer release, kept as a file or signed in the database, and loaded by the older
one. Nothing of it is imported before all of it was checked.
"""

from .loading import with_packages
from .making import make
from .package import LIMIT, Package, of_zip, to_zip
from .signed import of_signed, to_signed

__all__ = ["LIMIT", "Package", "make", "of_signed", "of_zip", "to_signed", "to_zip", "with_packages"]
