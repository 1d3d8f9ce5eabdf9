"""Watches each statement of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from django.db import transaction
from django.db.migrations.operations.base import Operation
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.bookkeeping import HOLDS_TABLE, KEPT_TABLE, OBJECTS_TABLE, RUNS_TABLE, SNAPSHOTS_TABLE
from rollback_app.database import Database, Mark, details, first_line, mark, sqlstate
from rollback_app.errors import Locked, RollbackError
from rollback_app.planner import Plan, Step, name_of_code
from rollback_app.safety import Comparison
from rollback_app.states import States

from . import advice
from .failures import KEEPING, NotAsExpected, StepFailed
from .objects import ObjectGuard
from .progress import Progress
from .verification import Verifier


class Watch:
    """Watches each statement of a run: remembers the last one for the message, whether rows were changed, and which tables were
    touched, to verify them. by_code: are the statements those of SQL or code of a migration, or of a receiver?"""

    def __init__(
        self, database: Database, progress: Progress, *, verify: bool, one_transaction: bool, named: Collection[str]
    ) -> None:
        self.database = database
        self.progress = progress
        self.sql = ""
        self.changed_rows = False
        self.by_code = False
        self.comparison: Comparison | None = None
        self.mark: Mark | None = None  # of the transaction of the run, or of a step
        self._one_transaction = one_transaction
        # Of the last statements that failed. Code may catch such errors, many times.
        self._failed: deque[tuple[Exception, str]] = deque(maxlen=5)
        self._wanted = verify
        self._verifier: Verifier | None = None
        self._named = set(named)
        self._touches = True
        self._guard: ObjectGuard | None = None
        self._inside = False  # the step in which an earlier run stopped?
        self._rest: Plan | None = None

    def prepare_to_verify(self, plan: Plan, states: States) -> None:
        if self._wanted:
            self._verifier = Verifier(self.database, plan, states)
        # In the middle of a step, the tables are not as its states say; the run that stopped there has named what goes.
        self._inside, self._rest = plan.earlier.resumes is not None, plan.with_tables_of_today
        if self.database.remakes_tables or (self._wanted and not self._inside):
            self._guard = ObjectGuard(self.database, plan, states, self._named)

    def step_undone(self, step: Step) -> None:
        """Errors: StepFailed, as `check_objects`."""
        if not self._inside:
            self.check_objects(step)
        elif self._rest:  # now they are
            self._inside = False
            if self._wanted or self.database.remakes_tables:
                self._guard = ObjectGuard(self.database, self._rest, self._rest.states(), self._named)

    def expects_gone(self, names: Collection[str]) -> None:
        """Objects of these names may be gone from now on."""
        self._named |= set(names)

    @contextmanager
    def not_touching(self) -> Iterator[None]:
        """What is sent inside names tables without changing them."""
        self._touches = False
        try:
            yield
        finally:
            self._touches = True

    @contextmanager
    def operation(self, step: Step, operation: Operation) -> Iterator[None]:
        """An operation is undone inside."""
        self.progress.undoing(operation)
        with self._guard.around(step, operation) if self._guard else nullcontext():
            yield
        self.progress.undoing(None)

    def check_objects(self, step: Step | None) -> None:
        """Errors: StepFailed, if something is gone that no migration knows, and that the plan has not named."""
        if self._guard and self._wanted and not self._inside:
            self._guard.check(step)

    def verify(self, *, stays: bool) -> None:
        """stays: is the run committed already? Errors: NotAsExpected."""
        self.check_objects(None)
        if self._verifier:
            verifier, self._verifier = self._verifier, None  # its own statements touch nothing
            self.comparison = verifier.comparison()
            self.progress.verified(self.comparison)
            if self.comparison.new:
                raise NotAsExpected(self.comparison, stays=stays)

    def mark_transaction(self) -> None:
        self.mark = mark(self.database.connection)

    def check_transaction(self, step: Step | None, doing: str) -> None:
        """Errors: StepFailed, if the run is one transaction, and somebody has ended that."""
        sql = self.sql if step else ""
        if self._one_transaction and self.mark and not self.mark.is_open():
            words = "this ended the transaction of the run"
            raise StepFailed(step, doing, words, sql=sql, ended=True, what_to_do=advice.ENDED)

    def guard_callbacks(self) -> None:
        """What reverse code registered with `on_commit` runs after the commit. If it raises then, the run is done all the same,
        and a warning tells."""

        def guarded(call: Callable[[], object]) -> None:
            try:
                call()
            # Code of the project's, which may raise anything.
            except Exception as error:  # noqa: BLE001
                words = f"{name_of_code(call)}, registered with on_commit, failed: {type(error).__name__}"
                self.progress.warned(f"{words}: {first_line(error)}. The rollback itself is committed.")

        connection = self.database.connection
        connection.run_on_commit = [
            (entry[0], partial(guarded, entry[1]), *entry[2:]) for entry in connection.run_on_commit
        ]

    @contextmanager
    def failures(self, step: Step | None, doing: str) -> Iterator[None]:
        """Whatever goes wrong inside becomes a StepFailed with the facts, chained to the original."""
        try:
            yield
        except Locked as error:
            if step is None:
                raise  # before anything was done
            raise StepFailed(step, "taking the lock", error.message, locked=True) from error
        except RollbackError:
            raise
        except KeyboardInterrupt as error:
            raise StepFailed(step, doing, "it was interrupted", doubtful=True, what_to_do=advice.INTERRUPTED) from error
        # Reverse code and signal receivers may raise anything.
        except Exception as error:
            raise self._failure(step, doing, error) from error

    @contextmanager
    def keeping(self, step: Step | None, *, begun: bool = False) -> Iterator[None]:
        """What is dropped is kept, or compared with what was kept. begun: is something of this step done by then?"""
        try:
            with self.failures(step, KEEPING):
                yield
        except (StepFailed, Locked):
            raise
        except RollbackError as error:
            doing = "comparing what is dropped with what is kept"
            raise StepFailed(step if begun else None, doing, error.message, what_to_do=error.hint) from error

    def _failure(self, step: Step | None, doing: str, error: Exception) -> StepFailed:
        cause, sql = self._cause(error)
        ended = self._has_ended()
        if not isinstance(error, (DatabaseError, InterfaceError)):
            words = f"{type(error).__name__}: {first_line(error)}"
            return StepFailed(step, doing, words, sql=sql, ended=ended, what_to_do=advice.about_code(error))
        earlier = [f"The statement before it had failed: {first_line(cause)}"] if _is_consequence(error) else []
        return StepFailed(
            step,
            doing,
            first_line(error if earlier else cause),
            sql=sql,
            details=[*earlier, *details(cause)],
            locked=self.database.is_lock_timeout(cause),
            doubtful=not self.database.is_answer(error),
            ended=ended,
            what_to_do=advice.about(error if earlier else cause),
        )

    def _has_ended(self) -> bool:
        """Was the transaction ended before the failure? One that takes no more statements cannot be asked."""
        if self.mark is None or not self.database.connection.in_atomic_block:  # the failure itself has ended it
            return False
        try:
            return not self.mark.is_open()
        except (DatabaseError, InterfaceError):
            return False

    def _cause(self, error: BaseException) -> tuple[BaseException, str]:
        """The error of the statement that failed, and that. A statement that Django sends later, to clean up, may have failed
        because of it; and code may have gone on after it."""
        if _is_consequence(error) and self._failed:
            return self._failed[-1]
        chain = list(_chain(error))
        return next(((failed, sql) for failed, sql in reversed(self._failed) if failed in chain), (error, ""))

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if any(table in sql for table in _NOTES) or self.database.is_placing(sql):
            return execute(sql, params, many, context)  # our own notes, or no matter of the run's
        if self._guard:
            self._guard.saw(sql)
        self.sql = sql
        self.changed_rows = self.changed_rows or sql.split(None, 1)[:1] not in _NO_ROWS
        try:
            result = execute(sql, params, many, context)
        except (DatabaseError, InterfaceError) as error:
            if not _is_consequence(error) and not sql.startswith(_CLEANS_UP):
                self._failed.append((error, sql))
            raise
        if self._verifier and self._touches:
            self._verifier.saw(sql, by_code=self.by_code)
        if self.progress.shows_sql:
            operations = self.database.connection.ops
            self.progress.ran(operations.last_executed_query(context["cursor"].cursor, sql, params))
        return result


def _is_consequence(error: BaseException) -> bool:
    """Was the statement refused only because an earlier one of its transaction failed?"""
    return isinstance(error, transaction.TransactionManagementError) or sqlstate(error) == "25P02"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised from or while handling."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


_NOTES = (RUNS_TABLE, KEPT_TABLE, HOLDS_TABLE, OBJECTS_TABLE, SNAPSHOTS_TABLE)
_CLEANS_UP = ("PRAGMA", "RELEASE", "ROLLBACK", "SAVEPOINT")
_NO_ROWS = (["ALTER"], ["CREATE"], ["DROP"], ["COMMENT"], ["SET"], ["SELECT"], ["PRAGMA"])
