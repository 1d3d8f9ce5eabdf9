"""Which migrations go, why each of them is among them, and in which order."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from rollback_app.errors import UsageError
from rollback_app.history import Code, Cut, History, Key, Record

DEFAULT_GAP = timedelta(minutes=5)


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
class Pull:
    """An applied migration that depends on one that goes: `path` leads from the one that goes to it."""

    path: tuple[Key, ...]

    @property
    def key(self) -> Key:
        return self.path[-1]


@dataclass(frozen=True)
class Chosen:
    """because: what goes, and the dependencies that pull it in. order: the same, newest first. kept: what stays, oldest
    first. pulls: what depends on it and has to go too, or be left out. complete: is that all of the plan?
    excluded: is that what the user wants to stay?"""

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
    """(what goes, newest first; what stays, oldest first). Later-recorded goes first where the dependencies leave a choice:
    that respects dependencies that nobody declared. first: goes before all others, if they do not depend on it."""
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
            raise UsageError(f"--exclude {name}: there is no such app or migration.", hint=_nearest(name, known))
    names = frozenset(choices.exclude)
    return lambda key: key.app in names or str(key) in names


def faked_by(choices: Choices, code: Code, order: list[Key]) -> set[Key]:
    steps = {str(key): key for key in order}
    for name in choices.fake:
        if name not in steps:
            exists = any(name == str(key) for key in code.migrations)
            reason = "is not among the steps of this plan" if exists else "there is no such migration"
            raise UsageError(f"--fake {name}: {reason}.", hint=_nearest(name, steps))
    return {steps[name] for name in choices.fake}


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.3)
    return (
        f"Did you mean {' or '.join(near)}?" if near else "Run it with --plan and without this option to see the names."
    )
