"""What hangs on the tables that a plan changes, and no migration knows: what goes along, and what makes a step fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rollback_app.planner import Change, Plan, known, table_changes

from .counts import digits
from .findings import Finding, Inspector, Judged, Level
from .kept import Hanging
from .objects import Fate, Object

_LOSSES = {
    Fate.GOES: ("rollback.W020", "goes along"),
    Fate.BREAKS: ("rollback.W021", "stays, but is broken"),
}
_CHANGES = {
    Change.DROPS_TABLE: "drops table {}",
    Change.DROPS_COLUMN: "drops column {}",
    Change.CHANGES_TYPE: "changes the type of column {}",
    Change.REMAKES: "makes table {} anew",
    Change.RENAMES: "renames table {} or a column of it",
}
_NOT_KEPT = "No migration knows it, so that nothing makes it again. Keep its definition if it is still wanted."
_BROKEN = "It works again once a migrate has made again what it uses. Its definition is kept."
_KEPT = "The next migrate that makes again what it hangs on makes it again, too."
_HINTS = {"column": "Save its values elsewhere and drop it, then run the same command again."}


def found(plan: Plan, inspector: Inspector) -> Iterator[Hanging]:
    """Each object once, at the first change that reaches it; a blocker before anything else."""
    obstacles = plan.obstacles
    # Then there are no states of this plan, or tables are called otherwise: a run stopped in the middle of its first step.
    part = None if obstacles.unclear or obstacles.dependants or obstacles.excluded else plan.with_tables_of_today
    changes = table_changes(part) if part else []
    if not changes:
        return
    first: dict[tuple[str, str], Hanging] = {}
    for change, each in inspector.objects(changes, known(plan, inspector.names())):
        if _dropped_before(change.sql, each):
            continue
        hanging = first.setdefault((each.kind, each.name), Hanging(change, each))
        if each.fate is Fate.STOPS and hanging.object.fate is not Fate.STOPS:
            first[each.kind, each.name] = Hanging(change, each)
    yield from first.values()


def objects(judged: Judged) -> Iterator[Finding]:
    """What hangs on what the plan changes: what stops it, what goes along, what is broken."""
    for hanging in judged.hanging:
        yield _finding(hanging, judged.one_transaction)


def not_recorded(judged: Judged) -> Iterator[Finding]:
    """Views, functions and triggers of the target are wanted, and nobody knows them."""
    if judged.recorded and judged.recorded.at is None:
        text = (
            "Views, functions and triggers stay as they are: no migrate has recorded them for the migrations that stay."
        )
        hint = "The older release's next migrate makes those that it makes itself."
        yield Finding("rollback.I022", Level.REMARK, "", text, hint)


def _finding(hanging: Hanging, one_transaction: bool) -> Finding:
    change, each = hanging.change, hanging.object
    facts = {
        "kind": each.kind,
        "name": each.name,
        "on": change.about,
        "definition": each.definition,
        "rows": each.rows,
    }
    about, does = str(change.step.key), _CHANGES[change.change].format(change.about)
    because = f": {each.what}" if each.what else ""
    if each.fate is Fate.STOPS:
        text = f"{about} {does}, which {each} prevents{because}."
        hint = _HINTS.get(
            each.kind, "Drop it, run the same command again, and make it again afterwards if you want it."
        )
        if change.unsure and one_transaction and each.kind != "column":  # that would not fail, but lose its values
            text = f"{text[:-1]}; unless code that runs before drops it, the run fails."
            return Finding("rollback.I020", Level.REMARK, about, text, hint, facts)
        return Finding("rollback.E020", Level.BLOCKER, about, text, hint, facts)
    id, fate = _LOSSES[each.fate]
    rows = "" if each.rows is None else f", with its {digits(each.rows)} row{'' if each.rows == 1 else 's'}"
    text = f"{about} {does}: {each} {fate}{rows}{because}"
    if not hanging.keep:
        not_kept = f"; not kept: {hanging.why_not}" if hanging.why_not else ""
        return Finding(id, Level.LOSS, about, f"{text}{not_kept}.", hanging.way_out or _NOT_KEPT, facts)
    if each.fate is Fate.BREAKS:
        return Finding(id, Level.LOSS, about, f"{text}.", _BROKEN, facts)
    return Finding("rollback.I021", Level.REMARK, about, f"{text}; kept.", _KEPT, facts)


def _dropped_before(sql: str, each: Object) -> bool:
    """Does SQL of the plan drop it before it is in the way? If not, the run notices that it is gone."""
    name = re.split(r" on | in |\(", each.name)[0].rpartition(".")[2].strip('"')
    return bool(re.search(rf"\bDROP\b[^;]*\b{re.escape(name)}\b", sql, re.IGNORECASE))
