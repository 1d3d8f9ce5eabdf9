"""What a rollback drops is kept before its first step, and put back when a `migrate` makes it again."""

from .keep import Keeper
from .put_back import put_back
from .store import drop, look

__all__ = ["Keeper", "drop", "look", "put_back"]
