"""Both ways of undoing the same migrations, Django's expensive one and ours, and every statement that each sends.

`python -m tests.support.equality VENDOR` compares them on the migrations of a whole project, given by its settings.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from rollback_app.states import States, database_operations
from tests.support.databases import Database, empty

Make = Callable[[], Sequence[Migration]]  # new each time: operations can be changed by running them
Statements = list[tuple[str, str]]
_Undo = tuple[Operation, ProjectState, ProjectState]


def both_ways(database: Database, make: Make, keep: int, real_apps: set[str]) -> tuple[Statements, Statements]:
    """(Django's, ours): the statements that undo all but the first `keep` migrations, on a database that is emptied."""
    connection = database.connection
    found = []
    for walk in (djangos_way, our_way):
        empty(database)
        state = ProjectState(real_apps=real_apps)
        for migration in make():
            with connection.schema_editor(atomic=migration.atomic) as editor:
                state = migration.apply(state, editor)
        migrations = make()  # RenameField has changed the fields of other operations
        with captured(connection) as statements:
            backwards(connection, walk(migrations[:keep], migrations[keep:], real_apps))
        found.append(statements)
    return found[0], found[1]


def backwards(connection: BaseDatabaseWrapper, walk: Iterator[tuple[Migration, list[_Undo]]]) -> None:
    for migration, undos in walk:
        with connection.schema_editor(atomic=migration.atomic) as editor:
            for operation, from_state, to_state in undos:
                operation.database_backwards(migration.app_label, editor, from_state, to_state)


def djangos_way(
    kept: Sequence[Migration], undone: Sequence[Migration], real_apps: set[str]
) -> Iterator[tuple[Migration, list[_Undo]]]:
    """A copy of the whole state for each operation, each rendered whole, oldest first: as Migration.unapply does, but in the
    order of the plan."""
    state = ProjectState(real_apps=real_apps)
    for migration in kept:
        state = migration.mutate_state(state, preserve=False)
    found = []
    for migration in undone:
        undos = []
        for operation in migration.operations:
            before = state
            state = _clone(before)
            operation.state_forwards(migration.app_label, state)
            assert before.apps
            assert state.apps
            undos.append((operation, state, before))
        found.append((migration, undos[::-1]))
    yield from reversed(found)


def _clone(state: ProjectState) -> ProjectState:
    """Deeper than Django's own, which shares the fields that a renaming changes in place; and rendered afresh, for models
    that are reloaded change their order, on which that of statements depends."""
    cloned = state.clone()
    vars(cloned).pop("apps", None)
    for model in cloned.models.values():
        model.fields = {name: field.clone() for name, field in model.fields.items()}
    return cloned


def our_way(
    kept: Sequence[Migration], undone: Sequence[Migration], real_apps: set[str]
) -> Iterator[tuple[Migration, list[_Undo]]]:
    for migration, undos in States(kept, undone, real_apps).backwards():
        nested = [found for undo in undos for found in database_operations(undo, migration.app_label)]
        yield migration, [(copy.copy(undo.operation), undo.from_state, undo.to_state) for undo in nested]


@contextmanager
def captured(connection: BaseDatabaseWrapper) -> Iterator[Statements]:
    found: Statements = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        found.append((str(sql), repr(params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        yield found


def main(vendor: str) -> None:
    import django

    django.setup()
    from django.db.migrations.loader import MigrationLoader

    def make() -> list[Migration]:
        loader = MigrationLoader(None)
        ordered = dict.fromkeys(key for leaf in loader.graph.leaf_nodes() for key in loader.graph.forwards_plan(leaf))
        return [loader.graph.nodes[key] for key in ordered]

    irreversible = [
        place for place, made in enumerate(make(), start=1) if not all(found.reversible for found in made.operations)
    ]
    djangos, ours = both_ways(Database("default", vendor), make, max(irreversible, default=0), set())
    for number, (theirs, our) in enumerate(zip(djangos, ours, strict=False)):
        if theirs != our:
            sys.exit(f"statement {number} differs:\n{theirs}\n{our}")
    if len(djangos) != len(ours):
        sys.exit(f"{len(djangos)} statements, ours: {len(ours)}")
    print(len(ours))


if __name__ == "__main__":
    main(sys.argv[1])
