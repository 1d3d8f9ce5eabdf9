"""What the members of a fleet have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from django.db.migrations import Migration

from rollback_app import project
from rollback_app.history import Code
from rollback_app.states import States

KEPT = 4  # states, which hold the rendered models: of as many groups


class Once:
    """Reads the code of the project once, and makes the states of plans that undo the same once, with the models rendered for
    them: to be kept while one looks at many databases, or rolls them back. In another process it begins anew."""

    def __init__(self) -> None:
        self._code: Code | None = None
        self._operations = 0
        self._states: deque[tuple[list[Migration], int, States]] = deque(maxlen=KEPT)

    def __reduce__(self) -> tuple[type[Once], tuple[()]]:
        return Once, ()

    def code(self) -> Code:
        """See `project.code`. Read anew after receivers of pre_migrate have added operations to migrations."""
        if self._code is None or self._operations != _operations(self._code):
            self._code = project.code()
            self._operations = _operations(self._code)
        return self._code

    def states(self, kept: Iterable[Migration], undone: Sequence[Migration], real_apps: Iterable[str]) -> States:
        """See `States`."""
        kept = list(kept)
        migrations = [*kept, *undone]
        for known, stay, states in self._states:
            # The very same: those of packages and the project's own reverses may differ from database to database.
            if (
                stay == len(kept)
                and len(known) == len(migrations)
                and all(map(_is, known, migrations))
                and states.fresh
            ):
                return states
        made = States(kept, undone, real_apps)
        self._states.appendleft((migrations, len(kept), made))
        return made


def _operations(code: Code) -> int:
    return sum(len(migration.operations) for migration in code.migrations.values())


def _is(one: object, other: object) -> bool:
    return one is other
