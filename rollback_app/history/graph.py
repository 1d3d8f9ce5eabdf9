"""The code on disk and the records brought together: the graph of migrations for one cut.

Squash migrations are resolved here and nowhere else, because which of them stand in for their originals depends on the
records and the cut.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollback_app.errors import CodeUnusable

from .records import Cut, Key, Record

if TYPE_CHECKING:  # moments, which reads histories, has to work where there is no Django
    from django.db.migrations import Migration

_OTHER_CODE = "Run this from a release in which 'python manage.py migrate --plan' works."


@dataclass(frozen=True)
class Code:
    """The migrations on disk, as Django's loader reads them, before it builds a graph of its own.

    packaged: those of them that are not on disk, with what to call the package that they come from. unloadable: those that only a
    package has, and that cannot be loaded: why, the end of a sentence that begins with the migration.
    """

    migrations: Mapping[Key, Migration]
    unmigrated: frozenset[str] = frozenset()
    packaged: Mapping[Key, str] = field(default_factory=dict)
    unloadable: Mapping[Key, str] = field(default_factory=dict)

    @classmethod
    def of(cls, migrations: Iterable[Migration], unmigrated: Collection[str] = ()) -> Code:
        return cls({Key(m.app_label, m.name): m for m in migrations}, frozenset(unmigrated))


@dataclass(frozen=True)
class Torn:
    """A squash migration that cannot stand in for its originals here, and the originals whose files are gone."""

    squash: Key
    missing: tuple[Key, ...]


@dataclass(frozen=True)
class History:
    """Rows and code brought together for one cut.

    migrations: the nodes of the graph. parents, children: its edges. rows_of: for each applied node the records that stand
    for it (a squash in use: also those of its originals), deciding records first. decisive: for each applied node the records
    that tell when it was applied. bookkeeping: records of squashes whose originals decide and that belong to no step of
    their own. ghosts: records without a file. apart: squashes in whose place their originals are used. on_disk: all files.
    """

    migrations: Mapping[Key, Migration]
    parents: Mapping[Key, frozenset[Key]]
    children: Mapping[Key, frozenset[Key]]
    records_of: Mapping[Key, tuple[Record, ...]]
    decisive: Mapping[Key, tuple[Record, ...]]
    bookkeeping: tuple[Record, ...]
    ghosts: tuple[Record, ...]
    torn: tuple[Torn, ...]
    apart: frozenset[Key]
    on_disk: frozenset[Key]

    def recorded(self, key: Key) -> int:
        """The place of an applied node in the order of recording; the id tells it even if the clock was set back."""
        return max(record.id for record in self.decisive[key])

    def order(self, rank: Callable[[Key], int]) -> list[Key]:
        """All nodes, dependants before what they depend on; where that leaves a choice, the highest rank first.

        Errors: CodeUnusable, if the dependencies form a circle.
        """
        waiting = {key: len(children) for key, children in self.children.items()}
        ready = [(-rank(key), key) for key, count in waiting.items() if not count]
        heapq.heapify(ready)
        ordered = []
        while ready:
            _, key = heapq.heappop(ready)
            ordered.append(key)
            for parent in self.parents[key]:
                waiting[parent] -= 1
                if not waiting[parent]:
                    heapq.heappush(ready, (-rank(parent), parent))
        if len(ordered) < len(waiting):
            circle = ", ".join(str(key) for key in sorted(set(waiting) - set(ordered))[:5])
            raise CodeUnusable(
                f"The migrations on disk depend on each other in a circle: {circle}.",
                hint=_OTHER_CODE,
            )
        return ordered


def read(code: Code, records: Iterable[Record], cut: Cut) -> History:
    """Bring records and code together for a cut.

    Errors: CodeUnusable, if a migration depends on one that is not on disk, or the dependencies form a circle.
    """
    records = tuple(records)
    squashes = _Squashes(code, records, cut)
    parents = _edges(code, squashes)
    children: dict[Key, set[Key]] = {key: set() for key in parents}
    for key, above in parents.items():
        for parent in above:
            children[parent].add(key)
    records_of, decisive, owned = {}, {}, set[int]()
    for key in parents:
        if decisions := squashes.decisive(key):
            names = squashes.everything_in(key)
            mine = [record for name in names for record in squashes.records_by_key.get(name, ())]
            decisive[key] = tuple(squashes.oldest[name] for name in sorted(decisions))
            records_of[key] = tuple(sorted(mine, key=lambda record: record.id))
            owned.update(record.id for record in mine)
    return History(
        migrations={key: code.migrations[key] for key in parents},
        parents={key: frozenset(value) for key, value in parents.items()},
        children={key: frozenset(value) for key, value in children.items()},
        records_of=records_of,
        decisive=decisive,
        bookkeeping=tuple(
            record for record in records if record.key in code.migrations and squashes.is_bookkeeping(record.key)
        ),
        ghosts=tuple(
            record
            for record in records
            if record.id not in owned and record.key not in code.migrations and record.key not in squashes.gone
        ),
        torn=tuple(squashes.torn),
        apart=frozenset(squashes.apart),
        on_disk=frozenset(code.migrations),
    )


class _Squashes:
    """Which squash migrations stand in for their originals, given the records and the cut.

    Django decides by "all or none of the originals are recorded" (MigrationLoader.replace_migration). Two rules are
    added: originals on both sides of the cut must stay apart, and a record of the squash alone counts as applied.
    """

    def __init__(self, code: Code, records: tuple[Record, ...], cut: Cut) -> None:
        self.code = code
        self.records_by_key: dict[Key, list[Record]] = {}
        for record in records:
            self.records_by_key.setdefault(record.key, []).append(record)
        # Two `migrate` at once record a migration twice; the oldest counts.
        self.oldest = {
            key: min(found, key=lambda record: (record.applied, record.id))
            for key, found in self.records_by_key.items()
        }
        self.cut = cut
        self.stand_in: dict[Key, Key] = {}
        self.apart: dict[Key, tuple[Key, ...]] = {}
        self.torn: list[Torn] = []
        squashes = [key for key in code.migrations if self.members(key)]
        for key in squashes:
            if any(key in self.everything_in(member) for member in self.members(key)):
                raise CodeUnusable(f"Squash migration {key} replaces itself.", hint=_OTHER_CODE)
        replaced = {member for key in squashes for member in self.members(key)}
        for key in sorted(squashes, key=lambda key: (-len(self.everything_in(key)), key)):
            if key not in replaced:
                self._settle(key)

    @property
    def gone(self) -> set[Key]:
        """Originals whose files are needed and are not there."""
        return {name for torn in self.torn for name in torn.missing}

    def members(self, key: Key) -> tuple[Key, ...]:
        migration = self.code.migrations.get(key)
        return tuple(Key(*name) for name in migration.replaces) if migration else ()

    def everything_in(self, key: Key) -> set[Key]:
        """The key itself, and all that it replaces, at any depth."""
        found, todo = set(), [key]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.members(name))
        return found

    def decisive(self, key: Key) -> frozenset[Key]:
        """The recorded names that tell whether and when this migration was applied."""
        found = frozenset[Key]().union(*(self.decisive(member) for member in self.members(key)))
        return found or (frozenset([key]) if key in self.oldest else frozenset())

    def is_bookkeeping(self, key: Key) -> bool:
        """Is the record of this squash only a note that all its originals are there?"""
        return bool(self.members(key)) and key not in self.decisive(key)

    def _complete(self, key: Key) -> bool:
        members = self.members(key)
        if any(self.decisive(member) for member in members):
            return all(self._complete(member) for member in members)
        return key in self.oldest

    def _settle(self, key: Key) -> None:
        """Put a squash in the place of all that it replaces, or leave the originals in its place."""
        inside = self.everything_in(key)
        decisions = self.decisive(key)
        one_side = len({self.cut.is_late(self.oldest[name]) for name in decisions}) <= 1
        claimed = any(name in self.stand_in for name in inside)
        if not claimed and one_side and (not decisions or self._complete(key)):
            self.stand_in.update(dict.fromkeys(inside, key))
            return
        self.apart[key] = self.members(key)
        for member in self.members(key):
            if self.members(member) and member not in self.stand_in and member not in self.apart:
                self._settle(member)
        missing = [name for name in self.members(key) if name not in self.code.migrations and name not in self.stand_in]
        if missing:
            self.torn.append(Torn(key, tuple(missing)))

    def place(self, key: Key) -> set[Key]:
        """The nodes of the graph that stand where this name stands; none, if its file is gone."""
        if key in self.stand_in:
            return {self.stand_in[key]}
        if key in self.apart:
            return set().union(*(self.place(member) for member in self.apart[key]))
        return {key} if key in self.code.migrations else set()


def _edges(code: Code, squashes: _Squashes) -> dict[Key, set[Key]]:
    parents: dict[Key, set[Key]] = {node: set() for key in code.migrations for node in squashes.place(key)}
    for child, parent in _declared(code):
        if child in squashes.apart:
            continue  # its originals have their own dependencies, as in MigrationGraph.remove_replacement_node
        above = squashes.place(parent)
        if not above and parent not in squashes.gone and parent not in squashes.apart:
            raise CodeUnusable(
                f"Migration {child} depends on {parent}, which is not in this code.",
                hint=_OTHER_CODE,
            )
        for node in squashes.place(child):
            parents[node] |= above - {node}
    return parents


def _declared(code: Code) -> Iterable[tuple[Key, Key]]:
    """(child, parent) for each dependency and each run_before, with __first__ and __latest__ looked up."""
    inside = {
        (key, Key(*dependency))
        for key, migration in code.migrations.items()
        for dependency in migration.dependencies
        if dependency[0] == key.app and dependency[1] != "__first__"
    }
    yield from inside
    with_parent = {child for child, _ in inside}
    with_child = {parent for _, parent in inside}
    first = {key.app: key for key in sorted(code.migrations, reverse=True) if key not in with_parent}
    latest = {key.app: key for key in sorted(code.migrations, reverse=True) if key not in with_child}

    def look_up(owner: Key, name: tuple[str, str]) -> Key | None:
        key = Key(*name)
        if key.name not in ("__first__", "__latest__"):
            return key
        if key.app == owner.app or key.app in code.unmigrated:
            return None
        found = (first if key.name == "__first__" else latest).get(key.app)
        if found is None:
            raise CodeUnusable(
                f"Migration {owner} depends on the app {key.app}, which is not installed.",
                hint="Add it to INSTALLED_APPS, or run this from a release whose own 'migrate' works.",
            )
        return found

    for key, migration in code.migrations.items():
        for dependency in migration.dependencies:
            if dependency[0] != key.app and (parent := look_up(key, dependency)):
                yield key, parent
        for dependant in migration.run_before:
            if child := look_up(key, dependant):
                yield child, key
