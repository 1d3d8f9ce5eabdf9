"""`python -m rollback_app legacyrollbacksql …`: what needs no project, and no Django."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from . import legacy
from .errors import RollbackError, without_value


def main() -> int:
    parser = ArgumentParser(prog="python -m rollback_app")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    legacy.add_arguments(commands.add_parser("legacyrollbacksql", help=legacy.HELP, description=legacy.HELP))
    if option := without_value(sys.argv[1:]):
        parser.error(f"argument {option}: '--' is not a value")
    try:
        print(legacy.answer(parser.parse_args(), None))
    except RollbackError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
