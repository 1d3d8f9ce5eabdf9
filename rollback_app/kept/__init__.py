"""What a rollback drops is kept before its first step, and put back when a `migrate` makes it again; and the other way round."""

from .after_migrate import AfterMigrate, left_behind
from .before_drops import BeforeDrops
from .copies import Copies
from .keep import Keeper
from .objects import make_again
from .put_back import put_back
from .recorded import BringsBack
from .scripts import KeptInScript
from .store import drop, look, waiting

__all__ = [
    "AfterMigrate",
    "BeforeDrops",
    "BringsBack",
    "Copies",
    "Keeper",
    "KeptInScript",
    "drop",
    "left_behind",
    "look",
    "make_again",
    "put_back",
    "waiting",
]
