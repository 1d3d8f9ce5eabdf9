"""What the options of the main command mean, and the line that types them again."""

from __future__ import annotations

import shlex
from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from rollback_app import conf, project, workflow
from rollback_app.database import Timeouts
from rollback_app.errors import UsageError
from rollback_app.management.base import amount
from rollback_app.moments import kinds
from rollback_app.packages import Package
from rollback_app.planner import DEFAULT_GAP, Choices
from rollback_app.safety import Approved, Keeping, Level, Preview, Size, approved_in, is_digest


def moment(options: dict[str, Any], command: str = "rollbackmigrationsafter", lists: str = "showdeployments") -> str:
    """The moment as it was typed, in one word or in several. command: that is given, and which one lists moments for it.
    Errors: UsageError, if there is none."""
    given = options["moment"]
    if not given:
        raise UsageError(
            f'Which moment? Give a date and time, or "last". `{lists}` lists them.',
            hint=f'For example: python manage.py {command} "2024-05-01 10:00" --plan',
        )
    return given if isinstance(given, str) else " ".join(given)


def databases(options: dict[str, Any]) -> list[str]:
    given = options["database"] or [DEFAULT_DB_ALIAS]
    return [given] if isinstance(given, str) else given


def choices(options: dict[str, Any]) -> Choices:
    return Choices(
        cascade=options["cascade"],
        split_deployment=options["split_deployment"],
        exclude=tuple(options["exclude"]),
        fake=tuple(options["fake"]),
        start_over=options["start_over"],
        gap=timedelta(minutes=options["gap"]),
        steps=options["steps"],
    )


def approved(options: dict[str, Any]) -> Approved | None:
    """Errors: UsageError, of what is neither a digest nor a file with a plan."""
    found = [
        Approved(frozenset([each])) if is_digest(each) else approved_in(project.text_of(each), each)
        for each in given_list(options["expect"])
    ]
    if not found:
        return None
    lines = {digest: told for each in found for digest, told in each.lines.items()}
    return Approved(frozenset(digest for each in found for digest in each.digests), lines)


def given_list(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def keeping(options: dict[str, Any]) -> Keeping:
    """Errors: UsageError."""
    given, setting = options["keep_at_most"], conf.keep_at_most()
    try:
        typed: Any = setting if given is None else given
        limit = Size.parse(typed).bytes if isinstance(typed, str) else typed
    except ValueError as error:
        where = "ROLLBACK['KEEP_AT_MOST']" if given is None else "--keep-at-most"
        raise UsageError(f"{where} is wrong: {error}".partition(" Give ")[0], hint="Give one such as 10GB.") from error
    return Keeping(options["keep"], Keeping().at_most if limit is None else limit, tuple(options["keep_table"]))


def package(options: dict[str, Any]) -> Package | None:
    """Errors: UsageError."""
    return workflow.read_package(options["package"]) if options["package"] else None


def timeouts(options: dict[str, Any]) -> Timeouts:
    return Timeouts(options["lock_timeout"], options["statement_timeout"])


def check(options: dict[str, Any]) -> None:
    """Errors: UsageError, for options that are empty, out of range, or do not go together."""
    check_values(options, "database", "exclude", "expect", "fake", "output", "package", "timezone")
    _check_together(options)


def check_values(options: dict[str, Any], *names: str) -> None:
    """Errors: UsageError, for one of these options that is empty, or a number that is out of range."""
    for name in names:
        given = options[name]
        if given == "" or (isinstance(given, (list, tuple)) and "" in given):
            raise UsageError(f"--{name} is empty.", hint=f"Give it a value, or leave out --{name}.")
    for name in ("gap", "lock_timeout", "statement_timeout", "retries"):
        try:
            amount(options[name] or 0)
        except ArgumentTypeError as error:  # on the command line the parser has seen it
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {error}".partition(" Give ")[0], hint=f"For example: --{option} 5") from error


def _check_together(options: dict[str, Any]) -> None:
    if options["rehearse"] and options["format"] in ("commands", "sql"):
        raise UsageError(
            f"--format {options['format']} changes nothing, so it cannot rehearse.",
            hint=f"Leave out --rehearse, or --format {options['format']}.",
        )
    if not options["run"] and options["format"] != "sql":
        raise UsageError("--no-run is about scripts.", hint="Add --format sql, or leave out --no-run.")
    if options["format"] == "sql" and len(databases(options)) > 1:
        raise UsageError("A script is for one database.", hint="Make one for each: name one with --database.")
    if options["format"] == "sql" and options["backup"]:
        raise UsageError(
            "A script takes no backup.", hint="Leave out --backup, and take one before you run the script."
        )
    if options["format"] == "sql" and options["step_by_step"]:
        raise UsageError("A script is one transaction.", hint="Leave out --step-by-step, or --format sql.")


def line(options: dict[str, Any], previews: Sequence[Preview]) -> str:
    """The command line that runs the plan that was shown."""
    words = ["python", "manage.py", "rollbackmigrationsafter", _fixed(moment(options), previews)]
    words += named(options, "timezone", "package", "database", "exclude", "fake", "steps")
    words += [] if options["backup"] is None else ["--backup" if options["backup"] else "--no-backup"]
    words += common(options)
    if any(preview.of_level(Level.LOSS) for preview in previews):
        words.append("--destroy-data")
    return joined(words)


def named(options: dict[str, Any], *names: str) -> list[str]:
    """These options and their values, as they were typed."""
    words = []
    for name in names:
        given = options[name] or []
        for value in given if isinstance(given, (list, tuple)) else [str(given)]:
            words += [f"--{name.replace('_', '-')}", value]
    return words


def common(options: dict[str, Any]) -> list[str]:
    """The options that say how each database is rolled back, as far as they are not the default."""
    words = []
    if timedelta(minutes=options["gap"]) != DEFAULT_GAP:
        words += ["--gap", f"{options['gap']:g}"]
    words += [
        f"--{name.replace('_', '-')}"
        for name in ("cascade", "split_deployment", "step_by_step", "start_over")
        if options[name]
    ]
    words += [] if options["verify"] else ["--no-verify"]
    words += [] if options["keep"] else ["--no-keep"]
    words += [] if options["keep_at_most"] is None else ["--keep-at-most", f"{keeping(options).at_most}B"]
    words += [word for name in options["keep_table"] for word in ("--keep-table", name)]
    words += [] if options["hold"] else ["--no-hold"]
    return [*words, "--reason", options["reason"]] if options["reason"] else words


def joined(words: Sequence[str]) -> str:
    """A command line that any shell understands."""
    return " ".join(word if word == shlex.quote(word) else _quoted(word) for word in words)


def _fixed(moment: str, previews: Sequence[Preview]) -> str:
    """The moment so that it means the same later on: "last" is another deployment after a run, or half of one."""
    times = {
        preview.plan.basis.cut.to_paste(preview.plan.basis.records).astimezone(preview.moment.zone)
        for preview in previews
        if preview.moment.kept is None
    }
    return times.pop().isoformat(sep=" ") if kinds.of(moment) and len(times) == 1 else moment


def _quoted(word: str) -> str:
    """In double quotes, which every shell knows, where that is enough."""
    return shlex.quote(word) if set(word) & set('"$`\\!') else f'"{word}"'
