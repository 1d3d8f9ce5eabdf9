"""The steps of a plan: each with what undoing it does, or, if there are many, by app."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollback_app.planner import Kind, Plan, Step
from rollback_app.safety import Finding, Preview

from .base import Line, local, number_of
from .findings import SHOWN, badge
from .kept import in_words, something, words_of_backs

SHOWN_STEPS = 20
# What these say is part of what undoing a step does: they stand with it, in place of the words that they repeat.
_WITH_STEP = {"rollback.W001", "rollback.I002", "rollback.I003", "rollback.I006", "rollback.I008", "rollback.I011"}


@dataclass(frozen=True)
class _Part:
    """Something that undoing a step does. alike: equal for parts of which a long list is folded."""

    text: str
    alike: tuple[str, str]
    style: str = ""
    hint: str = ""


def steps(preview: Preview, *, in_full: bool) -> tuple[list[Line], list[Finding]]:
    """(the lines, the findings that do not stand in them)."""
    plan = preview.plan
    squashes = [
        Line(f"Forgets the squash {row.key} (a record only; the migrations it replaces stay applied).", indent=2)
        for row in plan.squashes
    ]
    if not plan.steps:
        return [Line(), *squashes], list(preview.findings)
    if len(plan.steps) > SHOWN_STEPS and not in_full:
        title = Line(f"{len(plan.steps)} steps by app; -v 2 shows each", "MIGRATE_LABEL")
        return [Line(), title, *_by_app(plan), *squashes], list(preview.findings)
    mine = with_steps(preview)
    title = Line(f"{number_of(len(plan.steps), 'step')}, newest first", "MIGRATE_LABEL")
    told: set[str] = set()
    shown = [
        line for number, step in enumerate(plan.steps, 1) for line in _step(number, step, preview, mine, told, in_full)
    ]
    return [Line(), title, *shown, *squashes], [each for each in preview.findings if each not in mine]


def with_steps(preview: Preview) -> list[Finding]:
    """The findings that stand with the step that they are about."""
    names = {str(step.key) for step in preview.plan.steps}
    return [finding for finding in preview.findings if finding.id in _WITH_STEP and finding.about in names]


def told(step: Step, preview: Preview) -> list[str]:
    """What undoing it does, and what is kept and lost of it, in words."""
    return [part.text for part in _parts_of(step, preview, with_steps(preview))]


def _parts_of(step: Step, preview: Preview, findings: Sequence[Finding]) -> list[_Part]:
    name = str(step.key)
    kept = {each.words: in_words(each) for each in something(preview.kept) if each.about == name}
    mine = [finding for finding in findings if finding.about == name]
    return list(_parts(step, mine, kept, words_of_backs(preview.backs, step)))


def _step(
    number: int, step: Step, preview: Preview, findings: Sequence[Finding], told: set[str], in_full: bool
) -> Iterator[Line]:
    """told: the hints that need not be given again."""
    style = "WARNING" if step.fake else ""
    yield Line(f"  {number}. {step.key}, applied {local(step.applied, preview.moment.zone)}", style, 5)
    if step.because:
        yield Line(f"       is undone too because it depends on {step.because[0]}", indent=9)
    parts = _parts_of(step, preview, findings)
    many = Counter(part.alike for part in parts)
    shown: Counter[tuple[str, str]] = Counter()
    for part in parts:
        shown[part.alike] += 1
        if in_full or many[part.alike] <= SHOWN + 1 or shown[part.alike] <= SHOWN:
            yield Line(f"       {part.text}", part.style, 9)
            if part.hint and part.hint not in told:
                yield Line(f"         {part.hint}", indent=9)
                told.add(part.hint)
        elif shown[part.alike] == SHOWN + 1:
            where = f" on {part.alike[1]}" if part.alike[1] else ""
            yield Line(f"       and {many[part.alike] - SHOWN} more like these{where}, see -v 2", indent=9)


def _parts(
    step: Step, findings: Sequence[Finding], kept: Mapping[str, str], full: Mapping[str, str]
) -> Iterator[_Part]:
    """kept: what stands behind the words of an effect. full: what stands for them."""
    told: list[Finding] = []
    effects = [] if step.fake else list({effect.words: effect for effect in step.effects}.values())
    without = [effect.words for effect in effects if effect.kind is Kind.NO_EFFECT]
    for effect in effects:
        better = [finding for finding in findings if _repeats(finding, effect.words)]
        alike = (effect.kind.value, effect.table or effect.touches)
        yield from (_found(finding, alike) for finding in better if finding not in told)
        told += better
        if effect.kind is Kind.IRREVERSIBLE:
            yield _Part("cannot be undone, see below", alike, "ERROR")
        elif effect.kind is not Kind.NO_EFFECT and not better:
            yield _Part(full.get(effect.words, effect.words) + kept.get(effect.words, ""), alike)
    yield from (_found(finding, (finding.id, "")) for finding in findings if finding not in told)
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        yield _Part(without[0] + more, ("", ""))
    if not step.effects and not step.fake:
        yield _Part("nothing in the database: it has no operations", ("", ""))


def _repeats(finding: Finding, words: str) -> bool:
    """Does the finding say what these words say, and more?"""
    return finding.facts.get("effect") == words or bool(re.search(rf"{re.escape(words)}(?!\w|\.\w)", finding.text))


def _found(finding: Finding, alike: tuple[str, str]) -> _Part:
    word, style = badge(finding)
    text = finding.text.removeprefix(f"{finding.about} ").removesuffix(".")
    return _Part(f"{word} {text} [{finding.id}]", alike, style, finding.hint)


def _by_app(plan: Plan) -> Iterator[Line]:
    titles = ("app", "steps", "tables dropped", "columns dropped", "code")
    rows = []
    for app in sorted(plan.stays.targets):
        mine = [step for step in plan.steps if step.key.app == app]
        kinds = Counter(effect.kind for step in mine if not step.fake for effect in step.effects)
        code = kinds[Kind.CODE] + kinds[Kind.RUNS_SQL]
        rows.append((app, len(mine), kinds[Kind.DROPS_TABLE], kinds[Kind.DROPS_COLUMN], code))
    width = max(len(row[0]) for row in rows)
    yield Line(f"  {titles[0]:<{width}}  {'  '.join(titles[1:])}")
    for app, *numbers in rows:
        cells = (f"{number or '-':>{len(title)}}" for number, title in zip(numbers, titles[1:], strict=True))
        yield Line(f"  {app:<{width}}  {'  '.join(cells)}", whole=True)
