"""History and cut -> the plan: which migrations are unapplied, in which order, and why each of them is in it."""

from __future__ import annotations

import difflib
import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from django.db.migrations import Migration

from .effects import Effect, Names, effects
from .errors import UsageError
from .history import Code, Cut, Deployment, History, Key, Position, Recorded, Row, Torn, deployments, read
from .states import States, leaves, number_of_leaves

DEFAULT_GAP = timedelta(minutes=5)
_PLAIN_NAMES = Names()


@dataclass(frozen=True)
class Choices:
    """What the user decided beside the moment.

    cascade: also unapply what was applied before the moment and depends on what goes. split_deployment: cut a deployment
    in two. exclude: apps (`orders`) and migrations (`orders.0002_total`) that stay. fake: migrations whose rows go without
    being undone. start_over: do not go on where an earlier run broke off. gap: a pause longer than this begins a new
    deployment. steps: undo only so many of the newest; None for all.
    """

    cascade: bool = False
    split_deployment: bool = False
    exclude: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    start_over: bool = False
    gap: timedelta = DEFAULT_GAP
    steps: int | None = None


NO_CHOICES = Choices()


@dataclass(frozen=True)
class Step:
    """One migration to unapply.

    rows: what goes from `django_migrations` with it. applied: when it was applied (a squash: the last of its originals).
    because: empty if it was itself applied late; else the chain of dependencies that pulls it in, from a late migration
    to this one. effects: in the order in which they happen.
    """

    migration: Migration = field(compare=False, repr=False)
    key: Key
    rows: tuple[Row, ...]
    applied: datetime
    because: tuple[Key, ...]
    fake: bool
    effects: tuple[Effect, ...] = field(compare=False)


@dataclass(frozen=True)
class Pull:
    """An applied migration that depends on one that goes: `path` leads from the one that goes to it."""

    path: tuple[Key, ...]

    @property
    def key(self) -> Key:
        return self.path[-1]


@dataclass(frozen=True)
class Plan:
    """What a rollback would do to one database.

    steps: in the order in which they are undone, over all apps. bookkeeping: late rows of squash migrations that belong
    to no step and are deleted with the run. kept: what stays applied, in an order that the dependencies allow. targets:
    for each app with steps the newest migrations that stay, none for zero. deployments: all, oldest first.

    What stands in the way: dependants (early, applied, depend on a step), held (excluded, depend on a step), ghosts (late
    rows without a file), torn (squashes that cannot be told apart), split (the deployment that the moment cuts in two),
    inconsistent (applied migration, its unapplied dependency), unclear (why the states of this history cannot be computed).
    early_ghosts: rows without a file that stay. near: rows that count as at the moment only because of the precision.
    position: as it was given. resumes: where an earlier run broke off inside the first step, which is continued there.
    unfit: the same, if this plan cannot go on there: it does not begin with that step, or the database or the code is not
    what it was.
    """

    cut: Cut
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]
    bookkeeping: tuple[Row, ...]
    kept: tuple[Migration, ...] = field(compare=False, repr=False)
    unmigrated: frozenset[str]
    targets: dict[str, tuple[Key, ...]]
    deployments: tuple[Deployment, ...]
    dependants: tuple[Pull, ...]
    held: tuple[Pull, ...]
    ghosts: tuple[Row, ...]
    early_ghosts: tuple[Row, ...]
    torn: tuple[Torn, ...]
    split: Deployment | None
    inconsistent: tuple[tuple[Key, Key], ...]
    unclear: str
    near: tuple[Row, ...]
    choices: Choices
    position: Position | None
    resumes: Position | None
    unfit: Position | None
    history: History = field(compare=False, repr=False)
    walked: States | None = field(compare=False, repr=False)

    @property
    def empty(self) -> bool:
        """Is there nothing to do?"""
        return not self.steps and not self.bookkeeping

    @cached_property
    def deleted(self) -> frozenset[Row]:
        """The rows that the run deletes."""
        return frozenset([*self.bookkeeping, *(row for step in self.steps for row in step.rows)])

    @property
    def nothing_left(self) -> bool:
        """Does the moment lie before every row?"""
        only_some = self.choices.steps is not None and self.kept
        return bool(self.rows) and not only_some and all(self.cut.is_late(row) for row in self.rows)

    def takes(self, row: Row) -> bool:
        """Does this row go, or would it, if nothing stood in the way?"""
        if self.choices.steps is None:
            return self.cut.is_late(row)
        return row in self.deleted

    @property
    def newest(self) -> Row | None:
        return max(self.rows, key=lambda row: (row.applied, row.id), default=None)

    @property
    def undone_oldest_first(self) -> list[Migration]:
        return [step.migration for step in reversed(self.steps)]

    @property
    def release(self) -> str:
        """The newest release of which something goes; empty if none is known."""
        names = [name for group in self.deployments if any(map(self.takes, group.rows)) for name in group.releases]
        return names[-1] if names else ""

    def states(self) -> States:
        """The states for this plan; faked steps have no states of their own, since what they did is not in the database."""
        if self.walked and self.walked.fresh:
            return self.walked
        return States(self.kept, [step.migration for step in reversed(self.steps) if not step.fake], self.unmigrated)

    @property
    def digest(self) -> str:
        """Twelve characters that differ when the steps, their order, or the rows that they rest on differ."""
        lines = [f"{row.id} {row.key} {row.applied.isoformat()}" for row in sorted(self.rows, key=lambda row: row.id)]
        lines += [f"undo {step.key} {step.fake}" for step in self.steps]
        lines += [f"delete {row.id}" for row in self.bookkeeping]
        for position in filter(None, (self.resumes, self.unfit)):
            lines.append(f"broke off behind {position.operations} {position.statements_done}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def plan(
    code: Code,
    rows: Iterable[Row],
    cut: Cut,
    choices: Choices = NO_CHOICES,
    names: Names = _PLAIN_NAMES,
    position: Position | None = None,
    recorded: Collection[Recorded] = (),
) -> Plan:
    """Choose what goes, and in which order. position: where an earlier run broke off, if it did. recorded: what is known of
    past deployments.

    Errors: UsageError, if `exclude` or `fake` names something that is not there; CodeUnusable, as `history.read`.
    """
    rows = tuple(rows)
    history = read(code, rows, cut)
    excluded = _excluded(choices.exclude, code, rows)
    left_off = _unsettled(position, history, choices)
    chosen = _choose(history, cut, choices, excluded, left_off.key if left_off else None)
    fakes = _fakes(choices.fake, code, chosen.order)
    groups = deployments(rows, choices.gap, recorded, cut.precision)
    resumes = left_off if left_off and chosen.order[:1] == [left_off.key] and _fits(left_off, history) else None
    pulled = {pull.key for pull in chosen.pulls}
    found, unclear, walked = _effects(
        history, (chosen.because.keys() | pulled) - fakes, fakes, code.unmigrated, names, resumes
    )
    steps = tuple(_step(history, key, chosen.because[key], fakes, found.get(key, ())) for key in chosen.order)
    owned = {row.id for step in steps for row in step.rows}
    notes = {row.id for row in history.bookkeeping}
    return Plan(
        cut=cut,
        rows=rows,
        steps=steps,
        bookkeeping=tuple(
            row
            for row in history.bookkeeping
            if chosen.complete and row.id not in owned and cut.is_late(row) and not excluded(row.key)
        ),
        kept=tuple(history.migrations[key] for key in chosen.kept),
        unmigrated=code.unmigrated,
        targets=_targets(history, chosen.order, chosen.kept),
        deployments=tuple(groups),
        dependants=tuple(pull for pull in chosen.pulls if pull.key not in chosen.because and not excluded(pull.key)),
        held=tuple(pull for pull in chosen.pulls if excluded(pull.key)),
        ghosts=tuple(row for row in history.ghosts if cut.is_late(row) and not excluded(row.key)),
        early_ghosts=tuple(row for row in history.ghosts if not cut.is_late(row)),
        torn=history.torn,
        # Who names a set, or a number of steps, knows which migrations are meant; a time may be off by a little.
        split=_split(groups, cut, notes)
        if chosen.complete and cut.kept is None and not choices.split_deployment
        else None,
        inconsistent=_inconsistent(history),
        unclear=unclear,
        near=tuple(row for row in rows if cut.kept is None and cut.is_late(row) and row.applied < cut.at),
        choices=choices,
        resumes=resumes,
        unfit=None if resumes else left_off,
        position=position,
        history=history,
        walked=None if fakes or pulled - chosen.because.keys() else walked,
    )


def _step(history: History, key: Key, because: tuple[Key, ...], fakes: set[Key], effects: tuple[Effect, ...]) -> Step:
    return Step(
        migration=history.migrations[key],
        key=key,
        rows=history.rows_of[key],
        applied=max(row.applied for row in history.decisive[key]),
        because=because,
        fake=key in fakes,
        effects=effects,
    )


@dataclass(frozen=True)
class _Chosen:
    """because: what goes, and the dependencies that pull it in. order: the same, newest first. kept: what stays, oldest
    first. pulls: what depends on it and has to go too, or be left out. complete: is that all of the plan?"""

    because: dict[Key, tuple[Key, ...]]
    order: list[Key]
    kept: list[Key]
    pulls: list[Pull]
    complete: bool


def _choose(
    history: History, cut: Cut, choices: Choices, excluded: Callable[[Key], bool], first: Key | None
) -> _Chosen:
    """first: see `_order`."""
    late = {key for key, decisive in history.decisive.items() if any(map(cut.is_late, decisive))}
    because: dict[Key, tuple[Key, ...]] = {key: () for key in late if not excluded(key)}
    pulls = _pulls(history, set(because))
    if choices.cascade:
        because.update({pull.key: pull.path for pull in pulls if not excluded(pull.key)})
    order, kept = _order(history, because, first)
    complete = choices.steps is None or choices.steps >= len(order)
    if not complete:
        because = {key: because[key] for key in order[: choices.steps]}
        order, kept = _order(history, because, first)
        pulls = _pulls(history, set(because))
    return _Chosen(because, order, kept, pulls, complete)


def _unsettled(position: Position | None, history: History, choices: Choices) -> Position | None:
    """The position, unless that step was settled since: its rows are gone, or it was applied again, or it is to be faked."""
    if position is None or choices.start_over or str(position.key) in choices.fake:
        return None
    recorded = {row.id for row in history.rows_of.get(position.key, ())}
    return position if recorded & set(position.rows) else None


def _fits(position: Position, history: History) -> bool:
    return not position.restored and position.operations <= number_of_leaves(
        history.migrations[position.key].operations
    )


def _excluded(exclude: Iterable[str], code: Code, rows: Iterable[Row]) -> Callable[[Key], bool]:
    keys = set(code.migrations) | {row.key for row in rows}
    known = {key.app for key in keys} | {str(key) for key in keys}
    for name in exclude:
        if name not in known:
            raise UsageError(f"--exclude {name}: there is no such app or migration.", hint=_nearest(name, known))
    names = frozenset(exclude)
    return lambda key: key.app in names or str(key) in names


def _fakes(fake: Iterable[str], code: Code, order: list[Key]) -> set[Key]:
    steps = {str(key): key for key in order}
    for name in fake:
        if name not in steps:
            exists = any(name == str(key) for key in code.migrations)
            reason = "is not among the steps of this plan" if exists else "there is no such migration"
            raise UsageError(f"--fake {name}: {reason}.", hint=_nearest(name, steps))
    return {steps[name] for name in fake}


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.3)
    return (
        f"Did you mean {' or '.join(near)}?" if near else "Run it with --plan and without this option to see the names."
    )


def _pulls(history: History, chosen: set[Key]) -> list[Pull]:
    """All applied migrations outside `chosen` that depend on one in it, each with a shortest path."""
    came_from: dict[Key, Key | None] = dict.fromkeys(sorted(chosen))
    todo = deque(came_from)
    while todo:
        key = todo.popleft()
        for child in sorted(history.children[key]):
            if child not in came_from:
                came_from[child] = key
                todo.append(child)
    found = []
    for key in came_from.keys() - chosen:
        if key in history.decisive:
            path = [key]
            while (above := came_from[path[-1]]) is not None:
                path.append(above)
            found.append(Pull(tuple(reversed(path))))
    return sorted(found, key=lambda pull: pull.key)


def _order(history: History, chosen: Iterable[Key], first: Key | None = None) -> tuple[list[Key], list[Key]]:
    """(what goes, newest first; what stays, oldest first). Later-recorded goes first where the dependencies leave a choice:
    that respects dependencies that nobody declared. first: goes before all others, if they do not depend on it."""
    goes = set(chosen)
    stays_first = 1 + max((row.id for rows in history.decisive.values() for row in rows), default=0)

    def rank(key: Key) -> int:
        recorded = history.recorded(key) if key in history.decisive else 0
        if key == first:
            return 2 * stays_first
        return recorded if key in goes else stays_first + recorded

    everything = history.order(rank)
    order = [key for key in everything if key in goes]
    kept = [key for key in reversed(everything) if key in history.decisive and key not in goes]
    return order, kept


def _effects(
    history: History,
    goes: set[Key],
    fakes: set[Key],
    unmigrated: frozenset[str],
    names: Names,
    resumes: Position | None,
) -> tuple[dict[Key, tuple[Effect, ...]], str, States | None]:
    """(what undoing each migration does, why that cannot be known, the states that were walked through for it).

    Computed as if all that depends on a step went too, so that a plan that is refused for it still tells what it would do.
    """
    order, kept = _order(history, goes, resumes.key if resumes else None)
    found = {}
    try:
        states = States(
            (history.migrations[key] for key in kept if key not in fakes),
            [history.migrations[key] for key in reversed(order)],
            unmigrated,
        )
        for migration, undos in states.backwards():
            key = Key(migration.app_label, migration.name)
            left = leaves(undos, key.app)[resumes.operations :] if resumes and key == resumes.key else undos
            found[key] = tuple(effect for undo in left for effect in effects(undo, key.app, names))
    # An operation on a model or field that no applied migration made raises what it likes (KeyError, FieldDoesNotExist, …).
    except Exception as error:
        if not (_inconsistent(history) or history.torn or history.ghosts or fakes):
            raise
        return found, f"{type(error).__name__}: {error}", None
    return found, "", states


def _targets(history: History, order: list[Key], kept: list[Key]) -> dict[str, tuple[Key, ...]]:
    stays = set(kept)
    return {
        app: tuple(
            key
            for key in sorted(stays)
            if key.app == app and not any(child in stays and child.app == app for child in history.children[key])
        )
        for app in dict.fromkeys(key.app for key in order)
    }


def _split(groups: list[Deployment], cut: Cut, notes: set[int]) -> Deployment | None:
    for group in groups:
        if len({cut.is_late(row) for row in group.rows if row.id not in notes}) == 2:
            return group
    return None


def _inconsistent(history: History) -> tuple[tuple[Key, Key], ...]:
    return tuple(
        (key, parent)
        for key in sorted(history.decisive)
        for parent in sorted(history.parents[key])
        if parent not in history.decisive
    )


@dataclass(frozen=True)
class Commands:
    """The `migrate` commands that do what a plan does, as (app, target) in the order in which to run them; without why_not
    they undo exactly the plan's steps."""

    targets: tuple[tuple[str, str], ...]
    why_not: str = ""


def migrate_commands(plan: Plan) -> Commands:
    """Express a plan as `migrate APP TARGET` commands, checked by working out what each would undo.

    `migrate APP TARGET` undoes the children of the target in its app, and all that depends on them
    (django.db.migrations.executor.MigrationExecutor.migration_plan).
    """
    if fakes := [str(step.key) for step in plan.steps if step.fake]:
        return Commands((), f"no migrate command unapplies others and fakes {', '.join(fakes)}")
    if apart := sorted(str(key) for key in plan.history.apart if key.app in plan.targets):
        return Commands((), f"migrate cannot stop between the migrations that {', '.join(apart)} replaces")
    left = [step.key for step in plan.steps]
    found = []
    while left:
        best = max(_candidates(plan, set(left), left), key=lambda candidate: candidate[0], default=None)
        if best is None:
            names = ", ".join(map(str, left))
            return Commands(
                (),
                f"there is no migrate command that unapplies {names} and nothing that stays",
            )
        _, app, target, undone = best
        found.append((app, target))
        left = [key for key in left if key not in undone]
    return Commands(tuple(found))


def _candidates(plan: Plan, left: set[Key], order: list[Key]) -> Iterator[tuple[tuple[int, int], str, str, set[Key]]]:
    """(rank, app, target, what it undoes) of each command that undoes some of what is left, and nothing else. The newest step
    left goes first, and then what undoes most."""
    children, kept = plan.history.children, plan.history.decisive.keys() - {step.key for step in plan.steps}
    for app in {key.app for key in left}:
        roots = [key for key in plan.history.parents if key.app == app and not _in_app(plan.history.parents[key], app)]
        stays = [key for key in kept if key.app == app and _is_understood(plan, key)]
        starts = {"zero": roots, **{key.name: _in_app(children[key], app) for key in stays}}
        for target, first in starts.items():
            undone = _descendants(children, first) & (kept | left)
            if undone and undone <= left:
                yield (-min(order.index(key) for key in undone), len(undone)), app, target, undone


def _is_understood(plan: Plan, key: Key) -> bool:
    """`migrate` takes a name for the beginning of one, and refuses what begins several; "zero" is a word of its own."""
    others = [other for other in plan.history.on_disk if other.app == key.app and other.name.startswith(key.name)]
    return others == [key] and key.name != "zero"


def _in_app(keys: Iterable[Key], app: str) -> list[Key]:
    return sorted(key for key in keys if key.app == app)


def _descendants(children: Mapping[Key, frozenset[Key]], start: Iterable[Key]) -> set[Key]:
    """The keys themselves, and all that depends on them."""
    found, todo = set[Key](), list(start)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo.extend(children[key])
    return found
