"""Rows that break a constraint which comes back: unique, check, or exclusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import F
from django.db.models.sql import Query

from rollback_app.safety import Count, Violations

from . import conversions
from .search import Search

# What excludes each other is found by comparing every row with every other: so many at the most, about a second.
COMPARED_ROWS = 3_000


def doubles(search: Search) -> Violations | None:
    """Rows that share their values with others."""
    requirement, condition, nulls_too = search.requirement, "", False
    values = [search.quote(name) for name in requirement.columns]
    if requirement.constraint is not None:
        editor = search.connection.schema_editor()
        if requirement.constraint.create_sql(requirement.model(), editor) is None:
            return None  # not supported by this database
        condition = requirement.constraint._get_condition_sql(requirement.model(), editor) or ""  # noqa: SLF001 - as its create_sql does
        nulls_too = requirement.constraint.nulls_distinct is False
        values = values or list(_expressions(search, requirement.constraint.expressions))
    elif requirement.after is not None:
        values = [conversions.converted(search)]
    if not search.is_there():
        return None
    conditions = [f"({condition})"] if condition else []
    conditions += [] if nulls_too else [f"{value} IS NOT NULL" for value in values]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ", ".join(values)
    grouped = f"{where} GROUP BY {listed} HAVING count(*) > 1"
    source = search.source(limited=True)
    total, number = search.fetch(
        f"SELECT (SELECT count(*) FROM {source}),"
        f" (SELECT sum(shared) FROM (SELECT count(*) AS shared FROM {source}{grouped}) doubled)"
    )
    query = f"SELECT {listed}, count(*) FROM {search.source(limited=False)}{grouped}"
    return Violations(Count(int(number or 0), more=total > search.limit), query)


def breaking(search: Search) -> Violations | None:
    """Rows for which a check does not hold."""
    requirement = search.requirement
    if requirement.constraint is not None:
        editor = search.connection.schema_editor()
        check = requirement.constraint._get_check_sql(requirement.model(), editor)  # noqa: SLF001 - as its create_sql does
        return search.matching(f"NOT ({check})")
    before, after = (_bound(field, requirement.column) for field in (requirement.before, requirement.after))
    check = after.db_check(search.connection)
    if not check or check == before.db_check(search.connection):
        return None
    return search.matching(f"NOT ({check.replace(search.column, f'({conversions.converted(search)})')})")


def _bound(field: Any, column: str) -> Any:
    found = field.clone()
    found.set_attributes_from_name(column)
    found.column = column
    return found


def excluding(search: Search) -> Violations | None:
    """Rows that exclude each other."""
    constraint = search.requirement.constraint
    limit = min(search.limit, COMPARED_ROWS)
    values = list(_expressions(search, [expression for expression, _ in constraint.expressions]))
    operators = [operator for _, operator in constraint.expressions]
    columns = ", ".join(f"({value}) AS rollback_{number}" for number, value in enumerate(values))
    condition = _condition(search, constraint.condition)
    meet = " AND ".join(
        f"a.rollback_{number} {operator} b.rollback_{number}" for number, operator in enumerate(operators)
    )

    def rows(source: str, last: str) -> str:
        numbered = f"SELECT row_number() OVER () AS rollback_row, {columns}, {search.alias}.*"
        return (
            f"WITH looked_at AS MATERIALIZED ({numbered} FROM {source}{condition}{last}) SELECT {{}} FROM looked_at a"
            f" WHERE EXISTS (SELECT FROM looked_at b WHERE a.rollback_row <> b.rollback_row AND {meet})"
        )

    last = f" LIMIT {limit + 1}"
    counted = rows(search.source(limited=True), last).format(
        "count(*), (SELECT count(*) FROM looked_at), (SELECT count(*) FROM " + search.source(limited=True) + ")"
    )
    number, compared, total = search.fetch(counted)
    more = compared > limit or total > search.limit
    return Violations(Count(number, more=more), rows(search.source(limited=False), "").format("*"))


def _condition(search: Search, condition: Any) -> str:
    if condition is None:
        return ""
    query = Query(search.requirement.model(), alias_cols=False)
    return f" WHERE {_sql(search, query, query.build_where(condition))}"


def _expressions(search: Search, expressions: Any) -> Iterator[str]:
    """Each as SQL, without what only an index needs: its order, or a class of operators."""
    query = Query(search.requirement.model(), alias_cols=False)
    for expression in expressions:
        bare: Any = F(expression) if isinstance(expression, str) else expression
        while type(bare).__name__ in ("OrderBy", "OpClass"):
            (bare,) = bare.get_source_expressions()
        yield _sql(search, query, bare.resolve_expression(query))


def _sql(search: Search, query: Query, expression: Any) -> str:
    editor = search.connection.schema_editor()
    sql, params = query.get_compiler(connection=search.connection).compile(expression)
    return str(sql % tuple(editor.quote_value(param) for param in params))
