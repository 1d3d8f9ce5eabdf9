"""Backups that are taken before a run, each way in a file: how to tell whether it can be taken, taking it, and verifying it.

A way has the shape of `Way`. What is wrong with a backup is a BackupFailed; nothing of the database was changed by then.
"""

from .way import BackupFailed, Taken, Way, take
from .ways import NAMES, problem, way

__all__ = ["NAMES", "BackupFailed", "Taken", "Way", "problem", "take", "way"]
