"""Generated projects and their histories, as developers make them: what is numbered is numbered as makemigrations does it.

A project grows by migrations, branches that are merged, and squashes; it is deployed now and then, and the last deployment may
break off half-way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.migrations.recorder import MigrationRecorder
from hypothesis import strategies as st

from tests.legacy.rows import T
from tests.support.databases import Database
from tests.support.history import Key
from tests.support.projects import Project, migration

APPS = ("a", "b", "c")
SECOND = timedelta(seconds=1)


@dataclass
class History:
    """files: the text of each. rows: (key, applied), oldest first. moment: the cut. linear: apps in which every migration
    follows the one before, numbered and without squashes. notes: squashes, whose rows say nothing of their own."""

    files: dict[str, dict[str, str]] = field(default_factory=lambda: {app: {} for app in APPS})
    rows: list[tuple[Key, datetime]] = field(default_factory=list)
    moment: datetime = T
    linear: set[str] = field(default_factory=lambda: set(APPS))
    notes: set[Key] = field(default_factory=set)

    def late(self) -> set[Key]:
        return {key for key, applied in self.rows if applied >= self.moment} - self.notes

    def early(self) -> set[Key]:
        return {key for key, applied in self.rows if applied < self.moment} - self.notes

    def set_up(self, project: Project, database: Database) -> None:
        """The files on disk, the rows in the database."""
        project(**{app: texts for app, texts in self.files.items() if texts})
        recorder = MigrationRecorder(database.connection)
        recorder.ensure_schema()
        recorder.migration_qs.all().delete()
        recorder.Migration.objects.using(database.alias).bulk_create(
            recorder.Migration(app=app, name=name, applied=applied) for (app, name), applied in self.rows
        )

    def left(self, database: Database) -> set[Key]:
        """What is recorded now, but for notes."""
        return set(MigrationRecorder(database.connection).applied_migrations()) - self.notes


class _Maker:
    def __init__(self, draw: st.DrawFn, *, all_numbered: bool) -> None:
        self.draw = draw
        self.all_numbered = all_numbered
        self.made = History()
        self.parents: dict[Key, list[Key]] = {}
        self.leaf: dict[str, str] = {}
        self.count = 0
        self.applied: list[Key] = []  # made, in order; the rows follow

    def number(self, app: str, parents: Sequence[str]) -> int:
        """As `makemigrations` numbers what follows these (MigrationAutodetector.parse_number)."""
        numbers = [_number(name) for name in parents]
        return max((number for number in numbers if number is not None), default=0) + 1

    def name(self, app: str, parents: Sequence[str], word: str) -> str:
        self.count += 1
        if not self.all_numbered and self.draw(st.integers(0, 5)) == 0:
            self.made.linear.discard(app)
            return f"{word}_{self.count}"
        gap = self.draw(st.sampled_from([0, 0, 0, 1])) if len(parents) == 1 and parents[0] == self.leaf.get(app) else 0
        return f"{self.number(app, parents) + gap:04}_{word}_{self.count}"

    def write(self, app: str, name: str, parents: Sequence[str], **attributes: object) -> None:
        above = [(app, parent) for parent in parents]
        others = [(other, leaf) for other, leaf in self.leaf.items() if other != app]
        above += [other for other in others if self.draw(st.integers(0, 2)) == 0]
        self.made.files[app][name] = migration("", above, **attributes)
        self.parents[app, name] = above
        self.applied.append((app, name))

    def add(self, app: str) -> None:
        parents = [self.leaf[app]] if app in self.leaf else []
        name = self.name(app, parents, "auto")
        self.write(app, name, parents)
        self.leaf[app] = name

    def branch(self, app: str) -> None:
        """Off an older migration, of which the newer ones know nothing, and merged at once."""
        own = [key[1] for key in self.parents if key[0] == app and key[1] != self.leaf.get(app)]
        if not own:
            return self.add(app)
        start = self.draw(st.sampled_from(own))
        branch = [start]
        for _ in range(self.draw(st.integers(1, 2))):
            name = self.name(app, branch[-1:], "branch")
            self.write(app, name, branch[-1:])
            branch.append(name)
        leaves = [self.leaf[app], branch[-1]]
        merge = self.name(app, leaves, self.draw(st.sampled_from(["merge", "join"])))
        self.write(app, merge, leaves)
        self.leaf[app] = merge
        self.made.linear.discard(app)
        return None

    def squash(self, app: str) -> None:
        """All that the app has, if that is a line; its row follows when all of them are applied."""
        own = [key for key in self.parents if key[0] == app]
        # What depends on the middle of a squash and is needed by its end would make a circle.
        apart = any(parent[0] != app for key in own[1:] for parent in self.parents[key])
        if len(own) < 2 or apart or app not in self.made.linear:
            return
        name = self.draw(st.sampled_from([f"0001_squashed_{own[-1][1]}", "0001_all"]))
        foreign = [parent for parent in self.parents[own[0]] if parent[0] != app]
        self.made.files[app][name] = migration("", foreign, replaces=own)
        self.made.notes.add((app, name))
        self.made.linear.discard(app)
        self.applied.append((app, name))


def _number(name: str) -> int | None:
    digits = name.split("_", maxsplit=1)[0]
    return int(digits) if digits.isdigit() else None


@st.composite
def histories(draw: st.DrawFn) -> History:
    broken_off = draw(st.booleans())
    # A branch without numbers whose merge is not applied yet looks like a line.
    maker = _Maker(draw, all_numbered=broken_off or draw(st.booleans()))
    starts = []
    for _ in range(draw(st.integers(2, 4))):
        starts.append(len(maker.applied))
        for _ in range(draw(st.integers(1, 5))):
            app = draw(st.sampled_from(APPS))
            step = draw(st.sampled_from(["add", "add", "add", "add", "branch", "squash"]))
            getattr(maker, step)(app)
    made = maker.made
    last = draw(st.integers(starts[-1], len(maker.applied))) if broken_off else len(maker.applied)
    day = 0
    for place, key in enumerate(maker.applied[:last]):
        day += place in starts
        made.rows.append((key, T + timedelta(days=day) + place * SECOND))
    # Between two deployments; if the code is applied in full, anywhere.
    cuts = [T + timedelta(days=day) for day in range(len(starts) + 1)]
    if not broken_off:
        cuts += [applied for _, applied in made.rows]
    made.moment = draw(st.sampled_from(cuts))
    return made


def described(history: History) -> Iterator[str]:
    for (app, name), applied in history.rows:
        yield f"{'late ' if applied >= history.moment else 'early'} {app}.{name}"
