"""What PostgreSQL, MariaDB and MySQL make of values whose type changes, by their own conversions."""

from __future__ import annotations

from django.db.utils import DataError, NotSupportedError, OperationalError, ProgrammingError

from . import column_types
from .column_types import (
    NOTHING,
    Outcome,
    cuts_spaces,
    is_number,
    one_by_one,
    only_widens,
    out_of_range,
    rounded,
    spaces_cut,
    too_long,
    types,
)
from .search import Search
from .value_types import base_of, is_text, is_whole, mysql_cast

# PostgreSQL: a cast that fails ends the statement, so that rows are asked one by one, but only if one of them does.


def postgresql(search: Search) -> Outcome:
    old, new = types(search)
    # Where nothing but a length changes, Django has the values assigned, and PostgreSQL refuses what it would have to cut;
    # else it has them cast, which cuts.
    cast = "" if _is_assigned(search) else f"::{new}"
    if only_widens(old, new):
        return NOTHING
    if not cast and base_of(old) == base_of(new) == "varchar":
        long, spaces = too_long(search), spaces_cut(search)
        return Outcome(search.matching(long), search.matching(spaces)) if long else NOTHING
    if _is_done(search, _POSTGRESQL_DONE, old, new):
        return NOTHING
    try:
        search.fetch(f"SELECT NULL::{old}::{new}")
    except ProgrammingError as error:
        return Outcome(impossible=str(error).splitlines()[0])
    differs = _postgresql_difference(search)
    was = f"{search.column}::{old}"
    condition = differs.format(o=was, n=f"{was}::{new}")
    if cast:
        try:
            return Outcome(None, search.matching(condition))
        except (DataError, NotSupportedError):
            pass  # of at least one value
    statements = _POSTGRESQL.format(
        old=old,
        new=new,
        cast=cast,
        differs=differs.format(o="rollback_o", n="rollback_n"),
        source=search.source(limited=True),
        x=search.column,
        listed=column_types.LISTED_VALUES,
    )
    return one_by_one(search, f"{search.column}::text", condition, statements, _POSTGRESQL_FOUND)


def _is_done(search: Search, query: str, old: str, new: str) -> bool:
    """Has the column the other type already, as if somebody had changed it by hand?"""
    if search.types_by_then:
        return False
    live = dict(search.requirement.renamed).get(search.requirement.column, search.requirement.column)
    table = search.requirement.today
    names = (search.literal(text) for text in (search.quote(table), table, live, old, new))
    return bool(search.fetch(query.format(*names))[0])


_POSTGRESQL_DONE = """
SELECT atttypid = {4}::regtype AND atttypid <> {3}::regtype
FROM pg_attribute WHERE attrelid = to_regclass({0}) AND attname = {2}
"""
_MYSQL_DONE = """
SELECT count(*) FROM information_schema.columns
WHERE table_schema = database() AND table_name = {1} AND column_name = {2} AND data_type = {4} AND data_type <> {3}
"""


def _postgresql_difference(search: Search) -> str:
    """How to tell that a value is changed: there and back, or as text, where there is no way back or no equality."""
    old, new = types(search)
    back = f"{{n}}::{old} IS DISTINCT FROM {{o}}"
    try:
        search.fetch(f"SELECT {back.format(o=f'NULL::{old}', n=f'NULL::{new}')}")
    except ProgrammingError:
        return "{n}::text IS DISTINCT FROM {o}::text"
    return back


def _is_assigned(search: Search) -> bool:
    before, after = search.requirement.before, search.requirement.after
    while type(before) is type(after) and hasattr(before, "base_field"):  # arrays
        before, after = before.base_field, after.base_field
    types = search.connection.data_types
    old, new = (types.get(field.get_internal_type(), field.db_type(search.connection)) for field in (before, after))
    return bool(old == new)


_POSTGRESQL = """
DO $rollback_app$
#variable_conflict use_column
DECLARE
    rollback_row record; rollback_o {old}; rollback_n {new}; rollback_is_different boolean;
    rollback_rows bigint := 0; rollback_refused text[] := '{{}}'; rollback_different text[] := '{{}}';
    rollback_refusals bigint := 0; rollback_differences bigint := 0;
BEGIN
    FOR rollback_row IN SELECT {x} AS x FROM {source} LOOP
        rollback_rows := rollback_rows + 1;
        BEGIN
            rollback_o := rollback_row.x::{old};
            rollback_n := rollback_o{cast};
            BEGIN
                rollback_is_different := {differs};
            EXCEPTION WHEN data_exception OR feature_not_supported THEN
                rollback_is_different := true; -- there is no way back for this one
            END;
            IF rollback_is_different THEN
                rollback_differences := rollback_differences + 1;
                IF cardinality(rollback_different) < {listed} THEN
                    rollback_different := rollback_different || rollback_row.x::text;
                END IF;
            END IF;
        EXCEPTION WHEN data_exception OR feature_not_supported THEN
            rollback_refusals := rollback_refusals + 1;
            IF cardinality(rollback_refused) < {listed} AND NOT rollback_row.x::text = ANY(rollback_refused) THEN
                rollback_refused := rollback_refused || rollback_row.x::text;
            END IF;
        END;
    END LOOP;
    PERFORM set_config('rollback_app.found', json_build_array(rollback_rows, rollback_refusals, rollback_differences,
        rollback_refused, rollback_different)::text, true);
END $rollback_app$
"""
_POSTGRESQL_FOUND = """
SELECT (f->>0)::bigint, (f->>1)::bigint, (f->>2)::bigint, f->>3, f->>4
FROM (SELECT current_setting('rollback_app.found')::json AS f) found
"""


# MariaDB and MySQL: what does not fit is refused in strict mode, and else cut without a word. A row is asked by assigning its
# value to a variable of the new type, in a block that only MariaDB takes; numbers and lengths are compared on both.


def mysql(search: Search) -> Outcome:
    old, new = types(search)
    (mode,) = search.fetch("SELECT @@sql_mode")
    strict = "STRICT_" in mode
    refused = "" if "blob" in old else too_long(search) or out_of_range(search)
    cut = spaces_cut(search) if refused and cuts_spaces(search) else rounded(search)
    if refused or cut or only_widens(old, new) or is_number(search):
        if not strict:
            refused, cut = "", " OR ".join(f"({condition})" for condition in (refused, cut) if condition)
        return Outcome(
            search.matching(refused) if refused else None,
            search.matching(cut) if cut else None,
        )
    if _is_done(search, _MYSQL_DONE, base_of(old), base_of(new)):
        return NOTHING
    try:
        search.fetch(f"BEGIN NOT ATOMIC DECLARE o {old}; DECLARE n {new}; SET n = o; SELECT 1; END")
    except OperationalError as error:
        return Outcome(impossible=str(error.args[1]))
    there, back = mysql_cast(new), mysql_cast(old)
    differs = f"NOT (BINARY CAST(CAST({search.column} AS {there}) AS {back}) <=> BINARY {search.column})"
    text = "HEX({})" if "blob" in old else "BINARY CONVERT({}, CHAR)"
    statement = _MARIADB.format(
        old=old,
        new=new,
        source=search.source(limited=True),
        x=search.column,
        text=text.format("rollback_row.x").removeprefix("BINARY "),
        refuses=_mysql_refuses(old, new, strict=strict),
        # The way back would make it a time of today.
        loses_date="true" if old.startswith("date") and new.startswith("time") else "false",
        listed=column_types.LISTED_VALUES,
    )
    return one_by_one(search, text.format(search.column), differs if there and back else "", statement)


_MARIADB = """
BEGIN NOT ATOMIC
    DECLARE rollback_o {old}; DECLARE rollback_n {new}; DECLARE rollback_back {old};
    DECLARE rollback_rows, rollback_refusals, rollback_differences INT DEFAULT 0;
    DECLARE rollback_refused, rollback_different LONGTEXT DEFAULT '[]';
    FOR rollback_row IN (SELECT {x} AS x FROM {source}) DO
        SET rollback_rows = rollback_rows + 1;
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1265 BEGIN END; -- a note, but the number of some errors too
            DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
                SET rollback_refusals = rollback_refusals + 1;
                IF JSON_LENGTH(rollback_refused) < {listed}
                    AND NOT JSON_CONTAINS(rollback_refused, JSON_QUOTE({text})) THEN
                    SET rollback_refused = JSON_ARRAY_APPEND(rollback_refused, '$', {text});
                END IF;
            END;
            SET rollback_o = rollback_row.x;
            SET rollback_n = NULL;
            SET rollback_n = rollback_o;
            IF {refuses} THEN SIGNAL SQLSTATE '22018'; END IF;
            BEGIN
                DECLARE EXIT HANDLER FOR SQLEXCEPTION SET rollback_back = NULL;
                SET rollback_back = rollback_n;
            END;
            IF rollback_o IS NOT NULL AND ({loses_date} OR NOT (BINARY rollback_back <=> BINARY rollback_o)) THEN
                SET rollback_differences = rollback_differences + 1;
                IF JSON_LENGTH(rollback_different) < {listed} THEN
                    SET rollback_different = JSON_ARRAY_APPEND(rollback_different, '$', {text});
                END IF;
            END IF;
        END;
    END FOR;
    SELECT rollback_rows, rollback_refusals, rollback_differences, rollback_refused, rollback_different;
END
"""


def _mysql_refuses(old: str, new: str, *, strict: bool) -> str:
    """What a change of the table refuses, as a condition; an assignment leaves it null, or takes it."""
    if new == "json":
        return "NOT JSON_VALID(rollback_row.x)"
    if not strict:
        return "false"
    if is_text(old) and is_whole(new):
        return "NOT rollback_row.x REGEXP '^ *[-+]?[0-9]+ *$'"
    if old == "double precision" and new.startswith("date"):
        return "rollback_o IS NOT NULL"
    return "rollback_n IS NULL AND rollback_o IS NOT NULL"
