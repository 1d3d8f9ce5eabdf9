"""What each kind of database promises, made from what the code says that it can do (the class attributes of `Database`).

`python -m tests.support.promises` writes the table of the README and the cells of docs/safety.md anew; tests/test_safety_page.py
checks both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rollback_app.database import KINDS, Database

ROOT = Path(__file__).parents[2]
README, PAGE = ROOT / "README.md", ROOT / "docs/safety.md"
COLUMNS = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "mysql": "MariaDB, MySQL"}
MARKS = ("<!-- promises -->\n", "<!-- end of promises -->\n")

Kind = type[Database]


@dataclass(frozen=True)
class Promise:
    """words: what is promised. kept: how a kind of database keeps it, in words. main: does the README name it too?"""

    words: str
    kept: Callable[[Kind], str]
    main: bool = False


def everywhere(kind: Kind) -> str:
    return "yes"


def either(attribute: str, yes: str, no: str) -> Callable[[Kind], str]:
    """One answer for kinds of which this attribute is true, and one for all others."""
    return lambda kind: yes if getattr(kind, attribute) else no


def _rehearsal(kind: Kind) -> str:
    if not kind.can_undo_ddl:
        return "no"
    return "yes, with the locks" if kind.uses_up_numbers else "yes"


def _found_first(kind: Kind) -> str:
    if not kind.enforces_types:
        return "yes, where a rule applies"
    return "yes" if kind.tells_all_rights else "yes; rights as far as `SHOW GRANTS` tells"


def _migrate_waits(kind: Kind) -> str:
    if not kind.locks_out_migrate:
        return "it is refused if it has this app; else the next step notices it, and the run stops"
    if kind.lets_readers_go_on:
        return "yes, when it writes; what it has read by then is from before the run"
    return "yes, and then sees what is left"


PROMISES = [
    Promise(
        "All or nothing: a failure, a kill, a lost connection leave everything as it was",
        either("can_undo_ddl", "yes", "no: what is finished stays undone, and the plan says so before the run"),
        main=True,
    ),
    Promise(
        "A run that broke off inside a migration goes on behind the last finished operation",
        either("can_undo_ddl", "yes, with `--step-by-step`; else nothing is left over", "yes"),
    ),
    Promise(
        "The tables at the end are compared with the migrations, and a difference undoes the run",
        either("can_undo_ddl", "yes", "compared; nothing can be undone"),
    ),
    Promise("Rehearsal: everything is done and taken back", _rehearsal, main=True),
    Promise("What blocks is found before the first change", everywhere, main=True),
    Promise(
        "What would fail on the rows that are there, or for want of a right, is found first",
        _found_first,
    ),
    Promise(
        "What is dropped is kept, and the next `migrate` that makes it again puts it back",
        either(
            "can_undo_ddl",
            "yes",
            "yes; the copies are made before the first step, and looked at again before each drop",
        ),
        main=True,
    ),
    Promise("What is not kept is counted on the live rows, and needs consent", everywhere),
    Promise(
        "A second rollback at the same time is refused",
        either("names_lock_holders", "yes, with who holds the lock", "yes"),
    ),
    Promise("Django's own `migrate` waits meanwhile", _migrate_waits, main=True),
    Promise("A history that changed since the plan was shown is refused", everywhere),
    Promise("The lock is gone when the process is gone", everywhere),
    Promise("It waits for locks of others no longer than `--lock-timeout`", everywhere),
    Promise(
        "Queries of the application do not queue behind it for longer than `--lock-timeout`",
        either("lets_readers_go_on", "not at all: readers go on until the commit", "yes"),
    ),
    Promise(
        "`--retries` tries again when a lock was in the way",
        either("can_undo_ddl", "yes, as a whole", "yes, as long as it has not begun"),
    ),
    Promise("`--statement-timeout` bounds each statement", either("limits_statements", "yes", "no")),
    Promise(
        "Works behind pgbouncer that pools transactions, and leaves nothing in its sessions",
        either("can_be_pooled", "yes", "there is none"),
    ),
    Promise("Each run is noted in the database, also one that fails or is killed", everywhere),
    Promise("Foreign keys are enforced again afterwards, and no row is left that points nowhere", everywhere),
    Promise("Nothing is ever applied, and nothing from before the moment is touched", everywhere),
    Promise("Reverse code of a migration (`RunPython`, `RunSQL`)", lambda kind: "runs as it is written"),
]


def cells(promise: Promise) -> list[str]:
    return [promise.words, *(promise.kept(KINDS[vendor]) for vendor in COLUMNS)]


def row(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |\n"


def readme() -> str:
    """The table of the README."""
    head = f"| | {' | '.join(COLUMNS.values())} |\n|{'---|' * (len(COLUMNS) + 1)}\n"
    return head + "".join(row(cells(promise)) for promise in PROMISES if promise.main)


def page(proofs: dict[str, str]) -> str:
    """The table of docs/safety.md. proofs: the words of a promise -> links to the tests that prove it, written by hand."""
    head = f"| promise | {' | '.join(COLUMNS.values())} | proven by |\n|{'---|' * (len(COLUMNS) + 2)}\n"
    return head + "".join(row([*cells(promise), proofs.get(promise.words, "")]) for promise in PROMISES)


def written(text: str, table: str) -> str:
    """A page with this table between the marks."""
    begin, end = map(re.escape, MARKS)
    found, number = re.subn(f"({begin}).*?({end})", lambda block: f"{block[1]}{table}{block[2]}", text, flags=re.DOTALL)
    assert number == 1
    return found


def proofs(text: str) -> dict[str, str]:
    """What the table of docs/safety.md names as proofs now."""
    between = text.split(MARKS[0], 1)[1].split(MARKS[1], 1)[0]
    rows = [line.strip("|\n").split(" | ") for line in between.splitlines()[2:]]
    return {cells[0].strip(): cells[-1].strip() for cells in rows}


if __name__ == "__main__":
    README.write_text(written(README.read_text(), readme()))
    PAGE.write_text(written(PAGE.read_text(), page(proofs(PAGE.read_text()))))
