"""For releases that lack this app: the SQL, the list of commands, or the file that tells how to go back. Without Django."""

from .command_line import HELP, Project, add_arguments, answer
from .sql import DIALECTS, statement

__all__ = ["DIALECTS", "HELP", "Project", "add_arguments", "answer", "statement"]
