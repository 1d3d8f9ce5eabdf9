"""The journal: what this app did to a database, a row for each run, in the database that it is about.

Times are text, as ISO 8601 in UTC, so that they mean the same whatever USE_TZ says.
"""

from __future__ import annotations

import base64
import getpass
import json
import socket
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from django.db import models
from django.db.migrations.recorder import MigrationRecorder

from rollback_app.database import Database
from rollback_app.history import Backup, Key, Outcome, Position, Record, Run, State
from rollback_app.planner import Plan

from .tables import OwnMeta, Table, Unreadable

TABLE = "rollback_app_run"
HISTORY = MigrationRecorder.Migration._meta.db_table


class RunEntry(models.Model):
    """A run. moment: in UTC, if there is one. one_transaction: did it run as one? Null if it was written by a release that
    did not say. history: which table `django_migrations` was (`Database.made`). steps: JSON, [[app, name, applied, [ids of
    its rows]], …] in the order of the plan. own_reverses: JSON, [[app, name], …], or empty. The columns from `inside` on
    tell how far a step has come that is not one transaction (`Position`); `inside` is empty between steps. state: what there
    was before, compressed (`_packed`), or empty. backup: JSON, that was taken before, or empty."""

    started = models.CharField(max_length=40)
    finished = models.CharField(max_length=40, default="")
    outcome = models.CharField(max_length=20, default=Outcome.STARTED.value)
    operator = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    command = models.TextField()
    moment = models.CharField(max_length=40)
    history = models.CharField(max_length=40)
    digest = models.CharField(max_length=20)
    release = models.CharField(max_length=200)
    steps = models.TextField()
    steps_done = models.IntegerField(default=0)
    one_transaction = models.BooleanField(null=True)
    seconds = models.FloatField(default=0)
    error = models.TextField(default="")
    inside = models.TextField(default="")
    operations_done = models.IntegerField(default=0)
    statements = models.TextField(default="")
    statements_done = models.IntegerField(default=0)
    doubtful = models.BooleanField(default=True)
    reason = models.TextField(default="")
    own_reverses = models.TextField(default="")
    state = models.TextField(default="")
    backup = models.TextField(default="")

    class Meta(OwnMeta):
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.pk}: {self.outcome}"


class Journal:
    """The journal of one database. Reading needs no table; writing raises the errors of Django's database layer."""

    def __init__(self, database: Database, runs: Table | None = None) -> None:
        """runs: where it is written."""
        self.database = database
        self.runs = runs or Table(database, RunEntry, seldom=["state"])
        self.number = 0
        self.began = 0.0
        self.in_doubt_before = 0  # the number of the first statement done that ends the doubt of an earlier run

    @property
    def ignored(self) -> bool:
        """Could it not be read, and was that said?"""
        return self.runs.told

    def begin(
        self,
        plan: Plan,
        moment: datetime | None,
        command: str,
        *,
        one_transaction: bool,
        reason: str = "",
        state: State,
        backup: Backup | None = None,
    ) -> None:
        """Note that a run starts. moment: None for a set of migrations, which is no time. state: what there is before it. backup:
        that was taken before it."""
        steps = [[*step.key, step.applied.isoformat(), [row.id for row in step.records]] for step in plan.steps]
        own = [list(step.key) for step in plan.steps if any(effect.own for effect in step.effects)]
        self.number = self.runs.add(
            started=now(),
            operator=operator(),
            host=socket.gethostname(),
            command=command,
            moment=moment.isoformat() if moment else "",
            history=self.database.made(HISTORY),
            digest=plan.digest,
            release=plan.release,
            steps=json.dumps(steps),
            one_transaction=one_transaction,
            reason=reason,
            own_reverses=json.dumps(own) if own else "",
            state=_packed(state),
            backup=json.dumps({**vars(backup), "made": backup.made.isoformat()}) if backup else "",
        )
        self.began = time.monotonic()

    def failed(self, error: str, *, doubtful: bool) -> None:
        """Note why the run broke off, unless it was committed before that. doubtful: may the statement under way be done? One
        that an earlier run may have done may still be, whatever the database says now: that its table is locked, perhaps."""
        self._end(Outcome.FAILED, error=error, doubtful=doubtful or bool(self.in_doubt_before))

    # As the executor's Bookmark, of a run that began

    def step_begun(self, position: Position) -> None:
        self.in_doubt_before = position.statements_done + 1 if position.doubtful else 0
        self._note(
            inside=json.dumps([*position.key, list(position.records)]),
            operations_done=position.operations,
            statements="" if position.statements is None else json.dumps(position.statements),
            statements_done=position.statements_done,
            doubtful=True,
        )

    def operation_begun(self, statements: Sequence[str], done: int) -> None:
        self._note(statements=json.dumps(statements), statements_done=done, doubtful=True)

    def statement_done(self, number: int) -> None:
        self.in_doubt_before = self.in_doubt_before if number < self.in_doubt_before else 0
        self._note(statements_done=number, doubtful=True)

    def operation_done(self, number: int) -> None:
        self.in_doubt_before = 0
        self._note(operations_done=number, statements="", statements_done=0, doubtful=True)

    def step_done(self, number: int) -> None:
        self._note(steps_done=number, inside="")

    def finished(self) -> None:
        self._end(Outcome.FINISHED)

    def _end(self, outcome: Outcome, **values: Any) -> None:
        seconds = time.monotonic() - self.began
        self._note(outcome=outcome.value, finished=now(), seconds=seconds, **values)

    def _note(self, **values: Any) -> None:
        self.runs.change(self.number, {"outcome": Outcome.STARTED.value}, **values)

    # Reading

    def position(self) -> Position | None:
        """Where the newest run that broke off inside a step stands."""
        made = self.database.made(HISTORY)
        found = self.runs.read(partial(_position, made=made), outcome=Outcome.FINISHED.value, inside="")
        return next(iter(found), None)

    def state(self, number: int) -> State | None:
        """What there was before a run; None, if that was not noted, or cannot be read."""
        try:
            return self.runs.must_find(lambda row: _unpacked(row.state) if row.state else None, number)
        except Unreadable:
            return None

    def records(self) -> list[Run]:
        """All runs, newest first."""
        found = self.runs.read(_record)
        unended = [number for number, run in enumerate(found) if run.outcome is Outcome.STARTED]
        holder = self.database.rollback_under_way() if unended else None
        for number in unended:
            # There is but one at a time: the newest that has not ended, if anybody is running one at all.
            if holder is None or number != unended[0]:
                sure = found[number].one_transaction or self.database.holds_lock_between_steps
                found[number] = replace(found[number], outcome=Outcome.KILLED if sure else Outcome.UNKNOWN)
        return found


def _position(run: Any, made: str) -> Position:
    app, name, rows = json.loads(run.inside)
    return Position(
        key=Key(app, name),
        records=tuple(rows),
        operations=run.operations_done,
        statements=tuple(json.loads(run.statements)) if run.statements else None,
        statements_done=run.statements_done,
        doubtful=run.doubtful,
        command=run.command,
        restored=run.history != made,
    )


def _record(run: Any) -> Run:
    steps = tuple((Key(app, name), datetime.fromisoformat(applied)) for app, name, applied, _ in json.loads(run.steps))
    finished = datetime.fromisoformat(run.finished) if run.finished else None
    return Run(
        number=run.id,
        started=datetime.fromisoformat(run.started),
        finished=finished,
        outcome=Outcome(run.outcome),
        operator=run.operator,
        host=run.host,
        command=run.command,
        moment=datetime.fromisoformat(run.moment) if run.moment else None,
        digest=run.digest,
        release=run.release,
        steps=steps,
        steps_done=len(steps) if run.outcome == Outcome.FINISHED else run.steps_done,
        seconds=run.seconds,
        error=run.error,
        one_transaction=run.one_transaction,
        inside=bool(run.inside),
        reason=run.reason,
        own_reverses=frozenset(Key(*name) for name in json.loads(run.own_reverses or "[]")),
        backup=_backup(json.loads(run.backup)) if run.backup else None,
    )


def _backup(noted: dict[str, Any]) -> Backup:
    return Backup(**{**noted, "made": datetime.fromisoformat(noted["made"])})


def _packed(state: State) -> str:
    """JSON, compressed, as text, since not all databases have the same column for bytes."""
    records = [[record.id, *record.key, record.applied.isoformat()] for record in state.records]
    text = json.dumps({"records": records, "tables": dict(state.tables), "why_not": state.why_not})
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(text: str) -> State:
    """Errors: ValueError, LookupError, TypeError, of what `_packed` has not made."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode(text)))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    records = [
        Record(number, Key(app, name), datetime.fromisoformat(applied))
        for number, app, name, applied in found["records"]
    ]
    return State(tuple(records), found["tables"], found["why_not"])


def now() -> str:
    """As our tables have times."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def operator() -> str:
    """Who runs this; empty if nobody can tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return ""
