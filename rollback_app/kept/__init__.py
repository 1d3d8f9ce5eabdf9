"""What a rollback drops is kept before its first step, and put back when a `migrate` makes it again."""

from .keep import Keeper
from .put_back import put_back

__all__ = ["Keeper", "put_back"]
