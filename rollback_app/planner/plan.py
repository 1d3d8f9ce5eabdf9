"""History and cut -> the plan: which migrations are unapplied, in which order, and why each of them is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from django.db.migrations import Migration

from rollback_app.errors import RollbackError
from rollback_app.history import (
    Code,
    Cut,
    Deployment,
    History,
    Key,
    Position,
    Record,
    RecordedDeployment,
    Torn,
    deployments,
    read,
)
from rollback_app.states import States, leaves, number_of_leaves

from .choice import NO_CHOICES, Choices, Chosen, Pull, choose, excluded_by, faked_by, in_order
from .effect import Effect
from .effects import effects
from .names import Names

_PLAIN_NAMES = Names()


MakesStates = Callable[[Iterable[Migration], Sequence[Migration], Iterable[str]], States]


@dataclass(frozen=True)
class Step:
    """One migration to unapply.

    records: of `django_migrations` that are deleted with it. applied: when it was applied (a squash: the last of its originals).
    because: empty if it was itself applied late; else the chain of dependencies that pulls it in, from a late migration
    to this one. effects: in the order in which they happen.
    """

    migration: Migration = field(compare=False, repr=False)
    key: Key
    records: tuple[Record, ...]
    applied: datetime
    because: tuple[Key, ...]
    fake: bool
    effects: tuple[Effect, ...] = field(compare=False)


@dataclass(frozen=True)
class Basis:
    """What a plan is made from. The same basis gives the same plan.

    records: all of `django_migrations`. deployments: all, oldest first.
    """

    cut: Cut
    records: tuple[Record, ...]
    choices: Choices
    deployments: tuple[Deployment, ...]
    code: Code = field(compare=False, repr=False)
    history: History = field(compare=False, repr=False)


@dataclass(frozen=True)
class Stays:
    """migrations: those that stay applied, in an order that the dependencies allow. targets: for each app with steps the
    newest migrations that stay, none for zero."""

    migrations: tuple[Migration, ...] = field(compare=False, repr=False)
    targets: dict[str, tuple[Key, ...]]


@dataclass(frozen=True)
class Obstacles:
    """What may block a plan.

    dependants: applied early, and depend on a step. excluded: excluded, and depend on a step. ghosts: late records without a
    file. torn: squashes that cannot be told apart. split: the deployment that the moment cuts in two. inconsistent: an applied
    migration, and its dependency that is not. unclear: why the states of this history cannot be computed.
    """

    dependants: tuple[Pull, ...]
    excluded: tuple[Pull, ...]
    ghosts: tuple[Record, ...]
    torn: tuple[Torn, ...]
    split: Deployment | None
    inconsistent: tuple[tuple[Key, Key], ...]
    unclear: str


@dataclass(frozen=True)
class EarlierRun:
    """Where an earlier run stopped inside a step, if one did.

    position: as the journal has it. resumes: the same, if this plan continues there. unfit: the same, if this plan cannot,
    because it does not begin with that step, or because the database or the code has changed.
    """

    position: Position | None = None
    resumes: Position | None = None
    unfit: Position | None = None


@dataclass(frozen=True)
class Plan:
    """What a rollback would do to one database.

    steps: in the order in which they are undone, over all apps. squashes: late records of squash migrations that belong to no
    step and are deleted with the run. walked: the states that were computed for it, as long as nobody has used them.
    """

    basis: Basis
    steps: tuple[Step, ...]
    squashes: tuple[Record, ...]
    stays: Stays
    obstacles: Obstacles
    earlier: EarlierRun
    walked: States | None = field(compare=False, repr=False)

    @property
    def empty(self) -> bool:
        """Is there nothing to do?"""
        return not self.steps and not self.squashes

    @cached_property
    def deleted(self) -> frozenset[Record]:
        """The records that the run deletes."""
        return frozenset([*self.squashes, *(record for step in self.steps for record in step.records)])

    @property
    def nothing_left(self) -> bool:
        """Does the moment lie before every record?"""
        cut, records = self.basis.cut, self.basis.records
        only_some = self.basis.choices.steps is not None and self.stays.migrations
        return bool(records) and not only_some and all(cut.is_late(record) for record in records)

    @property
    def early_ghosts(self) -> tuple[Record, ...]:
        """Records without a file that stay."""
        return tuple(record for record in self.basis.history.ghosts if not self.basis.cut.is_late(record))

    @property
    def near(self) -> tuple[Record, ...]:
        """Records that count as at the moment only because of the precision with which they are stored."""
        cut = self.basis.cut
        return tuple(
            record
            for record in self.basis.records
            if cut.kept is None and cut.is_late(record) and record.applied < cut.at
        )

    @property
    def after_resumed(self) -> Plan | None:
        """What is left behind the step inside which this resumes; None for a plan that does not."""
        if not self.earlier.resumes:
            return None
        return replace(self, steps=self.steps[1:], earlier=EarlierRun(), walked=None)

    @property
    def with_tables_of_today(self) -> Plan | None:
        """The part that finds the tables of today by their names: all, or what comes after the step inside which it resumes.
        None, if the rest of that step renames any."""
        if self.earlier.resumes and any(effect.renamed_to for effect in self.steps[0].effects):
            return None
        return self.after_resumed or self

    def takes(self, record: Record) -> bool:
        """Is this record deleted, or would it be if nothing blocked?"""
        if self.basis.choices.steps is None:
            return self.basis.cut.is_late(record)
        return record in self.deleted

    @property
    def newest(self) -> Record | None:
        return max(self.basis.records, key=lambda record: (record.applied, record.id), default=None)

    @property
    def undone_oldest_first(self) -> list[Migration]:
        return [step.migration for step in reversed(self.steps)]

    @property
    def release(self) -> str:
        """The newest release of which something is unapplied, as recorded, or else as its migrations declare; empty if none is
        known."""
        groups = self.basis.deployments
        names = [name for group in groups if any(map(self.takes, group.records)) for name in group.releases]
        declared = [getattr(step.migration, "release", "") for step in self.steps]
        return names[-1] if names else str(next(filter(None, declared), ""))

    @property
    def older_release(self) -> str:
        """The newest release of which nothing is unapplied; empty if none is known."""
        groups = self.basis.deployments
        names = [name for group in groups if not any(map(self.takes, group.records)) for name in group.releases]
        return names[-1] if names else ""

    def states(self) -> States:
        """The states for this plan. Faked steps have no states, since what they did is not in the database."""
        if self.walked and self.walked.fresh:
            return self.walked
        goes = [step.migration for step in reversed(self.steps) if not step.fake]
        return States(self.stays.migrations, goes, self.basis.code.unmigrated)

    @property
    def pattern(self) -> str:
        """Twelve characters that are the same for plans of two databases if the same is applied there, and the same is undone,
        also as far as routers let it."""
        lines = sorted(str(record.key) for record in self.basis.records)
        for step in self.steps:
            lines += [f"undo {step.key} {step.fake}", *(effect.words for effect in step.effects)]
        lines += [f"delete {record.key}" for record in self.squashes]
        lines += self._broke_off
        return _digest(lines)

    @property
    def digest(self) -> str:
        """Twelve characters that differ when the steps, their order, or the records that they rest on differ."""
        records = sorted(self.basis.records, key=lambda record: record.id)
        lines = [f"{record.id} {record.key} {record.applied.isoformat()}" for record in records]
        lines += [f"undo {step.key} {step.fake}" for step in self.steps]
        lines += [f"delete {record.id}" for record in self.squashes]
        lines += self._broke_off
        return _digest(lines)

    @property
    def _broke_off(self) -> list[str]:
        positions = filter(None, (self.earlier.resumes, self.earlier.unfit))
        return [f"broke off behind {position.operations} {position.statements_done}" for position in positions]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def plan(
    code: Code,
    records: Iterable[Record],
    cut: Cut,
    choices: Choices = NO_CHOICES,
    names: Names = _PLAIN_NAMES,
    position: Position | None = None,
    recorded: Collection[RecordedDeployment] = (),
    states: MakesStates = States,
) -> Plan:
    """Choose what is unapplied, and in which order. position: where an earlier run stopped, if it did. recorded: what is known
    of past deployments. states: makes those of the plan, or has made them for the plan of another database.

    Errors: UsageError, if `exclude` or `fake` names something that is not there; CodeUnusable, as `history.read`.
    """
    records = tuple(records)
    history = read(code, records, cut)
    groups = tuple(deployments(records, choices.gap, recorded, cut.precision))
    basis = Basis(cut, records, choices, groups, code, history)
    left_off = _unsettled(position, history, choices)
    chosen = choose(history, cut, choices, excluded_by(choices, code, records), left_off.key if left_off else None)
    fakes = faked_by(choices, code, chosen.order)
    resumes = left_off if left_off and chosen.order[:1] == [left_off.key] and _fits(left_off, history) else None
    pulled = {pull.key for pull in chosen.pulls}
    found, unclear, walked = _effects(basis, (chosen.because.keys() | pulled) - fakes, fakes, names, resumes, states)
    steps = tuple(_step(history, key, chosen.because[key], fakes, found.get(key, ())) for key in chosen.order)
    return Plan(
        basis=basis,
        steps=steps,
        squashes=_squashes(basis, chosen, steps),
        stays=Stays(
            migrations=tuple(history.migrations[key] for key in chosen.kept),
            targets=_targets(history, chosen.order, chosen.kept),
        ),
        obstacles=_obstacles(basis, chosen, unclear),
        earlier=EarlierRun(position, resumes, None if resumes else left_off),
        walked=None if fakes or pulled - chosen.because.keys() else walked,
    )


def _step(history: History, key: Key, because: tuple[Key, ...], fakes: set[Key], effects: tuple[Effect, ...]) -> Step:
    return Step(
        migration=history.migrations[key],
        key=key,
        records=history.records_of[key],
        applied=max(record.applied for record in history.decisive[key]),
        because=because,
        fake=key in fakes,
        effects=effects,
    )


def _squashes(basis: Basis, chosen: Chosen, steps: Iterable[Step]) -> tuple[Record, ...]:
    owned = {record.id for step in steps for record in step.records}
    return tuple(
        record
        for record in basis.history.bookkeeping
        if chosen.complete and record.id not in owned and basis.cut.is_late(record) and not chosen.excluded(record.key)
    )


def _obstacles(basis: Basis, chosen: Chosen, unclear: str) -> Obstacles:
    cut, history = basis.cut, basis.history
    # Whoever names a set or a number of steps knows which migrations that means. A time may be slightly off.
    may_split = not chosen.complete or cut.kept is not None or basis.choices.split_deployment
    return Obstacles(
        dependants=tuple(
            pull for pull in chosen.pulls if pull.key not in chosen.because and not chosen.excluded(pull.key)
        ),
        excluded=tuple(pull for pull in chosen.pulls if chosen.excluded(pull.key)),
        ghosts=tuple(record for record in history.ghosts if cut.is_late(record) and not chosen.excluded(record.key)),
        torn=history.torn,
        split=None if may_split else _split(basis),
        inconsistent=_inconsistent(history),
        unclear=unclear,
    )


def _split(basis: Basis) -> Deployment | None:
    squashes = {record.id for record in basis.history.bookkeeping}
    for group in basis.deployments:
        if len({basis.cut.is_late(record) for record in group.records if record.id not in squashes}) == 2:
            return group
    return None


def _inconsistent(history: History) -> tuple[tuple[Key, Key], ...]:
    return tuple(
        (key, parent)
        for key in sorted(history.decisive)
        for parent in sorted(history.parents[key])
        if parent not in history.decisive
    )


def _unsettled(position: Position | None, history: History, choices: Choices) -> Position | None:
    """The position, unless that step was settled since: its records are gone, it was applied again, or it is faked now."""
    if position is None or choices.start_over or str(position.key) in choices.fake:
        return None
    recorded = {record.id for record in history.records_of.get(position.key, ())}
    return position if recorded & set(position.records) else None


def _fits(position: Position, history: History) -> bool:
    return not position.restored and position.operations <= number_of_leaves(
        history.migrations[position.key].operations
    )


def _effects(
    basis: Basis, goes: set[Key], fakes: set[Key], names: Names, resumes: Position | None, make: MakesStates
) -> tuple[dict[Key, tuple[Effect, ...]], str, States | None]:
    """(what undoing each migration does, why that is unknown, the states that were walked through for it).

    Computed as if all that depends on a step were unapplied too, so that a plan that is refused still shows what it would do.
    """
    history = basis.history
    order, kept = in_order(history, goes, resumes.key if resumes else None)
    found = {}
    try:
        states = make(
            (history.migrations[key] for key in kept if key not in fakes),
            [history.migrations[key] for key in reversed(order)],
            basis.code.unmigrated,
        )
        for migration, undos in states.backwards():
            key = Key(migration.app_label, migration.name)
            left = leaves(undos, key.app)[resumes.operations :] if resumes and key == resumes.key else undos
            found[key] = tuple(effect for undo in left for effect in effects(undo, key.app, names))
    except RollbackError:  # of a router
        raise
    # An operation on a model or field that no applied migration made may raise anything (KeyError, FieldDoesNotExist, …).
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
