"""A plan and facts about the database -> findings: what blocks, what needs consent, what one should know.

Each check is one function; adding one is that function, its line in CHECKS and its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from . import today
from .demands import Demand, Need
from .effects import Effect, Kind
from .errors import RollbackError
from .history import Deployment, Key, Position
from .moments import Moment
from .planner import Plan, Step
from .today import Right


class Level(str, Enum):
    """How a finding weighs: it refuses the run, asks for consent, or only informs."""

    BLOCKER = "blocker"
    LOSS = "loss"
    REMARK = "remark"


@dataclass(frozen=True)
class Finding:
    """id: stable, as in Django's system checks. about: the migration, or empty. hint: what to type or do next. facts: for
    programs."""

    id: str
    level: Level
    about: str
    text: str
    hint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Refused(RollbackError):
    """The plan may not run: blockers, or missing consent. Carries the findings that say why."""

    returncode = 3

    def __init__(self, message: str, *, hint: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Count:
    """A number of rows; `more`: there are more rows than were looked at, so that it may be larger. about: how many there are
    by the database's own statistics, if there are more."""

    number: int
    more: bool = False
    about: int | None = None

    @property
    def lossless(self) -> bool:
        return not self.number and not self.more

    def __str__(self) -> str:
        return f"more than {_digits(self.number)}" if self.more else _digits(self.number)

    @property
    def found(self) -> str:
        """The same for rows that were looked for among others: there may be no more of them."""
        return f"at least {_digits(self.number)}" if self.more else _digits(self.number)


def _digits(number: int) -> str:
    return f"{number:,}".replace(",", " ")


@dataclass(frozen=True)
class Offenders:
    """What is in the way of an operation. count: of the rows; if there are `more`, not all were looked at. query: lists them,
    empty for a name that is taken."""

    count: Count
    query: str = ""


@dataclass(frozen=True)
class Preview:
    """What a rollback would do to one database, and what speaks against it.

    alias, title: of the database. one_transaction: would it run as one, all or nothing? now: when it was read, aware, UTC.
    """

    alias: str
    title: str
    moment: Moment
    plan: Plan
    findings: tuple[Finding, ...]
    one_transaction: bool
    now: datetime

    def of_level(self, level: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level is level]


class Inspector(Protocol):
    """The facts about a database that checks ask for. Met by `database.Database` by shape."""

    @property
    def vendor_name(self) -> str: ...

    @property
    def can_undo_ddl(self) -> bool: ...

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        """Rows of a table, and for each column (name -> Django field or None) the rows with a value that is neither null
        nor the field's default. None, if there is no such table or column."""

    def offending(self, demand: Demand) -> Offenders | None:
        """What does not meet a demand. None, if there is no such table or column, or this database does not demand it."""

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """A sentence for each of these rights to tables that the database's user lacks, as far as that can be told."""


@dataclass(frozen=True)
class Judged:
    """What the checks see. one_transaction: does the whole run as one. count: may live rows be counted?"""

    plan: Plan
    inspector: Inspector
    one_transaction: bool
    count: bool


Check = Callable[[Judged], Iterator[Finding]]


def judge(plan: Plan, inspector: Inspector, *, one_transaction: bool, count: bool = True) -> tuple[Finding, ...]:
    """All findings about a plan, blockers first."""
    judged = Judged(plan, inspector, one_transaction, count)
    found = [finding for check in CHECKS for finding in check(judged)]
    return tuple(sorted(found, key=lambda finding: list(Level).index(finding.level)))


def _chain(path: Sequence[Key]) -> str:
    return " <- ".join(str(key) for key in path)


def irreversible(judged: Judged) -> Iterator[Finding]:
    for step, effect in _effects(judged.plan, Kind.IRREVERSIBLE):
        yield Finding(
            "rollback.E001",
            Level.BLOCKER,
            str(step.key),
            f"{step.key} {effect.words}.",
            f"Choose a later moment, or restore a backup. If what it did may stay as it is: --fake {step.key}",
            {"operation": effect.index},
        )


def ghosts(judged: Judged) -> Iterator[Finding]:
    for row in judged.plan.ghosts:
        yield Finding(
            "rollback.E002",
            Level.BLOCKER,
            str(row.key),
            f"{row.key} {judged.plan.cut.late}, but this code has no such migration.",
            f"Run this from the newer release, which has the file; or leave its row alone with --exclude {row.key}.",
        )


def dependants(judged: Judged) -> Iterator[Finding]:
    for pull in judged.plan.dependants:
        yield Finding(
            "rollback.E003",
            Level.BLOCKER,
            str(pull.key),
            f"{pull.key} {judged.plan.cut.early}, but depends on what goes: {_chain(pull.path)}.",
            "Add --cascade to unapply it too, or choose another moment.",
            {"path": [str(key) for key in pull.path]},
        )


def split_deployment(judged: Judged) -> Iterator[Finding]:
    group = judged.plan.split
    if group is None:
        return
    late = [row for row in group.rows if judged.plan.cut.is_late(row)]
    yield Finding(
        "rollback.E004",
        Level.BLOCKER,
        "",
        f"The moment cuts a deployment in two: {len(group.rows) - len(late)} of its migrations stay, {len(late)} go.",
        f'To undo all of it: "{clean_before(group.start)}"; to keep all of it: "{clean_after(group, judged.plan)}". '
        "To cut it all the same, add --split-deployment.",
        {"start": group.start.isoformat(), "end": group.end.isoformat()},
    )


def clean_before(start: datetime) -> str:
    """The moment at which a deployment begins, ready to paste."""
    return start.isoformat(sep=" ")


def clean_after(group: Deployment, plan: Plan) -> str:
    """The moment just after the deployment that is cut, ready to paste."""
    return (group.end + plan.cut.precision).isoformat(sep=" ")


def held(judged: Judged) -> Iterator[Finding]:
    for pull in judged.plan.held:
        yield Finding(
            "rollback.E005",
            Level.BLOCKER,
            str(pull.key),
            f"{pull.key} is excluded, but depends on what goes: {_chain(pull.path)}.",
            f"Exclude {pull.path[0]} too, or take the --exclude of {pull.key} away.",
            {"path": [str(key) for key in pull.path]},
        )


def broken_off(judged: Judged) -> Iterator[Finding]:
    """An earlier run that stopped inside a step, on a database that cannot take that back."""
    plan = judged.plan
    if plan.unfit:
        why, what = _unfit(plan.unfit, [step.key for step in plan.steps])
        yield Finding(
            "rollback.E008",
            Level.BLOCKER,
            str(plan.unfit.key),
            f"An earlier rollback broke off inside {plan.unfit.key}, and {why}.",
            f"{what}If {plan.unfit.key} is whole again, from a backup or mended by hand, add --start-over.",
        )
    if plan.resumes:
        done = f"{plan.resumes.operations} of its operations"
        if plan.resumes.statements_done:
            done += f" and {plan.resumes.statements_done} of the statements of the next one"
        key = plan.resumes.key
        text = f"An earlier rollback broke off inside {key}; this one goes on there: {done} are undone already."
        yield Finding("rollback.I010", Level.REMARK, str(key), text)


def _unfit(position: Position, steps: Sequence[Key]) -> tuple[str, str]:
    """(why a plan of these steps cannot go on there, what to do first)."""
    if position.restored:
        return "django_migrations was made anew since, as when a backup is restored", ""
    if position.key not in steps:
        return "this plan leaves it half undone", f"Run that one again first, so that it goes on: {position.command} "
    if position.key != steps[0]:
        return "what depends on it was applied again since", "Restore a backup. "
    return (
        "more of its operations are undone than it has in this code",
        "Run this from the release from which the earlier one was run. ",
    )


def torn_squashes(judged: Judged) -> Iterator[Finding]:
    for torn in judged.plan.torn:
        missing = ", ".join(str(key) for key in torn.missing)
        yield Finding(
            "rollback.E006",
            Level.BLOCKER,
            str(torn.squash),
            f"Only some of what {torn.squash} replaces goes, and the files of the originals are not in this code: {missing}.",
            "Run this from a release that still has these files, or choose a moment before or after all of them.",
            {"missing": [str(key) for key in torn.missing]},
        )


def unclear_history(judged: Judged) -> Iterator[Finding]:
    plan = judged.plan
    if plan.unclear and not plan.torn:
        pairs = ", ".join(f"{key} without {parent}" for key, parent in plan.inconsistent)
        yield Finding(
            "rollback.E007",
            Level.BLOCKER,
            "",
            "The models at this point of the history cannot be worked out"
            + (f", because migrations are recorded without what they depend on: {pairs}" if pairs else "")
            + f" ({plan.unclear}).",
            "Record what is missing with 'migrate --fake', if it is really in the database, and take --fake away.",
        )
        return
    for key, parent in plan.inconsistent:
        yield Finding(
            "rollback.I009",
            Level.REMARK,
            str(key),
            f"{key} is recorded as applied, but {parent}, on which it depends, is not.",
        )


def loss(judged: Judged) -> Iterator[Finding]:
    """Rows and values that would be gone, each table looked at once."""
    drops = today.drops(judged.plan)
    dropped_tables = {table for _, _, table, column in drops if not column}
    wanted: dict[str, dict[str, Any]] = {}
    for _, effect, table, column in drops:
        columns = wanted.setdefault(table, {})
        if column and table not in dropped_tables:
            columns[column] = effect.field
    counts = {
        table: judged.inspector.count(table, columns) if judged.count else None for table, columns in wanted.items()
    }
    for step, effect, table, column in drops:
        if column and table in dropped_tables:
            continue
        rows, values = counts[table] or (None, {})
        count = values.get(column) if column else rows
        if count and count.lossless:
            continue
        if count is None and judged.count and judged.plan.resumes and judged.plan.resumes.key == step.key:
            continue  # gone already
        facts = {"table": table, "column": column, "rows": count and count.number, "effect": effect.words}
        yield Finding(
            "rollback.W001", Level.LOSS, str(step.key), f"{effect.words}{_lost(count, column, judged)}.", "", facts
        )


def _lost(count: Count | None, column: str, judged: Judged) -> str:
    if not judged.count:
        return ": not counted, so taken for lost"
    if count is None:
        return ", which was not found; perhaps this migration was never really run"
    if not count.number:
        return ": too large to look through, so taken for lost"
    plural = count.number > 1 or count.more
    if column:
        return f": {count.found} row{'s have' if plural else ' has'} a value"
    about = f", about {_digits(count.about)} by the database's statistics" if count.about else ""
    return f": {count} row{'s' if plural else ''}{about}"


# What a row is that does not meet a demand: the finding's id, and the words for one row and for more.
_OFFENCES: dict[Need, tuple[str, str, str]] = {
    Need.FEW_ROWS: ("rollback.E010", "is in the table", "are in the table"),
    Need.NO_NULLS: ("rollback.E010", "holds NULL", "hold NULL"),
    Need.UNIQUE: ("rollback.E011", "shares its value with another", "share their values with others"),
    Need.FITS: ("rollback.E012", "holds a value that does not fit", "hold values that do not fit"),
    Need.POINTS: ("rollback.E013", "points to a row that is not there", "point to rows that are not there"),
    Need.CHECK: ("rollback.E014", "breaks its condition", "break its condition"),
    Need.FREE_TABLE: ("rollback.E015", "", ""),
    Need.FREE_COLUMN: ("rollback.E015", "", ""),
    Need.FREE_INDEX: ("rollback.E015", "", ""),
    Need.KEPT: (
        "rollback.W010",
        "holds a value that will be cut or rounded",
        "hold values that will be cut or rounded",
    ),
}


def would_fail(judged: Judged) -> Iterator[Finding]:
    """What live rows and names would make the run fail, or would have it damage values."""
    for step, demand, unsure in today.demands(judged.plan) if judged.count else ():
        offenders = judged.inspector.offending(demand)
        if offenders and not offenders.count.lossless:
            yield _offence(step, demand, offenders, unsure)


def _offence(step: Step, demand: Demand, offenders: Offenders, unsure: bool) -> Finding:
    empty_by_then = demand.need is Need.NO_NULLS and not demand.columns
    id, one, many = _OFFENCES[Need.FEW_ROWS if empty_by_then else demand.need]
    count = offenders.count
    if not one:
        text = f"{step.key} {demand.words}, but there is one of that name."
        hint = "Drop or rename what has it now, if it is none of Django's; else see whether this migration was ever really run."
    elif not count.number:
        text = f"{step.key} {demand.words}: the table is too large to look through all of it, so that this may fail."
        return Finding("rollback.I020", Level.REMARK, str(step.key), text, f"To look yourself: {offenders.query}")
    else:
        rows, what = ("row", one) if count.found == "1" else ("rows", many)
        text = f"{step.key} {demand.words}: {count.found} {rows} {what}."
        hint = f"Mend them, and run the same command again. They are listed by: {offenders.query}"
    facts = {"table": demand.today, "columns": list(demand.columns), "rows": count.number, "query": offenders.query}
    if demand.need is Need.KEPT:
        return Finding(id, Level.LOSS, str(step.key), text, hint, facts)
    if unsure:
        text = f"{text[:-1]}; unless code that runs before it mends that, it fails."
        return Finding("rollback.I020", Level.REMARK, str(step.key), text, hint, facts)
    return Finding(id, Level.BLOCKER, str(step.key), text, hint, facts)


def missing_rights(judged: Judged) -> Iterator[Finding]:
    needed = today.rights(judged.plan) if judged.count else ()
    for sentence in judged.inspector.missing_rights(needed) if needed else ():
        hint = "Run this as the user that runs your migrations, or give this one the right."
        yield Finding("rollback.E016", Level.BLOCKER, "", sentence, hint)


def nothing_left(judged: Judged) -> Iterator[Finding]:
    plan = judged.plan
    if plan.nothing_left and not plan.empty and not plan.cut.zero:
        before = "The moment lies before everything that was ever applied"
        reason = before if plan.cut.kept is None else "Nothing that is applied is among what is kept"
        text = f"{reason}: every migration of this database would be unapplied."
        yield Finding("rollback.W002", Level.LOSS, "", text)


def asked_for_zero(judged: Judged) -> Iterator[Finding]:
    apps = sorted(app for app, target in judged.plan.targets.items() if not target)
    if judged.plan.cut.zero and apps:
        text = f"It was asked to unapply every migration of {', '.join(apps)}."
        yield Finding("rollback.W003", Level.LOSS, "", text)


def apps_to_zero(judged: Judged) -> Iterator[Finding]:
    for app, target in judged.plan.targets.items():
        if not target:
            text = f"{app} goes back to zero: none of its migrations stays applied."
            yield Finding("rollback.I001", Level.REMARK, app, text)


def reverses_nothing(judged: Judged) -> Iterator[Finding]:
    for step, effect in _effects(judged.plan, Kind.NOOP):
        yield Finding("rollback.I002", Level.REMARK, str(step.key), f"{step.key} {effect.words}.")


def cannot_be_judged(judged: Judged) -> Iterator[Finding]:
    for kind in (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN):
        for step, effect in _effects(judged.plan, kind):
            text = f"{step.key} {effect.words}; what that does to the data cannot be judged from here."
            yield Finding("rollback.I003", Level.REMARK, str(step.key), text)


def not_all_or_nothing(judged: Judged) -> Iterator[Finding]:
    if judged.one_transaction or judged.plan.empty:
        return
    if judged.inspector.can_undo_ddl:
        reason = "With --step-by-step each migration is a transaction of its own"
        hint = "Leave --step-by-step away to have all or nothing."
    else:
        reason = f"{judged.inspector.vendor_name} cannot take back a change of a table"
        hint = "Take a backup first."
    text = f"{reason}: if a step fails, those before it stay undone."
    yield Finding("rollback.I004", Level.REMARK, "", text, hint)


def early_ghosts(judged: Judged) -> Iterator[Finding]:
    for row in judged.plan.early_ghosts:
        text = f"{row.key} {judged.plan.cut.early} and stays; this code has no such migration."
        yield Finding("rollback.I005", Level.REMARK, str(row.key), text)


def plain_twins(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps if judged.one_transaction else ():
        for effect in step.effects:
            if effect.twin_locks:
                text = f"{step.key} {effect.words} without CONCURRENTLY: writes to {effect.twin_locks} wait meanwhile."
                hint = "To run it concurrently, give up all-or-nothing with --step-by-step."
                yield Finding("rollback.I006", Level.REMARK, str(step.key), text, hint)


def near_the_moment(judged: Judged) -> Iterator[Finding]:
    for row in judged.plan.near:
        text = f"{row.key} is stored with {row.applied:%H:%M:%S}, to the second only, and counts as at the moment."
        yield Finding("rollback.I007", Level.REMARK, str(row.key), text)


def faked(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps:
        if step.fake:
            text = f"{step.key} is NOT undone, only its row is deleted (--fake): what it did to the database stays."
            yield Finding("rollback.I008", Level.REMARK, str(step.key), text)


def _effects(plan: Plan, kind: Kind) -> Iterator[tuple[Step, Effect]]:
    for step in plan.steps:
        for effect in step.effects:
            if effect.kind is kind:
                yield step, effect


CHECKS: tuple[Check, ...] = (
    irreversible,
    ghosts,
    dependants,
    split_deployment,
    held,
    broken_off,
    torn_squashes,
    unclear_history,
    would_fail,
    missing_rights,
    nothing_left,
    asked_for_zero,
    loss,
    apps_to_zero,
    reverses_nothing,
    cannot_be_judged,
    not_all_or_nothing,
    early_ghosts,
    plain_twins,
    near_the_moment,
    faked,
)
