"""Which migrate commands take this Django project back to before a moment: found from its code and its database.

    python manage.py shell < rollback_plan.py

Put it beside the newer release, which has the files of what is undone. It changes nothing; it prints the commands, to be run
from top to bottom. A line that begins with # is for you to read. It needs Python 3, Django 1.11 or newer, and nothing else.
Made by legacyrollbacksql --standalone of rollback_app.
"""

import os
import shlex
from typing import Any, Dict, Iterable, List, Set, Tuple

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_default_timezone, is_naive, make_aware

# What was applied at or after it goes. ROLLBACK_MOMENT in the environment comes before it.
MOMENT = ""
# The alias in DATABASES.
DATABASE = "default"

Key = Tuple[str, str]  # the app and the name of a migration

# Before Django 3.2, shell runs this inside a function, where classes and functions do not see what stands beside them.
globals().update(locals())


def main(text: str = "", alias: str = "") -> None:
    """Print the commands, and what they leave out."""
    alias = alias or DATABASE
    moment = parse_datetime(text or os.environ.get("ROLLBACK_MOMENT") or MOMENT)
    if moment is None or is_naive(moment):
        print("# ROLLBACK_MOMENT must be like 2024-05-01T10:00:00+00:00, with an offset. Nothing was looked at.")
        return
    project = Project(connections[alias], moment)
    commands = project.commands()
    for remark in project.remarks:
        print("# " + remark)
    for app, target in commands:
        words = ["python", "manage.py", "migrate", app, target]
        words += [] if alias == "default" else ["--database", alias]
        print(" ".join(shlex.quote(word) for word in words))
    if not commands and not project.remarks:
        print("# Nothing was applied at or after {}.".format(moment.isoformat()))


class Project:
    """The graph as Django has it and the rows, with what follows from them. remarks: what the commands leave out, and why."""

    def __init__(self, connection: Any, moment: Any) -> None:
        self.moment = moment
        self.remarks = []  # type: List[str]
        self.when = _times(connection)
        self.executor = MigrationExecutor(connection)
        self.loader = self.executor.loader  # type: Any
        self.graph = self.loader.graph  # type: Any
        self.applied = set(self.graph.nodes) & set(self.loader.applied_migrations)

    def commands(self) -> List[Key]:
        """`migrate APP TARGET`, as (app, target), in the order in which to run them. What each would undo is asked of Django."""
        goes = self._without_older_dependants(self._late())
        stays = self.applied - goes
        found = []
        while goes:
            undone_by = {command: self._undone_by(command, goes | stays) for command in self._candidates(goes)}
            fit = [command for command, undone in undone_by.items() if undone and undone <= goes]
            if not fit:
                break
            # The newest first, and of several that undo the same newest the one that undoes most.
            best = max(
                fit, key=lambda command: (max(map(self._place, undone_by[command])), len(undone_by[command]), command)
            )
            found.append(best)
            goes = goes - undone_by[best]
        for key in sorted(goes, key=self._place, reverse=True):
            self._remark(key, "no migrate command unapplies it and leaves what is older, as where branches meet.")
        return found

    def _late(self) -> Set[Key]:
        """The nodes of the graph that were applied at or after the moment."""
        found, known = set(), set()  # type: Tuple[Set[Key], Set[Key]]
        for key in sorted(self.applied):
            rows = self._deciding(key)
            known.update(rows)
            late = [row for row in rows if self.when[row][0] >= self.moment]
            if len(late) == len(rows):
                found.add(key)
            elif late:
                self._remark(key, "the moment lies between the migrations that it replaces, where migrate cannot stop.")
        for key, (applied, _) in sorted(self.when.items()):
            if applied >= self.moment and key not in known and self._deciding(key) == [key]:
                self._remark(
                    key,
                    "recorded at or after the moment, but not applied as Django sees it. Is its file in this release?",
                )
        return found

    def _without_older_dependants(self, goes: Set[Key]) -> Set[Key]:
        """What can go without taking along anything that is older."""
        fit = set()
        for key in sorted(goes):
            older = sorted(set(self.graph.backwards_plan(key)) & self.applied - goes)
            if older:
                self._remark(key, "{}.{}, which is older, depends on it.".format(*older[0]))
            else:
                fit.add(key)
        return fit

    def _candidates(self, goes: Set[Key]) -> Set[Key]:
        """To what stays below something that goes, or to zero."""
        found = set()
        for key in goes:
            below = [parent.key for parent in self.graph.node_map[key].parents if parent.key[0] == key[0]]
            found.update(
                [parent for parent in below if parent not in goes and self._is_found(parent)]
                if below
                else [(key[0], "zero")]
            )
        return found

    def _undone_by(self, command: Key, applied: Iterable[Key]) -> Set[Key]:
        app, target = command
        self.loader.applied_migrations = dict.fromkeys(applied)
        plan = self.executor.migration_plan([(app, None if target == "zero" else target)])
        return {(migration.app_label, migration.name) for migration, _ in plan}

    def _is_found(self, key: Key) -> bool:
        """Does `migrate` find it by its name? It takes the beginning of a name for the name, and zero for nothing at all."""
        app, name = key
        same = [other for other in self.loader.disk_migrations if other[0] == app and other[1].startswith(name)]
        return name != "zero" and same == [key]

    def _replaces(self, key: Key) -> List[Key]:
        migration = self.loader.disk_migrations.get(key)
        return [tuple(name) for name in migration.replaces] if migration else []

    def _deciding(self, key: Key) -> List[Key]:
        """The rows that tell when it was applied: of a squash those of its originals, where there are some."""
        originals = [row for name in self._replaces(key) for row in self._deciding(name)]
        return originals or ([key] if key in self.when else [])

    def _place(self, key: Key) -> int:
        return max(self.when[row][1] for row in self._deciding(key))

    def _remark(self, key: Key, words: str) -> None:
        text = "{}.{}: {}".format(key[0], key[1], words)
        self.remarks.append(" ".join(text.split()))  # one line, whatever the names are


def _times(connection: Any) -> Dict[Key, Tuple[Any, int]]:
    """When each migration was applied, and its place in the order of that. If a row is there twice, the oldest counts."""
    found = {}  # type: Dict[Key, Tuple[Any, int]]
    rows = MigrationRecorder(connection).migration_qs.order_by("applied", "id").values_list("app", "name", "applied")
    for place, (app, name, applied) in enumerate(rows):
        aware = make_aware(applied, get_default_timezone()) if is_naive(applied) else applied
        found.setdefault((app, name), (aware, place))
    return found


if __name__ != "rollback_app.legacy.standalone":  # imported by nobody: run
    globals().update(locals())
    main()
