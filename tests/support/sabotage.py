"""An operation whose undoing does what nobody was told."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation


class Secretly(Operation):
    """Undoing it applies another operation to the database, of which the states know nothing. `then` is SQL to run."""

    reversible = True
    reduces_to_sql = False

    def __init__(self, *operations: Operation, then: str = "") -> None:
        self.operations, self.then = operations, then

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for operation in self.operations:
            after = to_state.clone()
            operation.state_forwards(app_label, after)
            operation.database_forwards(app_label, schema_editor, to_state, after)
        if self.then:
            schema_editor.execute(self.then)
