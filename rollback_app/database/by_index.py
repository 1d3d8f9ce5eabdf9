"""Joins of PostgreSQL's own catalog, of which a database with thousands of schemas has millions of rows."""


def by_index(table: str, name: str, condition: str) -> str:
    """What to join, with `ON true`: the rows of a table of the catalog that fulfil the condition, looked up anew for each row of
    what it is joined to. The server, which cannot know how few those are, would rather read all of the table."""
    return f"LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) {name}"


def by_number(table: str, name: str, *, key: str = "oid", found: str = "") -> str:
    """What to join: the row of an object with the address (classid, objid), if it is in this table. key: where the table has the
    number of its objects. found: the alias of what has the address."""
    prefix = f"{found}." if found else ""
    return by_index(table, name, f"{prefix}classid = '{table}'::regclass AND {key} = {prefix}objid")
