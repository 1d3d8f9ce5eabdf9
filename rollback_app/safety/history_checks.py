"""Checks of the records, the code and the moment. They do not look at the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollback_app.history import Cut, Key, Position, just_after
from rollback_app.planner import Plan

from .findings import Finding, Judged, Level


def _chain(path: Sequence[Key]) -> str:
    return " <- ".join(str(key) for key in path)


_SHOWN = 3  # names of migrations in a sentence


def unloadable(judged: Judged) -> Iterator[Finding]:
    why = judged.plan.basis.code.unloadable
    for key in dict.fromkeys(record.key for record in judged.plan.obstacles.ghosts if record.key in why):
        hint = "Run this from the newer release, which has all that it needs."
        yield Finding("rollback.E009", Level.BLOCKER, str(key), f"{key} {why[key]}.", hint)


def packaged(judged: Judged) -> Iterator[Finding]:
    where = judged.plan.basis.code.packaged
    found: dict[str, list[str]] = {}
    for step in judged.plan.steps:
        if step.key in where:
            found.setdefault(where[step.key], []).append(str(step.key))
    for package, names in found.items():
        text = f"{names[0]} is not in this code. It comes from {package}."
        if len(names) > 1:
            text = f"{len(names)} of these migrations are not in this code. They come from {package}."
        yield Finding("rollback.I012", Level.REMARK, "", text, facts={"package": package, "migrations": names})


def ghosts(judged: Judged) -> Iterator[Finding]:
    why = judged.plan.basis.code.unloadable
    found = [record.key for record in judged.plan.obstacles.ghosts if record.key not in why]
    late, facts = judged.plan.basis.cut.late, {"migrations": [str(key) for key in found]}
    if len(found) == 1:
        text = f"{found[0]} {late}, but this code has no such migration."
        hint = (
            "Run this from the newer release, which has the file, or give a --package of that release. "
            f"To keep the record, add --exclude {found[0]}."
        )
        yield Finding("rollback.E002", Level.BLOCKER, str(found[0]), text, hint, facts)
    elif found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        text = f"{len(found)} late records are not in this code: {', '.join(map(str, found[:_SHOWN]))}{more}."
        hint = (
            "This is probably the older release: run it from the newer one, which has these files, or give a --package of that "
            "release. "
            "To keep the records, add --exclude APP or --exclude APP.NAME."
        )
        yield Finding("rollback.E002", Level.BLOCKER, "", text, hint, facts)


def dependants(judged: Judged) -> Iterator[Finding]:
    for pull in judged.plan.obstacles.dependants:
        yield Finding(
            "rollback.E003",
            Level.BLOCKER,
            str(pull.key),
            f"{pull.key} {judged.plan.basis.cut.early}, but depends on a migration that would be unapplied: {_chain(pull.path)}.",
            "Add --cascade to unapply it too, or choose another moment.",
            {"path": [str(key) for key in pull.path]},
        )


def split_deployment(judged: Judged) -> Iterator[Finding]:
    group = judged.plan.obstacles.split
    if group is None:
        return
    basis = judged.plan.basis
    late = [record for record in group.records if basis.cut.is_late(record)]
    before = Cut(group.start, basis.cut.precision).to_paste(basis.records)
    after = just_after(group, [each.start for each in basis.deployments if each.start > group.end], basis.cut.precision)
    yield Finding(
        "rollback.E004",
        Level.BLOCKER,
        "",
        f"The moment splits a deployment: {len(late)} of its {len(group.records)} migrations would be unapplied.",
        f'To undo the whole deployment: "{before.isoformat(sep=" ")}". To keep it: "{after.isoformat(sep=" ")}". '
        "To split it anyway, add --split-deployment.",
        {"start": group.start.isoformat(), "end": group.end.isoformat()},
    )


def excluded(judged: Judged) -> Iterator[Finding]:
    for pull in judged.plan.obstacles.excluded:
        yield Finding(
            "rollback.E005",
            Level.BLOCKER,
            str(pull.key),
            f"{pull.key} is excluded, but depends on a migration that would be unapplied: {_chain(pull.path)}.",
            f"Add --exclude {pull.path[0]} too, or remove the --exclude for {pull.key}.",
            {"path": [str(key) for key in pull.path]},
        )


def broken_off(judged: Judged) -> Iterator[Finding]:
    """An earlier run that stopped inside a step, on a database that cannot undo DDL."""
    plan = judged.plan
    if plan.earlier.unfit:
        why, what = _unfit(plan.earlier.unfit, [step.key for step in plan.steps])
        yield Finding(
            "rollback.E008",
            Level.BLOCKER,
            str(plan.earlier.unfit.key),
            f"An earlier rollback stopped inside {plan.earlier.unfit.key}, and {why}.",
            f"{what}If you have restored or repaired what {plan.earlier.unfit.key} made, add --start-over.",
        )
    if plan.earlier.resumes and judged.one_transaction:
        yield Finding(
            "rollback.E008",
            Level.BLOCKER,
            str(plan.earlier.resumes.key),
            f"An earlier rollback went step by step and stopped inside {plan.earlier.resumes.key}. Only one that goes step by"
            " step can continue there.",
            f"Add --step-by-step. If you have restored or repaired what {plan.earlier.resumes.key} made, add --start-over.",
        )
    elif plan.earlier.resumes:
        done = f"{plan.earlier.resumes.operations} of its operations"
        if plan.earlier.resumes.statements_done:
            done += f" and {plan.earlier.resumes.statements_done} of the statements of the next one"
        key = plan.earlier.resumes.key
        text = f"An earlier rollback stopped inside {key}. This run continues there: {done} are already undone."
        yield Finding("rollback.I010", Level.REMARK, str(key), text)


def _unfit(position: Position, steps: Sequence[Key]) -> tuple[str, str]:
    """(why a plan of these steps cannot continue there, what to do first)."""
    if position.restored:
        return "django_migrations has been created again since, as when a backup is restored", ""
    if position.key not in steps:
        return (
            "this plan would leave it half undone",
            f"Run that rollback again first, so that it can finish: {position.command} ",
        )
    if position.key != steps[0]:
        return "migrations that depend on it have been applied since", "Restore a backup. "
    return (
        "more of its operations are undone than it has in this code",
        "Run this from the release that ran the earlier rollback. ",
    )


def torn_squashes(judged: Judged) -> Iterator[Finding]:
    for torn in judged.plan.obstacles.torn:
        missing = ", ".join(str(key) for key in torn.missing)
        yield Finding(
            "rollback.E006",
            Level.BLOCKER,
            str(torn.squash),
            f"Only some of the migrations that {torn.squash} replaces would be unapplied, and this code no longer has "
            f"their files: {missing}.",
            "Run this from a release that still has these files, or choose a moment before or after all of them.",
            {"missing": [str(key) for key in torn.missing]},
        )


def unclear_history(judged: Judged) -> Iterator[Finding]:
    plan = judged.plan
    if plan.obstacles.unclear and not plan.obstacles.torn:
        pairs = ", ".join(f"{key} without {parent}" for key, parent in plan.obstacles.inconsistent)
        yield Finding(
            "rollback.E007",
            Level.BLOCKER,
            "",
            "The models at this point of the history are unknown"
            + (f", because migrations are recorded without the ones they depend on: {pairs}" if pairs else "")
            + f" ({plan.obstacles.unclear}).",
            _how_to_repair(plan, judged.inspector.setting),
        )
        return
    for key, parent in plan.obstacles.inconsistent:
        yield Finding(
            "rollback.I009",
            Level.REMARK,
            str(key),
            f"{key} is recorded as applied, but {parent}, which it depends on, is not.",
        )


def _how_to_repair(plan: Plan, setting: str) -> str:
    """Django refuses every `migrate`, also with --fake, while a migration is recorded without one that it depends on: only a
    change of the records themselves helps. setting: what stands before a statement."""
    hints = []
    for parent in dict.fromkeys(parent for _, parent in plan.obstacles.inconsistent):
        same = [record.key.app for record in plan.basis.history.ghosts if record.key.name == parent.name]
        where = f" WHERE app = '{same[0]}' AND name = '{parent.name}';" if same else ""
        if same:
            hints.append(
                f"If {parent} was recorded as {same[0]}: {setting}UPDATE django_migrations SET app = '{parent.app}'{where}"
            )
        else:
            hints.append(
                f"If {parent} is really in the database, add its record: {setting}INSERT INTO django_migrations "
                f"(app, name, applied) SELECT '{parent.app}', '{parent.name}', MIN(applied) FROM django_migrations;"
            )
    if not hints:
        return "Run this without --fake, or from the release that has all files."
    return "\n".join([*hints[:_SHOWN], "Then run the same command again."])


def nothing_left(judged: Judged) -> Iterator[Finding]:
    plan = judged.plan
    if plan.nothing_left and not plan.empty and not plan.basis.cut.zero:
        before = "The moment is before the first migration"
        reason = before if plan.basis.cut.kept is None else "Nothing that is applied here would be kept"
        text = f"{reason}: every migration of this database would be unapplied."
        yield Finding("rollback.W002", Level.LOSS, "", text)


def asked_for_zero(judged: Judged) -> Iterator[Finding]:
    apps = sorted(app for app, target in judged.plan.stays.targets.items() if not target)
    if judged.plan.basis.cut.zero and apps:
        text = f"You asked to unapply every migration of {', '.join(apps)}."
        yield Finding("rollback.W003", Level.LOSS, "", text)


def below_floor(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps:
        if str(step.key) in judged.plan.basis.choices.floor:
            text = f"{step.key} would be unapplied, and below it no rollback is promised: ROLLBACK['FLOOR'] says so."
            hint = "To stay above it, choose a later moment."
            yield Finding("rollback.W004", Level.LOSS, str(step.key), text, hint)


def apps_to_zero(judged: Judged) -> Iterator[Finding]:
    for app, target in judged.plan.stays.targets.items():
        if not target:
            text = f"{app} goes back to zero: none of its migrations stays applied."
            yield Finding("rollback.I001", Level.REMARK, app, text)


def early_ghosts(judged: Judged) -> Iterator[Finding]:
    for record in judged.plan.early_ghosts:
        text = f"{record.key} {judged.plan.basis.cut.early} and stays applied. This code has no such migration."
        yield Finding("rollback.I005", Level.REMARK, str(record.key), text)


def near_the_moment(judged: Judged) -> Iterator[Finding]:
    for record in judged.plan.near:
        text = (
            f"{record.key} was recorded at {record.applied:%H:%M:%S}, to the second only, and counts as at the moment."
        )
        yield Finding("rollback.I007", Level.REMARK, str(record.key), text)


def faked(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps:
        if step.fake:
            text = f"{step.key} is NOT undone: only its record is deleted (--fake). What it did to the database stays."
            yield Finding("rollback.I008", Level.REMARK, str(step.key), text)
