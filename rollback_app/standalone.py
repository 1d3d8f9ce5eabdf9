"""Which migrate commands take this Django project back to before a moment: found from its code and its database.

    python manage.py shell < rollback_plan.py

Put it beside the newer release, which has the files of what is undone. It changes nothing; it prints the commands, to be run
from top to bottom. A line that begins with # is for you to read. Works with Django 1.11 to 6 on Python 3, and nothing else.
Made by legacyrollbacksql --standalone of rollback_app.
"""

import os
import shlex

from django.db import connections
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_default_timezone, is_naive, make_aware

# What was applied at or after it goes. ROLLBACK_MOMENT in the environment comes before it.
MOMENT = ""
# The alias in DATABASES.
DATABASE = "default"


def main(text: str = "", alias: str = "") -> int:
    """Print the commands; the number of migrations for which there is none."""
    moment = parse_datetime(text or os.environ.get("ROLLBACK_MOMENT") or MOMENT)
    if moment is None or is_naive(moment):
        print("# ROLLBACK_MOMENT must be like 2024-05-01T10:00:00+00:00, with its offset. Nothing was looked at.")
        return 1
    project = Project(alias or DATABASE, moment)
    commands = project.commands()
    for remark in project.remarks:
        print("# " + remark)
    for words in commands:
        print(" ".join(shlex.quote(word) for word in words))
    if not commands and not project.remarks:
        print("# Nothing was applied at or after " + moment.isoformat())
    return len(project.remarks)


class Project:
    """The graph as Django has it, the rows, and what follows from them. A migration is a tuple (app, name)."""

    def __init__(self, alias: str, moment) -> None:
        self.alias = alias
        self.connection = connections[alias]
        self.moment = moment
        self.remarks = []
        self.when = self.times()
        self.recorded = MigrationRecorder(self.connection).applied_migrations()
        loader = MigrationExecutor(self.connection).loader
        self.disk = set(loader.disk_migrations)
        self.nodes = set(loader.graph.nodes)
        self.replaces = {key: [tuple(name) for name in loader.disk_migrations[key].replaces] for key in self.disk}
        self.applied = self.nodes & set(loader.applied_migrations)
        self.children = {
            key: {child.key for child in loader.graph.node_map[key].children} & self.nodes for key in self.nodes
        }
        self.parents = {
            key: {parent.key for parent in loader.graph.node_map[key].parents} & self.nodes for key in self.nodes
        }

    def times(self):
        """When each migration was applied, and its place among all. A row recorded twice counts from the first time on."""
        found = {}
        rows = MigrationRecorder(self.connection).migration_qs.order_by("applied", "id")
        for place, row in enumerate(rows.values_list("app", "name", "applied")):
            applied = make_aware(row[2], get_default_timezone()) if is_naive(row[2]) else row[2]
            found.setdefault((row[0], row[1]), (applied, place))
        return found

    def deciding(self, key):
        """The rows that tell when it was applied: of a squash those of its originals, where there are some."""
        found = [row for name in self.replaces.get(key, ()) for row in self.deciding(name)]
        return found or ([key] if key in self.when else [])

    def is_late(self, key):
        return self.when[key][0] >= self.moment

    def commands(self):
        """The commands, as lists of words. What they leave out is told in `remarks`."""
        goes = self.chosen()
        found = []
        left = set(goes)
        while left:
            best = max(self.candidates(left), default=None)
            if best is None:
                break
            app, target = best[1:]
            found.append(["python", "manage.py", "migrate", app, target] + self.suffix())
            left -= self.undone(app, target)
            goes_on = self.simulate(found, goes - left)
            if not goes_on:
                return []
        for key in sorted(left, key=self.newest, reverse=True):
            self.remark(key, "no migrate command unapplies it without also unapplying something older, as in a branch.")
        return found

    def suffix(self):
        return [] if self.alias == "default" else ["--database", self.alias]

    def remark(self, key, words: str) -> None:
        # One line, whatever the names are.
        self.remarks.append(" ".join("{}.{}: {}".format(key[0], key[1], words).split()))

    def newest(self, key):
        return max(self.when[name][1] for name in self.deciding(key))

    def chosen(self):
        """The nodes of the graph that go."""
        goes = set()
        stands_for = set()
        for key in self.applied:
            rows = self.deciding(key)
            stands_for.update(rows, [key])
            late = [name for name in rows if self.is_late(name)]
            if late and len(late) == len(rows):
                goes.add(key)
            elif late:
                self.remark(key, "the moment is between the migrations that it replaces, where migrate cannot stop.")
        for key in sorted(self.when):
            if self.is_late(key) and key not in stands_for and not self.is_note(key):
                self.remark(key, "recorded at or after the moment, but not in this code. Use the release that has its file.")
        return self.without_older_dependants(goes)

    def is_note(self, key):
        """Is it a squash whose originals are recorded themselves?"""
        return bool(self.replaces.get(key)) and key not in self.deciding(key)

    def without_older_dependants(self, goes):
        """What can go without taking along anything that stays."""
        fit = set()
        for key in goes:
            older = sorted((self.descendants([key]) & self.applied) - goes)
            if older:
                self.remark(key, "{}.{} was applied before the moment and depends on it.".format(*older[0]))
            else:
                fit.add(key)
        return fit

    def descendants(self, start):
        """The nodes themselves, and all that depends on them."""
        found = set()
        todo = list(start)
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                todo.extend(self.children[key])
        return found

    def undone(self, app, target):
        """What `migrate app target` undoes (MigrationExecutor.migration_plan): the target's children in its app, or the app's
        first migrations, and all that depends on those."""
        if target == "zero":
            first = [key for key in self.nodes if key[0] == app and not any(above[0] == app for above in self.parents[key])]
        else:
            first = [key for key in self.children[(app, target)] if key[0] == app]
        return self.descendants(first) & self.applied

    def candidates(self, left):
        """(rank, app, target) of each command that undoes some of what is left and nothing else: the newest first, and then
        what undoes most."""
        for app in {key[0] for key in left}:
            stays = [key[1] for key in self.applied - left if key[0] == app]
            for target in ["zero"] + [name for name in stays if self.is_clear(app, name)]:
                undone = self.undone(app, target) & (self.applied - self.gone(left))
                if undone and undone <= left:
                    yield (max(self.newest(key) for key in undone), len(undone)), app, target

    def gone(self, left):
        return set()

    def is_clear(self, app, name):
        """Does migrate, which takes the beginning of a name for the name, find this one?"""
        return name != "zero" and not any(key != (app, name) and key[0] == app and key[1].startswith(name) for key in self.disk)
