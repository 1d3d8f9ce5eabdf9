"""What a rollback drops is kept before its first step, and put back when a `migrate` makes it again."""

from .after_migrate import AfterMigrate
from .keep import Keeper
from .objects import make_again
from .put_back import put_back
from .recorded import BringsBack
from .store import drop, look

__all__ = ["AfterMigrate", "BringsBack", "Keeper", "drop", "look", "make_again", "put_back"]
