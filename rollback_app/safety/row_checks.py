"""Checks of rows and names in the database: what would be lost, and what would fail or be damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rollback_app.planner import EMPTY, Help, Need, Requirement, Step, all_requirements

from .coming_back import Back
from .counts import Count, Violations, digits
from .findings import Finding, Judged, Level
from .kept import Change, KeptKind, table_of


def loss(judged: Judged) -> Iterator[Finding]:
    """Rows and values that would be lost, since nothing keeps them."""
    for drop in judged.drops:
        step, effect, count = drop.step, drop.effect, drop.count
        if drop.keep or (count and count.lossless):
            continue
        if (
            count is None
            and judged.count
            and judged.plan.earlier.resumes
            and judged.plan.earlier.resumes.key == step.key
        ):
            continue  # gone already
        exact = bool(count and count.number and not count.more)
        facts = {
            "table": drop.table,
            "column": drop.column,
            "rows": count and count.number,
            "exact": exact,
            "effect": effect.words,
        }
        not_kept = f"; not kept: {drop.why_not}" if drop.why_not else ""
        text = f"{effect.words}{_lost(count, drop.column, judged)}{not_kept}."
        yield Finding("rollback.W001", Level.LOSS, str(step.key), text, drop.way_out, facts)


def _lost(count: Count | None, column: str, judged: Judged) -> str:
    if not judged.count:
        return ": not counted, so treated as lost"
    if count is None:
        return ", which does not exist; this migration may never have run"
    if not count.number:
        return ": too large to count, so treated as lost"
    plural = count.number > 1 or count.more
    if column:
        return f": {count.found} row{'s have' if plural else ' has'} a value"
    about = f", about {digits(count.about)} by the database's statistics" if count.about else ""
    return f": {count} row{'s' if plural else ''}{about}"


# What is wrong with a row that does not meet a requirement: the finding's id, and the words for one row and for more.
_OFFENCES: dict[Need, tuple[str, str, str]] = {
    Need.FEW_ROWS: ("rollback.E010", "is in the table", "are in the table"),
    Need.NO_NULLS: ("rollback.E010", "holds NULL", "hold NULL"),
    Need.UNIQUE: ("rollback.E011", "shares its value with another", "share their values with others"),
    Need.FITS: ("rollback.E012", "holds a value that does not fit", "hold values that do not fit"),
    Need.POINTS: ("rollback.E013", "points to a row that does not exist", "point to rows that do not exist"),
    Need.CHECK: ("rollback.E014", "violates its condition", "violate its condition"),
    Need.EXCLUDED: ("rollback.E011", "excludes another", "exclude each other"),
    Need.FREE_TABLE: ("rollback.E015", "", ""),
    Need.FREE_COLUMN: ("rollback.E015", "", ""),
    Need.FREE_INDEX: ("rollback.E015", "", ""),
    Need.KEPT: ("rollback.W010", "holds a value that will be changed", "hold values that will be changed"),
    Need.READABLE: (
        "rollback.W011",
        "holds a value that stays as it is, of another type",
        "hold values that stay as they are, of another type",
    ),
}


def would_fail(judged: Judged) -> Iterator[Finding]:
    """Rows and names that would make the run fail, and values that it would damage."""
    changes = {(change.step.key, change.requirement): change for change in judged.changes}
    plan = judged.plan
    for step, requirement, help in all_requirements(plan.steps, plan.earlier.resumes) if judged.count else ():
        change = changes.get((step.key, requirement))
        if change and change.is_kept:
            continue
        if help is Help.MAY_FILL and judged.one_transaction:
            continue  # a column is added, filled by code, and then NOT NULL: as usual, and where it fails, it is undone
        demanded = _with_kept(step, requirement, judged.backs)
        violations = judged.inspector.violations(demanded)
        if violations and not violations.count.lossless:
            found = _offence(step, demanded, violations, help, judged.one_transaction)
            yield _not_kept(found, change) if change and change.why_not else found


def _with_kept(step: Step, requirement: Requirement, backs: Sequence[Back]) -> Requirement:
    """The same, with the values that the run has by then put into a column that it adds."""
    name = requirement.filled or (requirement.column if requirement.need is Need.FEW_ROWS else "")
    for back in backs:
        entry, at_once = back.entry, back.step == step  # while the column is added; else once that step is done
        is_of_it = entry.kind is KeptKind.COLUMN and (entry.table, entry.column) == (requirement.table, name)
        if is_of_it and at_once != bool(requirement.filled):
            words = requirement.words.removesuffix(EMPTY)
            return replace(requirement, words=words, kept=(table_of(entry.number), entry.key))
    return requirement


def _not_kept(finding: Finding, change: Change) -> Finding:
    text = f"{finding.text.removesuffix('.')}; not kept: {change.why_not}."
    return replace(finding, text=text, hint=f"{change.way_out} {finding.hint}")


def _offence(
    step: Step, requirement: Requirement, violations: Violations, help: Help, one_transaction: bool
) -> Finding:
    id, one, many = _OFFENCES[Need.FEW_ROWS if requirement.filled else requirement.need]
    if requirement.kept:
        one, many = "has no kept value", "have no kept value"
    count = violations.count
    if not one:
        text = f"{step.key} {requirement.words}, but that name is taken."
        hint = (
            "Rename or drop the object that has this name, unless Django made it. If Django did, this migration may never "
            "have run."
        )
    elif violations.why:
        text = f"{step.key} {requirement.words}, which the database refuses: {violations.why}."
        hint = "Change the type of the column by SQL of your own, then run the same command again."
    elif not count.number:
        text = f"{step.key} {requirement.words}: the table is too large to check completely, so this may fail."
        return Finding("rollback.I020", Level.REMARK, str(step.key), text, f"To check it yourself: {violations.query}")
    else:
        rows, what = ("row", one) if count.found == "1" else ("rows", many)
        text = f"{step.key} {requirement.words}: {count.found} {rows} {what}."
        whom = "some of them" if violations.partial else "them"
        fix = "Move these rows, which have come since, elsewhere" if requirement.kept else "Fix these rows"
        hint = f"{fix}, then run the same command again. To list {whom}: {violations.query}"
    facts = {
        "table": requirement.today,
        "columns": list(requirement.columns),
        "rows": count.number,
        "query": violations.query,
    }
    if requirement.need in (Need.KEPT, Need.READABLE):
        return Finding(id, Level.LOSS, str(step.key), text, hint, facts)
    if help is Help.MAY_FILL:
        text = f"{text[:-1]}. Code that runs before this has to fill it."
        return Finding("rollback.I020", Level.REMARK, str(step.key), text, "", facts)
    if help is Help.MAY_FIX:
        text = f"{text[:-1]}. The run fails unless code that runs before this fixes it."
        if one_transaction:
            return Finding("rollback.I020", Level.REMARK, str(step.key), text, hint, facts)
        hint = f"{hint} If that code fixes it, add --no-count."
    return Finding(id, Level.BLOCKER, str(step.key), text, hint, facts)
