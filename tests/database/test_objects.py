"""What hangs on tables and no migration knows: named before the run, asked for, and never gone in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import connections
from django.db.utils import DatabaseError, OperationalError

from rollback_app import workflow
from rollback_app.executor import StepFailed
from rollback_app.safety import NOT_KEEPING, Finding, Keeping, Level
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, set_applied
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
ID = '("id", models.BigAutoField(primary_key=True))'
EARLY = f"""
    migrations.CreateModel("T", [{ID}, ("x", models.CharField(max_length=10, default="", unique=True))]),
    migrations.CreateModel("Log", [{ID}, ("n", models.IntegerField(null=True))])"""
LATE = f"""
    migrations.AddField("T", "y", models.IntegerField(null=True, db_index=True)),
    migrations.AddField("T", "z", models.PositiveIntegerField(default=1)),
    migrations.AddField("T", "tags", models.ManyToManyField("a.Log")),
    migrations.CreateModel("U", [{ID}, ("w", models.PositiveIntegerField(unique=True)),
        ("s", models.SlugField()), ("long", models.TextField()),
        ("t", models.ForeignKey("a.T", models.CASCADE))],
        options={{"unique_together": {{("w", "t")}}, "indexes": [models.Index(fields=["w", "s"], name="i_w_s")],
            "constraints": [models.CheckConstraint(condition=models.Q(w__gt=0), name="some")]}}),
    migrations.AddField("Log", "u", models.ForeignKey("a.U", models.CASCADE, null=True)),
    migrations.AddConstraint("T", models.UniqueConstraint(fields=["y", "x"], name="y_x")),
    migrations.AddIndex("T", models.Index(fields=["y", "x"], name="i_y_x"))"""


def deployed(
    database: Database, project: Project, late: str = LATE, sql: Sequence[str] = (), early: str = EARLY
) -> None:
    project(a={"0001_early": early})
    deploy(database.alias, DAY_1)
    project(a={"0001_early": early, "0002_late": late})
    deploy(database.alias, DAY_2)
    execute(database, *sql)


def execute(database: Database, *sql: str) -> None:
    with database.connection.cursor() as cursor:
        for statement in sql:
            cursor.execute(statement)


def found(database: Database, keeping: Keeping = NOT_KEEPING) -> dict[str, Finding]:
    """What is said of objects, by kind and name."""
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], keeping=keeping)
    return {f"{each.facts['kind']} {each.facts['name']}": each for each in preview.findings if "kind" in each.facts}


def test_nothing_is_said_of_a_healthy_project(database: Database, project: Project) -> None:
    deployed(database, project)
    assert found(database) == {}
    assert roll_back(database, DAY_2).status == 0


POSTGRESQL: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "a view of a column": (["CREATE VIEW v AS SELECT y FROM a_t"], {"view public.v": "a_t.y"}),
    "a view of a view": (
        ["CREATE VIEW v AS SELECT y FROM a_t", "CREATE MATERIALIZED VIEW m AS SELECT * FROM v"],
        {"view public.v": "a_t.y", "materialized view public.m": "a_t.y"},
    ),
    "a view of a table": (["CREATE SCHEMA s", "CREATE VIEW s.v AS SELECT w FROM a_u"], {"view s.v": "a_u"}),
    "a rule": (
        ["CREATE RULE r AS ON INSERT TO a_log DO ALSO DELETE FROM a_log WHERE n IN (SELECT y FROM a_t)"],
        {"rule r on public.a_log": "a_t.y"},
    ),
    "a policy": (["CREATE POLICY p ON a_t USING (y > 1)"], {"policy p on public.a_t": "a_t.y"}),
    "a policy of another table": (
        ["CREATE POLICY p ON a_log USING (EXISTS (SELECT FROM a_u WHERE w = n))"],
        {"policy p on public.a_log": "a_u"},
    ),
    "a foreign key": (
        ["CREATE TABLE other (u bigint REFERENCES a_u)"],
        {"foreign key other_u_fkey on public.other": "a_u"},
    ),
    "a trigger": (
        [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            "CREATE TRIGGER g BEFORE UPDATE OF y ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE TRIGGER h BEFORE UPDATE ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
        ],
        {"trigger g on public.a_t": "a_t.y", "trigger g on public.a_u": "a_u"},
    ),
    "an inheriting table": (
        ["CREATE TABLE kid (q int, CHECK (q > w)) INHERITS (a_u)", "CREATE INDEX ON kid (q)"],
        {"inheriting table public.kid": "a_u"},
    ),
    "a generated column": (
        ["ALTER TABLE a_t ADD double int GENERATED ALWAYS AS (y * 2) STORED"],
        {"generated column public.a_t.double": "a_t.y"},
    ),
    "statistics": (["CREATE STATISTICS st ON y, x FROM a_t"], {"statistics public.st": "a_t.y"}),
    "a publication": (["CREATE PUBLICATION pub FOR TABLE a_u"], {"publication public.a_u in publication pub": "a_u"}),
    "a sequence": (
        ["CREATE SEQUENCE sq OWNED BY a_t.y", "CREATE TABLE other (n int DEFAULT nextval('sq'))"],
        {"sequence public.sq": "a_t.y", "default public.other.n": "a_t.y"},
    ),
    "rules made by hand": (
        [
            "ALTER TABLE a_t ADD CONSTRAINT less CHECK (y < length(x)), ADD CONSTRAINT two UNIQUE (x, y)",
            "CREATE INDEX by_y ON a_t (id) WHERE y > 1",
            "ALTER TABLE a_u ADD EXCLUDE (w WITH =)",
        ],
        {
            "check less on public.a_t": "a_t.y",
            "unique constraint two on public.a_t": "a_t.y",
            "index public.by_y": "a_t.y",
            "exclusion constraint a_u_w_excl on public.a_u": "a_u",
        },
    ),
    "a function": (
        ["CREATE FUNCTION f(a_u) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE other (u a_u)"],
        {"function public.f(public.a_u)": "a_u", "column public.other.u": "a_u"},
    ),
}


# Django 6 drops a column without CASCADE, so that these are in its way.
ONLY_BY_CASCADE = {
    "a view of a column",
    "a view of a view",
    "a rule",
    "a policy",
    "a trigger",
    "a generated column",
    "a sequence",
}


def cascades(database: Database) -> bool:
    return "CASCADE" in database.connection.SchemaEditorClass.sql_delete_column  # type: ignore[attr-defined]


@pytest.fixture
def cascading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django before 6.0 drops a column so."""
    for alias in set(connections.settings) & {"postgresql"}:
        editor: Any = connections[alias].SchemaEditorClass
        monkeypatch.setattr(editor, "sql_delete_column", "ALTER TABLE %(table)s DROP COLUMN %(column)s CASCADE")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", [*(name for name in POSTGRESQL if "a_t.y" in POSTGRESQL[name][1].values())])
def test_what_keeps_a_column_without_cascade(
    database: Database, project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As Django drops it since 6.0."""
    editor: Any = database.connection.SchemaEditorClass
    monkeypatch.setattr(editor, "sql_delete_column", "ALTER TABLE %(table)s DROP COLUMN %(column)s")
    deployed(database, project, sql=POSTGRESQL[name][0])
    blocked = "rollback.E020" in {each.id for each in found(database).values()}
    assert roll_back(database, DAY_2).status == (3 if blocked else 0)
    if blocked:
        with pytest.raises(DatabaseError):
            execute(database, "ALTER TABLE a_t DROP COLUMN y")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", POSTGRESQL)
def test_what_cascade_takes_along(database: Database, project: Project, cascading: None, name: str) -> None:
    sql, expected = POSTGRESQL[name]
    deployed(database, project, sql=sql)
    findings = found(database)
    assert {key: each.facts["on"] for key, each in findings.items()} == expected
    if name in ONLY_BY_CASCADE and not cascades(database):
        assert "rollback.E020" in {each.id for each in findings.values()}
        assert roll_back(database, DAY_2).status == 3
        return
    assert {each.id for each in findings.values()} == {"rollback.W020"}
    said = roll_back(database, DAY_2, destroy_data=False, keep=False)
    assert said.status == 3
    for each in expected:
        assert each in said.out
    assert roll_back(database, DAY_2, keep=False).status == 0


TYPES: Mapping[str, tuple[Sequence[str], set[str]]] = {
    "a view": (["CREATE VIEW v AS SELECT x FROM a_t"], {"view public.v"}),
    "a materialized view": (["CREATE MATERIALIZED VIEW v AS SELECT x FROM a_t"], {"materialized view public.v"}),
    "a rule": (["CREATE RULE r AS ON UPDATE TO a_t WHERE NEW.x = '' DO NOTHING"], {"rule r on public.a_t"}),
    "a policy": (["CREATE POLICY p ON a_t USING (x = '')"], {"policy p on public.a_t"}),
    "a trigger": (
        [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            "CREATE TRIGGER g BEFORE UPDATE OF x ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
        ],
        {"trigger g on public.a_t"},
    ),
    "a generated column": (
        ["ALTER TABLE a_t ADD long int GENERATED ALWAYS AS (length(x)) STORED"],
        {"generated column public.a_t.long"},
    ),
    "a view of what points to it": (
        ["CREATE VIEW v AS SELECT t_id FROM a_u"],
        {"view public.v"},
    ),
}


PARTITIONED = f"""
    migrations.SeparateDatabaseAndState(
        [migrations.RunSQL(
            "CREATE TABLE a_t (id bigint PRIMARY KEY, x text) PARTITION BY RANGE (id);"
            "CREATE TABLE a_t_1 PARTITION OF a_t FOR VALUES FROM (0) TO (100)", "DROP TABLE a_t")],
        [migrations.CreateModel("T", [{ID}, ("x", models.TextField())])]),
    migrations.RunSQL(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "DROP FUNCTION f()")"""
ON_PARTITIONS = {
    "an index": 'migrations.AddIndex("T", models.Index(fields=["x"], name="by_x"))',
    "a unique constraint": 'migrations.AddConstraint("T", models.UniqueConstraint(fields=["x", "id"], name="once"))',
    "a check": 'migrations.AddConstraint("T", models.CheckConstraint(condition=models.Q(id__gt=0), name="some"))',
    "a trigger": """migrations.RunSQL(
        "CREATE TRIGGER g AFTER INSERT ON a_t FOR EACH ROW EXECUTE FUNCTION f()", "DROP TRIGGER g ON a_t")""",
}


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", ON_PARTITIONS)
def test_what_partitions_have_of_their_table_is_nothing_else(database: Database, project: Project, name: str) -> None:
    deployed(database, project, ON_PARTITIONS[name], early=PARTITIONED)
    assert not [finding for finding in found(database).values() if finding.level is not Level.REMARK]
    said = roll_back(database, DAY_2)
    assert said.status == 0, said.all


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", TYPES)
def test_what_keeps_a_type_from_changing(database: Database, project: Project, name: str) -> None:
    sql, expected = TYPES[name]
    early = f"""
        migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)),
            ("x", models.CharField(max_length=10, default=""))]),
        migrations.CreateModel("U", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))])"""
    late = """migrations.AlterField("T", "x", models.CharField(max_length=20, default="", db_index=True)),
        migrations.AlterField("T", "id", models.BigAutoField(primary_key=True))"""
    harmless = ["CREATE INDEX i ON a_t ((x || x)) WHERE x > ''", "CREATE STATISTICS st ON x, id FROM a_t"]
    deployed(database, project, late, [*sql, *harmless, "ALTER TABLE a_t ADD CHECK (x < 'z')"], early)
    findings = found(database)
    assert findings.keys() == expected
    assert {each.id for each in findings.values()} == {"rollback.E020"}
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert all(each in said.error for each in expected)


# The deployment of a small change, by what SQLite does to undo it: it remakes a table, drops a column alone, or renames.
SMALL = f"""migrations.CreateModel("T", [{ID}, ("x", models.IntegerField(null=True))]),
    migrations.CreateModel("Log", [{ID}, ("n", models.IntegerField(null=True))])"""
REMAKE = 'migrations.AlterField("T", "x", models.IntegerField(default=3))'
COLUMN = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
INDEXED = 'migrations.AddField("T", "y", models.IntegerField(null=True, db_index=True))'
TABLE = f'migrations.CreateModel("U", [{ID}, ("w", models.IntegerField(null=True))])'

SQLITE: Mapping[str, tuple[str, Sequence[str], Mapping[str, tuple[str, str]]]] = {
    "a column with values": (
        REMAKE,
        ["ALTER TABLE a_t ADD extra text", "INSERT INTO a_t (x, extra) VALUES (1, 'e'), (2, NULL)"],
        {"column a_t.extra": ("E020", "a_t")},
    ),
    "a column, where a check goes": (
        'migrations.AddConstraint("T", models.CheckConstraint(condition=models.Q(x__gt=0), name="c"))',
        ["ALTER TABLE a_t ADD extra text", "INSERT INTO a_t (x, extra) VALUES (1, 'e')"],
        {"column a_t.extra": ("E020", "a_t")},
    ),
    "a column, where only an index goes": (
        'migrations.AddConstraint("T", models.UniqueConstraint("x", name="c"))',
        ["ALTER TABLE a_t ADD extra text", "INSERT INTO a_t (x, extra) VALUES (1, 'e')"],
        {},
    ),
    "an empty column": (REMAKE, ["ALTER TABLE a_t ADD extra text"], {"column a_t.extra": ("W020", "a_t")}),
    "a generated column": (
        REMAKE,
        ["ALTER TABLE a_t ADD double integer AS (x * 2)", "INSERT INTO a_t (x) VALUES (1)"],
        {"generated column a_t.double": ("W020", "a_t")},
    ),
    "a view of a remade table": (REMAKE, ["CREATE VIEW v AS SELECT x FROM a_t"], {"view v": ("E020", "a_t")}),
    "a view of such a view": (
        REMAKE,
        ["CREATE VIEW v AS SELECT x FROM a_t", "CREATE VIEW v2 AS SELECT x FROM v"],
        {"view v": ("E020", "a_t"), "view v2": ("E020", "a_t")},
    ),
    "a trigger that writes to a remade table": (
        REMAKE,
        ["CREATE TRIGGER g AFTER INSERT ON a_log BEGIN INSERT INTO a_t (x) VALUES (1); END"],
        {"trigger g": ("E020", "a_t")},
    ),
    "what is made again": (
        REMAKE,
        [
            "CREATE INDEX i ON a_t (x) WHERE x > 1",
            "CREATE TRIGGER g AFTER UPDATE ON a_t BEGIN INSERT INTO a_log (n) VALUES (NEW.x); END",
        ],
        {},
    ),
    "an index of a column": (COLUMN, ["CREATE INDEX i ON a_t (y)"], {"index i": ("E020", "a_t.y")}),
    "a trigger that waits for a column": (
        COLUMN,
        ["CREATE TRIGGER g AFTER UPDATE OF y ON a_t BEGIN INSERT INTO a_log (n) VALUES (1); END"],
        {"trigger g": ("W021", "a_t.y")},
    ),
    "a trigger that reads a column": (
        COLUMN,
        ["CREATE TRIGGER g AFTER UPDATE ON a_t BEGIN INSERT INTO a_log (n) VALUES (NEW.y); END"],
        {"trigger g": ("E020", "a_t.y")},
    ),
    "a view of a column": (COLUMN, ["CREATE VIEW v AS SELECT y FROM a_t"], {"view v": ("E020", "a_t.y")}),
    "a view of another column": (COLUMN, ["CREATE VIEW v AS SELECT x FROM a_t -- y"], {}),
    "an index of a column that goes with a remake": (
        INDEXED,
        ["CREATE INDEX i ON a_t (y, x)", "CREATE INDEX j ON a_t (x)"],
        {"index i": ("W020", "a_t.y")},
    ),
    "a view of a dropped table": (TABLE, ["CREATE VIEW v AS SELECT w FROM a_u"], {"view v": ("W021", "a_u")}),
    "a view of a dropped table, before a remake": (
        f"{REMAKE}, {TABLE}",
        ["CREATE VIEW v AS SELECT w FROM a_u"],
        {"view v": ("E020", "a_t")},
    ),
    "a view of a dropped table, after a remake": (
        f"{TABLE}, {REMAKE}",
        ["CREATE VIEW v AS SELECT w FROM a_u"],
        {"view v": ("W021", "a_u")},
    ),
    "what belongs to a dropped table": (
        TABLE,
        ["CREATE INDEX i ON a_u (w)", "CREATE TRIGGER g AFTER UPDATE ON a_u BEGIN SELECT 1; END"],
        {"index i": ("W020", "a_u"), "trigger g": ("W020", "a_u")},
    ),
}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", SQLITE)
def test_what_sqlite_drops_breaks_or_refuses(database: Database, project: Project, name: str) -> None:
    late, sql, expected = SQLITE[name]
    deployed(database, project, late, sql, SMALL)
    said_of(database, expected)


STRICT = ["STRICT", "WITHOUT ROWID"]


@pytest.mark.databases("sqlite")
def test_the_options_of_a_table_that_is_remade(database: Database, project: Project) -> None:
    deployed(database, project, REMAKE, early=SMALL)
    execute(
        database,
        "DROP TABLE a_t",
        "CREATE TABLE a_t (id integer PRIMARY KEY, x integer NOT NULL) STRICT, WITHOUT ROWID",
    )
    said_of(database, {f"option {option} of table a_t": ("W020", "a_t") for option in STRICT})


RULES = """CREATE TABLE a_t (id integer PRIMARY KEY, -- CHECK (no rule)
    x integer NOT NULL CHECK (x < 100) /* UNIQUE */, "y" integer UNIQUE CHECK ([y] <> 5),
    CONSTRAINT "bigger" CHECK (x > -5), UNIQUE (x, y), CONSTRAINT pair UNIQUE (y, id), CHECK (x <> ')'))"""
GOES = ["CHECK (x < 100)", "bigger", "UNIQUE (x, y)", "pair", "CHECK (x <> ')')", "UNIQUE (y)", "CHECK ([y] <> 5)"]


@pytest.mark.databases("sqlite")
def test_rules_of_a_table_that_is_remade(database: Database, project: Project) -> None:
    """Written by hand: Django's remake of the table knows nothing of them."""
    y = '("y", models.IntegerField(null=True))'
    early = SMALL.replace('("x", models.IntegerField(null=True))', f'("x", models.IntegerField(null=True)), {y}')
    deployed(database, project, REMAKE, early=early)
    execute(database, "DROP TABLE a_t", RULES)
    assert {each.facts["name"]: each.id for each in found(database).values()} == {
        f"{rule} of table a_t": "rollback.W020" for rule in GOES
    }
    assert roll_back(database, DAY_2, destroy_data=False, keep=False).status == 3
    assert roll_back(database, DAY_2).status == 0
    assert "CHECK" not in table_of(database, "a_t")


def table_of(database: Database, name: str) -> str:
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [name])
        return str(cursor.fetchone()[0])


@pytest.mark.databases("sqlite")
def test_rules_that_django_makes_are_known(database: Database, project: Project) -> None:
    before = """
class Even(models.IntegerField):
    def db_check(self, connection):
        return f"{connection.ops.quote_name(self.column)} % 2 = 0"
"""
    fields = """("x", models.PositiveIntegerField(unique=True)), ("j", models.JSONField(null=True)), ("e", Even(null=True)),
        ("o", models.OneToOneField("a.T", models.CASCADE, null=True)), ("m", models.ManyToManyField("a.T"))"""
    constraints = """models.CheckConstraint(condition=models.Q(x__gt=0), name="some"),
        models.UniqueConstraint(fields=["x", "e"], name="pair")"""
    early = f"""migrations.CreateModel("T", [{ID}, {fields}],
        options={{"unique_together": {{("x", "o")}}, "constraints": [{constraints}]}})"""
    late = f"""{REMAKE.replace("Integer", "PositiveInteger").replace("default=3", "default=3, unique=True")},
        migrations.AddField("T", "y", models.PositiveIntegerField(null=True))"""
    project(a={"0001_early": migration(early, before=before)})
    deploy(database.alias, DAY_1)
    project.replace(a={**project.apps["a"], "0002_late": late})
    deploy(database.alias, DAY_2)
    execute(database, "PRAGMA writable_schema = 1")
    # As Django 1.8 and older wrote it.
    execute(
        database,
        """UPDATE sqlite_master SET sql = substr(sql, 1, length(sql) - 1) || ', UNIQUE ("x", "o_id"))' WHERE name = 'a_t'""",
    )
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    assert not [each.text for each in preview.findings if "kind" in each.facts]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("rule", "id"),
    [
        ("y integer CHECK (y < 9)", "W020"),
        ("y integer UNIQUE", "E020"),
        ("y integer, CHECK (y < 9)", "E020"),
        ("y integer, CONSTRAINT c CHECK (y < x)", "E020"),
        ("y integer, UNIQUE (x, y)", "E020"),
        ("y integer, UNIQUE (x, id)", ""),
    ],
)
def test_rules_about_a_column_that_is_dropped(database: Database, project: Project, rule: str, id: str) -> None:
    deployed(database, project, COLUMN, early=SMALL)
    execute(database, "DROP TABLE a_t", f"CREATE TABLE a_t (id integer PRIMARY KEY, x integer, {rule})")
    findings = found(database)
    assert [each.id for each in findings.values()] == ([f"rollback.{id}"] if id else [])
    assert roll_back(database, DAY_2).status == (3 if id == "E020" else 0)
    if id == "E020":  # and it really fails
        with pytest.raises(OperationalError):
            execute(database, "ALTER TABLE a_t DROP COLUMN y")
    elif not id:
        assert "UNIQUE (x, id)" in table_of(database, "a_t")


def said_of(database: Database, expected: Mapping[str, tuple[str, str]]) -> None:
    """This is found, (its id, what it hangs on) by kind and name; with losses nothing runs without consent, with blockers
    nothing at all, and else it runs."""
    findings = found(database)
    assert {key: (each.id[-4:], str(each.facts["on"])) for key, each in findings.items()} == expected
    blocked = any(id.startswith("E") for id, _ in expected.values())
    if expected:
        said = roll_back(database, DAY_2, destroy_data=False, keep=False)
        assert said.status == 3
        assert all(each in said.out for each in expected)
    said = roll_back(database, DAY_2, keep=False)
    assert said.status == (3 if blocked else 0), said.all
    assert (("a", "0002_late") in keys(database.alias)) == blocked


MARIADB: Mapping[str, tuple[str, Sequence[str], Mapping[str, tuple[str, str]]]] = {
    "a trigger of a table": (
        TABLE,
        ["CREATE TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW SET NEW.w = 1"],
        {"trigger g": ("W020", "a_u")},
    ),
    "a trigger that writes to a table": (
        TABLE,
        ["CREATE TRIGGER g BEFORE UPDATE ON a_t FOR EACH ROW INSERT INTO a_u (w) VALUES (1)"],
        {"trigger g": ("W021", "a_u")},
    ),
    "a trigger of a column": (
        COLUMN,
        ["CREATE TRIGGER g BEFORE UPDATE ON a_t FOR EACH ROW SET NEW.x = NEW.y"],
        {"trigger g": ("W021", "a_t.y")},
    ),
    "a trigger of another column": (
        COLUMN,
        ["CREATE TRIGGER g BEFORE UPDATE ON a_t FOR EACH ROW SET NEW.x = 'y'"],
        {},
    ),
    "views": (
        COLUMN,
        [
            "CREATE VIEW v AS SELECT x, y FROM a_t",
            "CREATE VIEW v2 AS SELECT x FROM v",
            "CREATE VIEW w AS SELECT x FROM a_t",
        ],
        {"view v": ("W021", "a_t.y"), "view v2": ("W021", "a_t.y")},
    ),
    "a view of a table": (TABLE, ["CREATE VIEW v AS SELECT * FROM a_u"], {"view v": ("W021", "a_u")}),
    "a generated column": (
        COLUMN,
        ["ALTER TABLE a_t ADD double_y int AS (y * 2) STORED"],
        {"generated column a_t.double_y": ("E020", "a_t.y")},
    ),
    "checks": (
        COLUMN,
        ["ALTER TABLE a_t ADD CONSTRAINT one CHECK (y > 0)", "ALTER TABLE a_t ADD CONSTRAINT other CHECK (x > 0)"],
        {"check a_t.one": ("W020", "a_t.y")},
    ),
    "a check of two columns": (
        COLUMN,
        ["ALTER TABLE a_t ADD CONSTRAINT two CHECK (y > x)"],
        {"check a_t.two": ("E020", "a_t.y")},
    ),
    "indexes": (
        COLUMN,
        ["CREATE INDEX one ON a_t (y)", "CREATE INDEX two ON a_t (x, y)", "CREATE INDEX other ON a_t (x)"],
        {"index a_t.one": ("W020", "a_t.y"), "index a_t.two": ("E020", "a_t.y")},
    ),
    "what belongs to a table": (
        TABLE,
        [
            "ALTER TABLE a_u ADD CONSTRAINT c CHECK (w > 0), ADD INDEX i (w), ADD g int AS (w + 1) STORED",
        ],
        {"check a_u.c": ("W020", "a_u"), "index a_u.i": ("W020", "a_u")},
    ),
    "a foreign key to a table": (
        TABLE,
        ["CREATE TABLE other (u bigint, CONSTRAINT f FOREIGN KEY (u) REFERENCES a_u (id))"],
        {"foreign key other.f": ("E020", "a_u")},
    ),
    "a foreign key to a column": (
        COLUMN,
        [
            "ALTER TABLE a_t ADD UNIQUE INDEX k (y)",
            "CREATE TABLE other (t int, CONSTRAINT f FOREIGN KEY (t) REFERENCES a_t (y))",
        ],
        {"index a_t.k": ("W020", "a_t.y"), "foreign key other.f": ("E020", "a_t.y")},
    ),
    "a foreign key of a column": (
        'migrations.AddField("T", "y", models.BigIntegerField(null=True))',
        ["ALTER TABLE a_t ADD CONSTRAINT f FOREIGN KEY (y) REFERENCES a_log (id)"],
        {"foreign key a_t.f": ("E020", "a_t.y")},
    ),
    "a type": (
        'migrations.AlterField("T", "x", models.BigIntegerField(null=True))',
        [
            "ALTER TABLE a_t ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES a_log (id)",
            "ALTER TABLE a_t ADD double_x int AS (x * 2) STORED",
            "CREATE INDEX k ON a_t (id, x)",
            "CREATE VIEW v AS SELECT x FROM a_t",
        ],
        {"foreign key a_t.f": ("E020", "a_t.x")},
    ),
    "the same type": ('migrations.AlterField("T", "x", models.IntegerField(null=True, help_text="x"))', [], {}),
}


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("name", MARIADB)
def test_what_mariadb_drops_breaks_or_refuses(database: Database, project: Project, name: str) -> None:
    late, sql, expected = MARIADB[name]
    deployed(database, project, late, sql, SMALL)
    said_of(database, expected)


DROPS_IT = 'migrations.RunSQL(migrations.RunSQL.noop, "DROP VIEW IF EXISTS v")'


@pytest.mark.databases("postgresql")
def test_what_sql_drops_before_is_not_in_the_way(database: Database, project: Project) -> None:
    late = 'migrations.AlterField("T", "x", models.BigIntegerField(null=True))'
    deployed(database, project, f"{late}, {DROPS_IT}", ["CREATE VIEW v AS SELECT x FROM a_t"], SMALL)
    assert found(database) == {}
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("step_by_step", [False, True])
def test_code_may_drop_what_is_in_the_way(database: Database, project: Project, step_by_step: bool) -> None:
    late = """migrations.AlterField("T", "x", models.BigIntegerField(null=True)),
        migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: editor.execute("DROP VIEW v"))"""
    deployed(database, project, late, ["CREATE VIEW v AS SELECT x FROM a_t"], SMALL)
    said = roll_back(database, DAY_2, step_by_step=step_by_step)
    assert said.status == (3 if step_by_step else 0)
    assert ("unless code that runs before drops it" in said.out.replace("\n    ", " ")) != step_by_step


# What is made between the plan and the run, so that the plan cannot name it.
SILENT = {
    "postgresql": ["CREATE VIEW v AS SELECT y FROM a_t", "CREATE MATERIALIZED VIEW m AS SELECT y FROM v"],
    "sqlite": ["CREATE TRIGGER v AFTER UPDATE ON a_u BEGIN SELECT 1; END", "CREATE INDEX m ON a_u (w)"],
    "mariadb": ["CREATE TRIGGER v AFTER UPDATE ON a_u FOR EACH ROW SET @x = 1", "CREATE INDEX m ON a_u (w)"],
}
GONE = {
    "postgresql": "them: materialized view public.m, view public.v",
    "sqlite": "them: index m, trigger v",
    "mariadb": "them: index a_u.m, trigger v",
}


@pytest.mark.parametrize("step_by_step", [False, True])
def test_what_the_plan_does_not_name_may_not_go(
    database: Database, project: Project, cascading: None, step_by_step: bool
) -> None:
    deployed(database, project, f"{COLUMN}, {TABLE}", early=SMALL)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=step_by_step)
    execute(database, *SILENT[database.vendor])
    with pytest.raises(StepFailed) as caught:
        workflow.roll_back(previews, destroy_data=True)
    assert f"gone, although the plan does not name {GONE[database.vendor]}" in caught.value.message
    assert "--no-verify" in (caught.value.hint or "")
    assert (("a", "0002_late") in keys(database.alias)) == (database.vendor != "mariadb")
    if database.vendor != "mariadb":
        workflow.roll_back(previews, destroy_data=True, verify=False)
        assert ("a", "0002_late") not in keys(database.alias)


def test_what_belongs_to_a_renamed_table_is_still_there(database: Database, project: Project) -> None:
    late = f"""migrations.AlterModelTable("T", "second"), migrations.AlterModelTable("T", "third"),
        migrations.RenameField("T", "x", "y"), {TABLE}"""
    made = ["CREATE INDEX i ON third (y)", "CREATE VIEW v AS SELECT n FROM a_log"]
    deployed(database, project, late, made, SMALL)
    assert found(database) == {}
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("sqlite")
def test_a_column_that_the_plan_does_not_name_may_not_go(database: Database, project: Project) -> None:
    deployed(database, project, f"{TABLE}, {REMAKE}", early=SMALL)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    execute(database, "ALTER TABLE a_t ADD extra text", "ALTER TABLE a_u ADD goes_with_its_table text")
    with pytest.raises(StepFailed, match="does not name it: column a_t.extra"):
        workflow.roll_back(previews, destroy_data=True)
    with pytest.raises(StepFailed, match="does not name it: column a_t.extra"):
        workflow.rehearse(previews)


DROPS = {
    "postgresql": "DROP VIEW v",
    "sqlite": "DROP TRIGGER v; DROP INDEX m",
    "mariadb": "DROP TRIGGER v; DROP INDEX m ON a_t",
}
DROPPED = {
    "postgresql": ["CREATE VIEW v AS SELECT id FROM a_t"],
    "sqlite": ["CREATE TRIGGER v AFTER UPDATE ON a_t BEGIN SELECT 1; END", "CREATE INDEX m ON a_t (x)"],
    "mariadb": ["CREATE TRIGGER v AFTER UPDATE ON a_t FOR EACH ROW SET @x = 1", "CREATE INDEX m ON a_t (x)"],
}


@pytest.mark.parametrize("step_by_step", [False, True])
@pytest.mark.parametrize("how", ["SQL", "code", "code without a transaction"])
def test_what_sql_and_code_drop_themselves_may_go(
    database: Database, project: Project, step_by_step: bool, how: str
) -> None:
    sql = DROPS[database.vendor]
    late = f"migrations.RunSQL(migrations.RunSQL.noop, {sql!r})"
    if how != "SQL":
        each = f"[editor.connection.cursor().execute(sql) for sql in {sql.split('; ')!r}]"
        late = f"migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: {each})"
    text = migration(f"{late}, {COLUMN}", [("a", "0001_early")], atomic=how != "code without a transaction")
    deployed(database, project, text, DROPPED[database.vendor], SMALL)
    assert roll_back(database, DAY_2, step_by_step=step_by_step).status == 0
    assert found_in(database, "v") == found_in(database, "m") == 0


def found_in(database: Database, name: str) -> int:
    """How many views, triggers and indexes have this name."""
    queries = {
        "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = %s",
        "postgresql": "SELECT count(*) FROM pg_class WHERE relname = %s",
        "mariadb": "SELECT count(*) FROM information_schema.triggers WHERE trigger_name = %s",
    }
    with database.connection.cursor() as cursor:
        cursor.execute(queries[database.vendor], [name])
        return int(cursor.fetchone()[0])


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("step_by_step", [False, True])
@pytest.mark.parametrize("verify", [False, True])
def test_sqlite_makes_again_what_a_remake_drops(
    database: Database, project: Project, step_by_step: bool, verify: bool
) -> None:
    late = f"""migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
        {REMAKE}, migrations.RenameField("T", "x", "z"), {TABLE},
        migrations.AlterField("T", "z", models.BigIntegerField(default=3))"""
    made = [
        "CREATE INDEX i ON a_t (z) WHERE z > 1",
        "CREATE TRIGGER g AFTER UPDATE OF z ON a_t BEGIN INSERT INTO a_log (n) VALUES (NEW.z); END",
        "INSERT INTO a_t (z) VALUES (5)",
    ]
    deployed(database, project, late, made, SMALL)
    assert found(database) == {}
    said = roll_back(database, DAY_2, step_by_step=step_by_step, no_verify=not verify)
    assert said.status == 0, said.all
    assert found_in(database, "i") == 1
    execute(database, "UPDATE a_t SET x = 7")
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT n FROM a_log")
        assert cursor.fetchall() == [(7,)]


@pytest.mark.databases("sqlite")
def test_what_sqlite_cannot_make_again_fails_the_run(database: Database, project: Project) -> None:
    late = f"""{REMAKE}, {INDEXED}"""
    deployed(database, project, late, early=SMALL)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    execute(database, "CREATE INDEX i ON a_t (y, x)")
    with pytest.raises(StepFailed, match="making index i again after its table was remade: .*no such column: y"):
        workflow.roll_back(previews, destroy_data=True)
    assert found_in(database, "i") == 1


@pytest.mark.databases("sqlite")
def test_what_code_drops_of_a_table_that_it_remakes_is_made_again(database: Database, project: Project) -> None:
    """Unless the code drops it by its name."""
    before = """
def code(apps, editor):
    T = apps.get_model("a", "T")
    editor.execute("DROP INDEX j")
    editor._remake_table(T)
"""
    operation = "migrations.RunPython(migrations.RunPython.noop, code)"
    text = migration(operation, [("a", "0001_early")], before=before)
    deployed(database, project, text, ["CREATE INDEX i ON a_t (x)", "CREATE INDEX j ON a_t (x, id)"], SMALL)
    assert roll_back(database, DAY_2).status == 0
    assert (found_in(database, "i"), found_in(database, "j")) == (1, 0)


# A run that goes on inside a step

STOPS = """
def stops(apps, schema_editor):
    if FAILS:
        raise ValueError("on purpose")
"""
PARTS = f"""migrations.CreateModel("P", [{ID}, ("x", models.IntegerField(default=1))])"""
WIDE = 'migrations.AlterField("{}", "x", models.BigIntegerField(default=3))'
MORE = 'migrations.AddField("P", "y", models.IntegerField(null=True))'


def stopped(database: Database, project: Project, of_p: str, of_t: str = WIDE.format("T"), *made: str) -> None:
    """A run that stopped inside a.0002_late, at its code, before the operation on T; b.0002_late comes after it."""

    def use(*, fails: bool) -> None:
        late = migration(
            f"{of_t}, migrations.RunPython(migrations.RunPython.noop, stops)",
            [("a", "0001_early"), ("b", "0002_late")],
            before=f"FAILS = {fails}\n{STOPS}",
            atomic=False,
        )
        later = migration(of_p, [("b", "0001_parts")])
        project(a={"0001_early": SMALL, "0002_late": late}, b={"0001_parts": PARTS, "0002_late": later})

    use(fails=True)
    migrate(database.alias)
    set_applied(
        database.alias,
        {key: DAY_2 if key[1] == "0002_late" else DAY_1 for key in keys(database.alias)},
    )
    execute(database, *made)
    assert roll_back(database, DAY_2, step_by_step=True).status == 1
    use(fails=False)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("renames", [False, True])
def test_indexes_and_triggers_are_made_again_also_if_a_run_goes_on(
    database: Database, project: Project, renames: bool
) -> None:
    made = [
        f"CREATE {what} ON {table} {does}"
        for table in ("a_t", "b_p")
        for what, does in [(f"INDEX i_{table}", "(x)"), (f"TRIGGER g_{table} AFTER UPDATE", "BEGIN SELECT 1; END")]
    ]
    rename = 'migrations.RenameField("Log", "n", "m"), ' if renames else ""
    stopped(database, project, WIDE.format("P"), f"{rename}{WIDE.format('T')}", *made)
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 0, said.all
    assert "stopped inside a.0002_late" in said.out
    assert [found_in(database, f"{what}_{table}") for what in "ig" for table in ("a_t", "b_p")] == [1, 1, 1, 1]


HANGING = {
    "postgresql": ("CREATE VIEW v AS SELECT y FROM b_p", "view public.v"),
    "sqlite": ("CREATE TRIGGER v AFTER UPDATE OF y ON b_p BEGIN SELECT 1; END", "trigger v"),
    "mariadb": ("CREATE VIEW v AS SELECT y FROM b_p", "view v"),
}


def test_what_goes_after_the_step_that_is_gone_on_with_is_named(
    database: Database, project: Project, cascading: None
) -> None:
    sql, name = HANGING[database.vendor]
    stopped(database, project, MORE, WIDE.format("T"), sql)
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=True)
    named = [each for each in preview.findings if "kind" in each.facts]
    assert [(each.about, f"{each.facts['kind']} {each.facts['name']}") for each in named] == [("b.0002_late", name)]
    assert roll_back(database, DAY_2, step_by_step=True, verify=False).status == 0


LOST = {
    "postgresql": ("CREATE VIEW v AS SELECT y FROM b_p", "view public.v"),
    "sqlite": ("CREATE TRIGGER v AFTER UPDATE ON b_q BEGIN SELECT 1; END", "trigger v"),
    "mariadb": ("CREATE TRIGGER v AFTER UPDATE ON b_q FOR EACH ROW SET @x = 1", "trigger v"),
}


def test_what_goes_unnamed_after_the_step_that_is_gone_on_with_fails_the_run(
    database: Database, project: Project, cascading: None
) -> None:
    sql, name = LOST[database.vendor]
    stopped(database, project, f'{MORE}, migrations.CreateModel("Q", [{ID}])')
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=True)
    execute(database, sql)
    with pytest.raises(StepFailed, match=f"gone, although the plan does not name it: {name}"):
        workflow.roll_back(previews, destroy_data=True)
    assert ("a", "0002_late") not in keys(database.alias)


def test_where_names_change_in_the_rest_of_a_step_nothing_is_said_of_what_comes_after_it(
    database: Database, project: Project, cascading: None
) -> None:
    """What hangs there is not known by the names of today."""
    sql, _ = HANGING[database.vendor]
    stopped(database, project, MORE, 'migrations.RenameField("Log", "n", "m")', sql)
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=True)
    assert not [each for each in preview.findings if "kind" in each.facts]
    assert roll_back(database, DAY_2, step_by_step=True).status == 0
