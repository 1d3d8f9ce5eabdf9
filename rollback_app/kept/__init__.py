"""What a rollback drops is kept before its first step, and put back when a `migrate` makes it again."""

from .keep import Keeper

__all__ = ["Keeper"]
