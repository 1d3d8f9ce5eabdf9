"""Sends pre_migrate and post_migrate around a run, as `migrate` does, and keeps the run apart from what receivers break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from importlib import import_module
from io import StringIO
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import apps as installed_apps
from django.core.management.base import OutputWrapper
from django.db import transaction
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.signals import post_migrate, pre_migrate
from django.db.utils import DatabaseError, InterfaceError
from django.dispatch import Signal
from django.utils.module_loading import module_has_submodule

from rollback_app.database import Database, first_line
from rollback_app.planner import Plan
from rollback_app.states import States

from .progress import AFTER, BEFORE, RECEIVERS
from .watch import Watch


class _LeftBroken(Exception):
    """A receiver returned and left a transaction that takes no more statements."""


@contextmanager
def signals(database: Database, plan: Plan, watch: Watch) -> Iterator[States]:
    """Send each signal once for the whole run.

    A receiver of pre_migrate that raises stops the run before anything is changed. A receiver of post_migrate was written for
    tables that match today's models: if it raises, its own changes are rolled back, a warning names it, and the run goes on.

    Errors: StepFailed.
    """
    for app_config in installed_apps.get_app_configs():
        if module_has_submodule(app_config.module, "management"):
            import_module(".management", app_config.name)
    sent = [(step.migration, True) for step in plan.steps if not step.fake]
    states = plan.states()
    operations = sum(len(migration.operations) for migration, _ in sent)
    with closing(_Apart(database)) as apart, watch.progress.beside(BEFORE, RECEIVERS):
        for name, call in _calls(pre_migrate, database, apps=states.start().apps, plan=sent):
            with watch.failures(None, f"in {name}, a receiver of pre_migrate"):
                try:
                    apart(call)
                except _LeftBroken as error:
                    _go_on(database, watch, f"{name}, a receiver of pre_migrate,", error, "")
    # Receivers may add operations to these migrations: contenttypes does, to rename its rows.
    if operations != sum(len(migration.operations) for migration, _ in sent):
        states = plan.states()
    yield states
    after = _with_relations(states.end())
    watch.by_code = True
    with closing(_Apart(database)) as apart, watch.progress.beside(AFTER, RECEIVERS):
        for name, call in _calls(post_migrate, database, apps=after, plan=sent):
            with watch.failures(None, f"in {name}, a receiver of post_migrate"):
                try:
                    apart(call)
                # A receiver may raise anything. The run does not depend on it.
                except Exception as error:  # noqa: BLE001
                    then = " The older release's next migrate runs its own."
                    _go_on(database, watch, f"{name}, a receiver of post_migrate,", error, then)


def _calls(signal: Signal, database: Database, **named: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each receiver for each app, as Django would call it: (its name and the app, the call)."""
    for config in installed_apps.get_app_configs():
        if config.models_module is None:
            continue
        found: Any = signal._live_receivers(config)  # noqa: SLF001  # Django has no public way to call them one by one
        sync, asynchronous = found if isinstance(found, tuple) else (found, [])  # a list on Django 4.2
        arguments = {
            "signal": signal,
            "sender": config,
            "app_config": config,
            "using": database.alias,
            "verbosity": 0,
            "interactive": False,
            "stdout": OutputWrapper(StringIO()),
            **named,
        }
        for receiver, call in [
            *((each, each) for each in sync),
            *((each, async_to_sync(each)) for each in asynchronous),
        ]:
            yield f"{_name(receiver)} (app {config.label})", partial(call, **arguments)


def _name(receiver: Any) -> str:
    """Module and name of a function or method; of anything else that can be called, those of its class."""
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{named.__module__}.{named.__qualname__}"


class _Apart:
    """Calls receivers. In a transaction each gets a savepoint of its own, and whatever it breaks is rolled back to that. A
    savepoint in which nothing was done serves the next receiver too: most have nothing to do, and there is one call for each app.
    """

    def __init__(self, database: Database) -> None:
        self._connection, self._alias = database.connection, database.alias
        self._unused: ExitStack | None = None

    def close(self) -> None:
        if self._unused:
            self._unused.close()

    def __call__(self, call: Callable[[], Any]) -> None:
        """Errors: those of the receiver; _LeftBroken."""
        if self._connection.in_atomic_block:
            self._with_savepoint(call)
            return
        try:
            call()
        finally:
            if not self._connection.get_autocommit():
                self._connection.rollback()
                self._connection.set_autocommit(True)

    def _with_savepoint(self, call: Callable[[], Any]) -> None:
        connection, seen = self._connection, _Statements()
        returned = broken = False
        callbacks = len(connection.run_on_commit)
        try:
            with self._savepoint() as savepoint:
                with connection.execute_wrapper(seen):
                    call()
                returned, broken = True, connection.needs_rollback
                if not (seen.any or broken or len(connection.run_on_commit) > callbacks):
                    self._unused = savepoint.pop_all()
        # PostgreSQL releases no savepoint in a transaction that a caught error has broken.
        except DatabaseError as error:
            if not returned:
                raise
            seen.first_error, broken = seen.first_error or error, True
        if broken:
            words = f" ({first_line(seen.first_error)})" if seen.first_error else ""
            raise _LeftBroken(f"left the transaction broken{words}")

    def _savepoint(self) -> ExitStack:
        found, self._unused = self._unused, None
        if found is None:
            found = ExitStack()
            found.enter_context(transaction.atomic(using=self._alias))
        return found


class _Statements:
    """Notes whether there was any, and the first error of one, which a receiver may have caught."""

    any = False
    first_error: BaseException | None = None

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.any = True
        try:
            return execute(sql, params, many, context)
        except (DatabaseError, InterfaceError) as error:
            self.first_error = self.first_error or error
            raise


def _go_on(database: Database, watch: Watch, receiver: str, error: Exception, then: str) -> None:
    """Warn of a receiver whose changes were rolled back. If they were not, that fails the run."""
    if database.connection.needs_rollback:
        transaction.set_rollback(False, using=database.alias)
        with suppress(DatabaseError, InterfaceError):  # the connection may be closed
            watch.check_transaction(None, f"in {receiver.rstrip(',')}")
        raise error
    words = str(error) if isinstance(error, _LeftBroken) else f"failed: {type(error).__name__}: {first_line(error)}"
    rolled_back = "Its changes were rolled back, and the" if database.connection.in_atomic_block else "The"
    watch.progress.warned(
        f"{receiver} {words}. {rolled_back} run goes on. The older release's next migrate runs its own."
    )


def _with_relations(state: ProjectState) -> Any:
    """The models of a final state; those of apps without migrations are rendered without relations at first."""
    apps: Any = state.apps
    with apps.bulk_update():
        keys = [(model.app_label, model.name_lower) for model in apps.real_models]
        for key in keys:
            apps.unregister_model(*key)
    apps.render_multiple([ModelState.from_model(installed_apps.get_model(*key)) for key in keys])
    return apps
