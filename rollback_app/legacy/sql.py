"""One SQL statement for releases that lack this app: it returns the `migrate` commands that go back to a moment.

Rows alone do not tell how migrations depend on each other, so the statement trusts only what makemigrations guarantees: a new
migration is numbered one above what it follows. An app whose rows do not fit that gets a comment and no command. What it
takes for granted, and what each comment means, is told in docs/howto/older-releases.md.

Needs neither Django nor a project: only the standard library and, through `moments`, python-dateutil.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from rollback_app.errors import UsageError, shown
from rollback_app.moments import Moment, clock

_DIGITS = "SUBSTR(m.name, 1, LENGTH(m.name) - COALESCE(LENGTH(LTRIM(m.name, '0123456789')), 0))"


@dataclass(frozen=True)
class Dialect:
    """What differs between databases.

    moment: the literal, given the text of a time. counter: the number that a name begins with, as 255 digits, so that text
    compares as numbers do; null without one. odd: whether a text could mean something to a shell. late: whether a row is.
    exact: a column, so that it compares letter by letter. text_of: a column, as the same kind of text as a literal. aware:
    are times stored with their zone?
    """

    moment: str
    counter: str
    odd: str
    late: str = "m.applied >= cut.moment"
    exact: str = "{}"
    text_of: str = "{}"
    from_nothing: str = ""
    has_concat: bool = False
    aware: bool = False

    def text(self, parts: Sequence[str]) -> str:
        """An expression that joins expressions to one text."""
        return f"CONCAT({', '.join(parts)})" if self.has_concat else " || ".join(parts)


DIALECTS = {
    "postgresql": Dialect(
        moment="TIMESTAMPTZ '{}'",
        counter=f"LPAD(NULLIF({_DIGITS}, ''), 255, '0')",
        odd="{} !~ '^[A-Za-z0-9_][A-Za-z0-9_-]*$'",
        aware=True,
    ),
    "mysql": Dialect(
        moment="CAST('{}' AS DATETIME(6))",
        counter="CASE WHEN m.name REGEXP '^[0-9]' THEN LPAD(REGEXP_SUBSTR(m.name, '^[0-9]+'), 255, '0') END",
        # Not '^[…]*$', for here '$' also stands in front of a line break at the end.
        odd="({0} REGEXP '[^A-Za-z0-9_-]' OR {0} NOT REGEXP '^[A-Za-z0-9_]')",
        # Tables that MySQL 5.5 made store whole seconds: what is within the same second counts as at the moment.
        late="m.applied >= cut.moment OR (MICROSECOND(m.applied) = 0 AND m.applied > cut.moment - INTERVAL 1 SECOND)",
        exact="CAST({} AS BINARY)",
        has_concat=True,
    ),
    "sqlite": Dialect(
        moment="'{}'",
        # SQLite has no LPAD; this is a text of 256 zeros.
        counter=f"SUBSTR(HEX(ZEROBLOB(128)) || NULLIF({_DIGITS}, ''), -255)",
        odd="({0} GLOB '*[^-A-Za-z0-9_]*' OR {0} NOT GLOB '[A-Za-z0-9_]*')",
    ),
    "oracle": Dialect(  # never run on a server: only parsed
        moment="TIMESTAMP '{}'",
        counter=f"LPAD({_DIGITS}, 255, '0')",
        odd="(REGEXP_LIKE({0}, '[^A-Za-z0-9_-]') OR NOT REGEXP_LIKE({0}, '^[A-Za-z0-9_]'))",
        text_of="TO_CHAR({})",  # Django's columns are NVARCHAR2, which CASE and COALESCE do not mix with literals
        from_nothing=" FROM dual",
    ),
}

_USE_CODE = " Rows alone cannot tell what to undo. Ask the code: legacyrollbacksql --standalone"
# (when, what to say about the app). Text in braces is an expression; the first that holds is said.
_SILENT = (
    ("odd_app = 1", "its name has characters that mean something to a shell."),
    (
        "squash IS NOT NULL",
        "{squash} was recorded at or after the moment; that can be a note about older migrations, whose data would be lost.",
    ),
    (
        "low IS NOT NULL",
        "{low} was recorded at or after the moment, and is not numbered above all older ones: a branch, a squash or edited rows.",
    ),
    ("odd_target = 1", "the name to go back to has characters that mean something to a shell."),
    (
        "early_rows > 0 AND (longer IS NOT NULL OR LOWER(target) = 'zero')",
        "it must go back to {target}, and migrate would take that for something else, as it does with the beginning of a name.",
    ),
    (
        "early_rows > 1 AND ordered = 0",
        "the newest before the moment, {target}, has no number, or not the highest: a branch, a squash, or edited rows.",
    ),
    (
        "early_squash IS NOT NULL",
        "{target} was the newest before the moment, and is inside {early_squash}, at which Django may know it no more.",
    ),
    (
        "early_rows > 1 AND late_rows > 1 AND highest > 1",
        "several rows before the moment have the highest number, and what came after may hang off any of them.",
    ),
    (
        "early_rows > 1 AND late_rows > 1 AND merge_row IS NOT NULL",
        "{merge_row} was recorded at or after the moment: a merge of branches, of which one may be older.",
    ),
    (
        "early_rows > 1 AND unnumbered IS NOT NULL",
        "{unnumbered} was recorded at or after the moment, and without a number there is no telling what it follows.",
    ),
)

_STATEMENT = """\
-- The migrate commands that take a Django database back to before the moment.
-- Made by legacyrollbacksql of rollback_app for {dialect}. It only reads.
--
-- Run what it returns from top to bottom, with the newer release, which has the files of what is undone.
-- A line that begins with # is an app that is left alone, and why. Afterwards run this again: only such lines may be left.
--
{note}
WITH
cut AS (
  SELECT {moment} AS moment{from_nothing}
),
recorded AS (
  SELECT
    m.id, {app} AS app, {name} AS name, m.applied,
    CASE WHEN {late} THEN 1 ELSE 0 END AS late,
    {counter} AS counter,
    CASE WHEN LOWER(m.name) LIKE '%squashed%' THEN 1 ELSE 0 END AS is_squash,
    CASE WHEN LOWER(m.name) LIKE '%merge%' THEN 1 ELSE 0 END AS is_merge,
    CASE WHEN {odd_app} THEN 1 ELSE 0 END AS odd_app,
    CASE WHEN {odd_name} THEN 1 ELSE 0 END AS odd_name,
    -- Two migrate at the same time record a migration twice: the oldest counts.
    ROW_NUMBER() OVER (PARTITION BY {exact_app}, {exact_name} ORDER BY m.applied, m.id) AS nth
  FROM django_migrations m CROSS JOIN cut
),
placed AS (
  SELECT
    r.*,
    CASE WHEN odd_name = 1 THEN {row_id} ELSE name END AS shown,
    ROW_NUMBER() OVER (ORDER BY applied DESC, id DESC) AS age,
    -- On either side of the moment the newest first; squashes behind the others, for they may only be notes.
    ROW_NUMBER() OVER (PARTITION BY app, late ORDER BY is_squash, applied DESC, id DESC) AS place,
    FIRST_VALUE(name) OVER (PARTITION BY app ORDER BY late, is_squash, applied DESC, id DESC) AS newest,
    MAX(CASE WHEN late = 0 THEN counter END) OVER (PARTITION BY app) AS top,
    MAX(late * is_merge) OVER (PARTITION BY app) AS merges,
    SUM(1 - late) OVER (PARTITION BY app) AS early_rows,
    SUM(late) OVER (PARTITION BY app) AS late_rows
  FROM recorded r
  WHERE nth = 1
),
apps AS (
  SELECT
    app,
    MIN(age) AS latest,
    MIN(id) AS some_id,
    MAX(odd_app) AS odd_app,
    MAX(early_rows) AS early_rows,
    MAX(late_rows) AS late_rows,
    -- The row before the moment to go back to.
    MAX(CASE WHEN late = 0 AND place = 1 THEN shown END) AS target,
    MAX(CASE WHEN late = 0 AND place = 1 THEN odd_name END) AS odd_target,
    MAX(CASE WHEN late = 0 AND place = 1 AND counter = top THEN 1 ELSE 0 END) AS ordered,
    SUM(CASE WHEN late = 0 AND counter = top THEN 1 ELSE 0 END) AS highest,
    -- What speaks against it.
    MIN(CASE WHEN late = 1 AND is_squash = 1 THEN shown END) AS squash,
    MIN(CASE WHEN late = 0 AND is_squash = 1 AND place > 1 AND name LIKE {ends_with_newest} THEN shown END) AS early_squash,
    MIN(CASE WHEN name <> newest AND SUBSTR(name, 1, LENGTH(newest)) = newest THEN shown END) AS longer,
    MIN(CASE WHEN late = 1 AND (counter < top OR (counter = top AND (early_rows > 1 OR merges = 1))) THEN shown END) AS low,
    MIN(CASE WHEN late = 1 AND counter IS NULL AND place > 1 THEN shown END) AS unnumbered,
    MIN(CASE WHEN late = 1 AND is_merge = 1 THEN shown END) AS merge_row
  FROM placed
  GROUP BY app
  HAVING SUM(late) > 0
)
SELECT
  CASE
{silent}
    ELSE {command}
  END AS command
FROM apps
ORDER BY latest;
"""


def statement(dialect: str, moment: Moment, *, stored_in: tzinfo = timezone.utc, database: str = "") -> str:
    """The statement, commented, to be run with any client.

    stored_in: the zone of the column `applied`, where the database stores none: UTC, unless USE_TZ is off. database: the
    alias for the commands' --database, where it is not the default.
    Errors: UsageError, for a dialect that is not in DIALECTS.
    """
    sql = dialect_of(dialect)
    at = moment.at.astimezone(timezone.utc if sql.aware else stored_in)
    suffix = f" --database {shlex.quote(database)}" if database else ""
    return _STATEMENT.format(
        dialect=dialect,
        note=_note(moment, aware=sql.aware, zone=at),
        moment=sql.moment.format(clock(at) + ("+00:00" if sql.aware else "")),
        from_nothing=sql.from_nothing,
        late=sql.late,
        counter=sql.counter,
        app=sql.text_of.format("m.app"),
        name=sql.text_of.format("m.name"),
        odd_app=sql.odd.format("m.app"),
        odd_name=sql.odd.format("m.name"),
        exact_app=sql.exact.format("m.app"),
        exact_name=sql.exact.format("m.name"),
        row_id=sql.text(["'the row with id '", "id"]),
        ends_with_newest=sql.text(["'%'", "newest"]),
        silent="\n".join(
            f"    WHEN {condition} THEN\n      {sql.text([*_about(sql), *_parts(words + _USE_CODE)])}"
            for condition, words in _SILENT
        ),
        command=sql.text(
            [
                "'python manage.py migrate '",
                "app",
                "' '",
                "COALESCE(target, 'zero')",
                *([_literal(suffix)] if suffix else []),
            ]
        ),
    )


def dialect_of(name: str) -> Dialect:
    if name not in DIALECTS:
        raise UsageError(
            f"There is no dialect '{shown(name)}'.", hint=f"Give --dialect with one of: {', '.join(DIALECTS)}."
        )
    return DIALECTS[name]


def _note(moment: Moment, *, aware: bool, zone: datetime) -> str:
    lines = [
        f"The moment was given as {' '.join(moment.text.split())}, read in {moment.zone_name}. Edit it here and nowhere else:"
    ]
    if aware:
        lines.append("what was applied at or after it goes. Leave its zone in place.")
    else:
        lines += [
            f"what was applied at or after it goes. It stands here in {zone.tzname()}.",
            "Django stores UTC with USE_TZ = True, and the time of TIME_ZONE without: write it in the one that applies.",
        ]
    return "\n".join(f"-- {line}" for line in lines)


def _about(sql: Dialect) -> list[str]:
    """The beginning of a comment: the app, unless its name could end the comment."""
    row = sql.text(["'the app of the row with id '", "some_id"])
    return ["'# '", f"CASE WHEN odd_app = 1 THEN {row} ELSE app END", "': '"]


def _parts(words: str) -> list[str]:
    """`{target} is new` -> the expressions that make it: a column, a literal."""
    pieces = [piece for part in words.split("{") for piece in part.split("}", 1)]
    return [piece if place % 2 else _literal(piece) for place, piece in enumerate(pieces) if piece]


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
