"""What a member costs does not grow with the number of schemas: no statement reads a whole table of the catalog."""

from __future__ import annotations

import json

from tests.tenants.project import BETWEEN, Tenants

# Each statement of a look and of a run is explained where a scan of a whole table is the last resort: one that is left has no
# index to go by.
CODE = """
import json
from django.db import connection
from rollback_app import workflow

CATALOG = {"pg_class", "pg_attribute", "pg_constraint", "pg_depend", "pg_index", "pg_type"}
connection.set_schema("alpha")
found, seen = [], []

def nodes(node):
    yield node
    for each in node.get("Plans", ()):
        yield from nodes(each)

def explain(execute, sql, params, many, context):
    if connection.in_atomic_block and sql.lstrip().startswith(("SELECT", "WITH")):
        execute("SET LOCAL enable_seqscan = off", None, False, context)
        execute("EXPLAIN (FORMAT JSON) " + sql, params, False, context)
        for node in nodes(context["cursor"].cursor.fetchone()[0][0]["Plan"]):
            table = node.get("Relation Name")
            if table in CATALOG:
                seen.append(table)
                if "Index Cond" not in node and node["Node Type"] != "Bitmap Heap Scan":
                    found.append([table, node["Node Type"], sql])
    return execute(sql, params, many, context)

with connection.execute_wrapper(explain):
    previews = workflow.preview("2024-05-05", zone="UTC")
    workflow.roll_back(previews, destroy_data=True, hold=True)
print("found:" + json.dumps([sorted(set(seen)), found]))
"""


def test_no_statement_reads_all_of_the_catalog(tenants: Tenants) -> None:
    assert BETWEEN in CODE
    said = tenants.manage("shell", "-c", CODE)
    assert said.status == 0, said.all
    seen, found = json.loads(said.out.partition("found:")[2])
    assert seen == ["pg_attribute", "pg_class", "pg_constraint", "pg_depend", "pg_index", "pg_type"]
    assert found == []
