"""Can each new migration be rolled back? By doing it, on a test database: with rows in its tables forward, back, and forward."""

from .ground import CannotApply, for_processes, on_test_database
from .parts import parts
from .seeds import Seeder
from .trial import CHECKS, Trials

__all__ = ["CHECKS", "CannotApply", "Seeder", "Trials", "for_processes", "on_test_database", "parts"]
