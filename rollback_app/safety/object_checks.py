"""What hangs on the tables that a plan changes, and no migration knows: what goes along, and what makes a step fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rollback_app.planner import Change, TableChange, known, table_changes

from .findings import Finding, Judged, Level, digits
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
_HINTS = {"column": "Save its values elsewhere and drop it, then run the same command again."}


def objects(judged: Judged) -> Iterator[Finding]:
    """Each object once, at the first change that reaches it; a blocker before anything else."""
    plan = judged.plan
    obstacles = plan.obstacles
    # Then there are no states of this plan, or tables are called otherwise: a run stopped in the middle of its first step.
    part = None if obstacles.unclear or obstacles.dependants or obstacles.excluded else plan.with_tables_of_today
    changes = table_changes(part) if part else []
    if not changes:
        return
    found: dict[tuple[str, str], tuple[TableChange, Object]] = {}
    for change, each in judged.inspector.objects(changes, known(plan, judged.inspector.names())):
        if _dropped_before(change.sql, each):
            continue
        first = found.setdefault((each.kind, each.name), (change, each))
        if each.fate is Fate.STOPS and first[1].fate is not Fate.STOPS:
            found[each.kind, each.name] = (change, each)
    for change, each in found.values():
        yield _finding(change, each, judged.one_transaction)


def _finding(change: TableChange, each: Object, one_transaction: bool) -> Finding:
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
    text = f"{about} {does}: {each} {fate}{rows}{because}."
    hint = "No migration knows it, so that nothing makes it again. Keep its definition if it is still wanted."
    return Finding(id, Level.LOSS, about, text, hint, facts)


def _dropped_before(sql: str, each: Object) -> bool:
    """Does SQL of the plan drop it before it is in the way? If not, the run notices that it is gone."""
    name = re.split(r" on | in |\(", each.name)[0].rpartition(".")[2].strip('"')
    return bool(re.search(rf"\bDROP\b[^;]*\b{re.escape(name)}\b", sql, re.IGNORECASE))
