"""Which migrations are unapplied, why each of them is, and in which order."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from rollback_app.errors import UsageError, shown
from rollback_app.history import Code, Cut, History, Key, Record

DEFAULT_GAP = timedelta(minutes=5)


@dataclass(frozen=True)
class Choices:
    """What the user chose besides the moment.

    cascade: also unapply older migrations that depend on one that is unapplied. split_deployment: the moment may split a
    deployment. exclude: apps (`orders`) and migrations (`orders.0002_total`) to keep. fake: migrations whose records are
    deleted without undoing them. start_over: do not continue where an earlier run stopped. gap: a longer pause begins a new
    deployment. steps: undo only this many of the newest; None for all. floor: the migrations below
    which no rollback is promised (the settings' FLOOR).
    """

    cascade: bool = False
    split_deployment: bool = False
    exclude: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    start_over: bool = False
    gap: timedelta = DEFAULT_GAP
    steps: int | None = None
    floor: tuple[str, ...] = ()


NO_CHOICES = Choices()


@dataclass(frozen=True)
class Pull:
    """An applied migration that depends on one that is unapplied. path: from that one to this one."""

    path: tuple[Key, ...]

    @property
    def key(self) -> Key:
        return self.path[-1]


@dataclass(frozen=True)
class Chosen:
    """because: what is unapplied, with the dependencies that pull it in. order: the same, newest first. kept: what stays applied,
    oldest first. pulls: what depends on it, and blocks unless it is unapplied too. complete: are these all steps, and not
    only the newest? excluded: does the user want to keep this migration?"""

    because: dict[Key, tuple[Key, ...]]
    order: list[Key]
    kept: list[Key]
    pulls: list[Pull]
    complete: bool
    excluded: Callable[[Key], bool]


def choose(history: History, cut: Cut, choices: Choices, excluded: Callable[[Key], bool], first: Key | None) -> Chosen:
    """first: see `in_order`."""
    late = {key for key, decisive in history.decisive.items() if any(map(cut.is_late, decisive))}
    because: dict[Key, tuple[Key, ...]] = {key: () for key in late if not excluded(key)}
    pulls = _pulls(history, set(because))
    if choices.cascade:
        because.update({pull.key: pull.path for pull in pulls if not excluded(pull.key)})
    order, kept = in_order(history, because, first)
    complete = choices.steps is None or choices.steps >= len(order)
    if not complete:
        because = {key: because[key] for key in order[: choices.steps]}
        order, kept = in_order(history, because, first)
        pulls = _pulls(history, set(because))
    return Chosen(because, order, kept, pulls, complete, excluded)


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


def in_order(history: History, chosen: Iterable[Key], first: Key | None = None) -> tuple[list[Key], list[Key]]:
    """(what is unapplied, newest first; what stays applied, oldest first). Where the dependencies leave a choice, the migration
    that was recorded later comes first: that respects dependencies that nobody declared. first: is unapplied before all
    others that do not depend on it."""
    goes = set(chosen)
    stays_first = 1 + max((record.id for records in history.decisive.values() for record in records), default=0)

    def rank(key: Key) -> int:
        recorded = history.recorded(key) if key in history.decisive else 0
        if key == first:
            return 2 * stays_first
        return recorded if key in goes else stays_first + recorded

    everything = history.order(rank)
    order = [key for key in everything if key in goes]
    kept = [key for key in reversed(everything) if key in history.decisive and key not in goes]
    return order, kept


def excluded_by(choices: Choices, code: Code, records: Iterable[Record]) -> Callable[[Key], bool]:
    keys = set(code.migrations) | {record.key for record in records}
    known = {key.app for key in keys} | {str(key) for key in keys}
    for name in choices.exclude:
        if name not in known:
            raise UsageError(f"--exclude {shown(name)}: there is no such app or migration.", hint=_nearest(name, known))
    names = frozenset(choices.exclude)
    return lambda key: key.app in names or str(key) in names


def faked_by(choices: Choices, code: Code, order: list[Key]) -> set[Key]:
    steps = {str(key): key for key in order}
    for name in choices.fake:
        if name not in steps:
            exists = any(name == str(key) for key in code.migrations)
            reason = "is not among the steps of this plan" if exists else "there is no such migration"
            raise UsageError(f"--fake {shown(name)}: {reason}.", hint=_nearest(name, steps))
    return {steps[name] for name in choices.fake}


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.3)
    return f"Did you mean {' or '.join(near)}?" if near else "Use --plan without this option to see the names."
