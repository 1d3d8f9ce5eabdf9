"""Who of a fleet is where, by groups of members that are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from rollback_app.compatibility import Outcome, Verdict
from rollback_app.history import Key, Record
from rollback_app.safety import Checked, Standing

from .base import Line, Report, local, number_of, stamp
from .compatibility import data, verdict_lines

NAMED = 20
_Groups = Mapping[frozenset[Key], list[Standing]]


def of_standings(standings: Sequence[Standing], zone: tzinfo) -> Report:
    """What `showdeployments --fleet` says: the largest group first, the others by what sets them apart from it."""
    groups: dict[frozenset[Key], list[Standing]] = {}
    for each in standings:
        if not each.problem:
            groups.setdefault(frozenset(record.key for record in each.records), []).append(each)
    ordered = dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[1][0].member.name)))
    problems = [each for each in standings if each.problem]
    lines = tuple(_standing_lines(ordered, problems, len(standings), zone))
    largest = next(iter(ordered), frozenset[Key]())
    found = [_group_data(keys, group, largest) for keys, group in ordered.items()]
    return Report(lines, {"groups": found, "without_records": _problem_data(problems)})


def of_schema_checks(checks: Sequence[Checked]) -> Report:
    """What `checkschema --fleet` says: the members for which the answer is the same, together, the worst first."""
    groups: dict[str, tuple[Verdict, list[Checked]]] = {}
    for each in checks:
        if each.verdict:
            groups.setdefault(repr(data(each.verdict)), (each.verdict, []))[1].append(each)
    worst = (Outcome.FAILS, Outcome.WITH_CARE, Outcome.RUNS)
    ordered = sorted(groups.values(), key=lambda group: worst.index(group[0].outcome))
    problems = [each for each in checks if each.problem]
    found = [{**_named(members), "verdict": data(verdict)} for verdict, members in ordered]
    lines = tuple(_check_lines(ordered, problems, len(checks)))
    return Report(lines, {"groups": found, "not_checked": _problem_data(problems)})


def _standing_lines(groups: _Groups, problems: Sequence[Standing], members: int, zone: tzinfo) -> Iterator[Line]:
    yield Line(f"Fleet of {number_of(members, 'member')}, {number_of(len(groups), 'group')}", "MIGRATE_HEADING")
    largest = next(iter(groups), frozenset[Key]())
    for keys, group in groups.items():
        yield Line()
        yield Line(f"{number_of(len(group), 'member')}: {_names(group)}", "MIGRATE_LABEL", 2)
        newest = [_newest(each) for each in group]
        times = sorted(record.applied for record in newest if record)
        if times:
            upto = f" to {local(times[-1], zone)}" if times[0] != times[-1] else ""
            last = next(record for record in newest if record)
            yield Line(
                f"  {number_of(len(keys), 'migration')}, the newest {last.key} of {local(times[0], zone)}{upto}",
                indent=4,
            )
        for words, others in (("Lacks", largest - keys), ("Has besides", keys - largest)):
            if others:
                yield Line(f"  {words} {', '.join(map(str, sorted(others)))}", indent=4)
    yield from _problem_lines(problems)


def _check_lines(
    groups: Sequence[tuple[Verdict, Sequence[Checked]]], problems: Sequence[Checked], members: int
) -> Iterator[Line]:
    yield Line(f"Fleet of {number_of(members, 'member')}", "MIGRATE_HEADING")
    for verdict, group in groups:
        yield Line()
        yield Line(f"{number_of(len(group), 'member')}: {_names(group)}", "MIGRATE_LABEL", 2)
        yield from verdict_lines(verdict)
    yield from _problem_lines(problems)


def _problem_lines(problems: Sequence[Standing | Checked]) -> Iterator[Line]:
    if problems:
        yield Line()
    for each in problems[:NAMED]:
        yield Line(f"{each.member.name}: {each.problem}", "ERROR", 2)
    if len(problems) > NAMED:
        yield Line(f"and {len(problems) - NAMED} more, which --format json lists.")


def _group_data(keys: frozenset[Key], group: Sequence[Standing], largest: frozenset[Key]) -> dict[str, Any]:
    times = sorted(record.applied for each in group if (record := _newest(each)))
    return {
        **_named(group),
        "migrations": len(keys),
        "newest": [stamp(times[0]), stamp(times[-1])] if times else [],
        "lacks": sorted(map(str, largest - keys)),
        "has_besides": sorted(map(str, keys - largest)),
    }


def _problem_data(problems: Sequence[Standing | Checked]) -> list[dict[str, str]]:
    return [{"name": each.member.name, "error": each.problem} for each in problems]


def _named(group: Sequence[Standing | Checked]) -> dict[str, Any]:
    return {"members": len(group), "names": [each.member.name for each in group[:NAMED]]}


def _newest(each: Standing) -> Record | None:
    return max(each.records, key=lambda record: (record.applied, record.id), default=None)


def _names(group: Sequence[Standing | Checked]) -> str:
    names = [each.member.name for each in group]
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
