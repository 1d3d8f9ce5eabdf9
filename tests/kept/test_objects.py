"""What no migration knows and goes along with a table or column is made again when that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from django.core.management import call_command

from rollback_app import kept, workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.errors import database_option
from rollback_app.kept.objects import keep_objects
from rollback_app.safety import Keeping, Kept, KeptKind, KeptState
from tests.database.test_objects import (
    COLUMN,
    DAY_2,
    ID,
    INDEXED,
    REMAKE,
    SMALL,
    TABLE,
    cascades,
    deployed,
    execute,
    found,
)
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate
from tests.support.projects import Project

DAY_3 = DAY_2 + timedelta(days=1)
# What PostgreSQL says of all that there is, by names and not by numbers.
POSTGRESQL = """
SELECT 'view', v::text FROM pg_views v WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'materialized view', m::text FROM pg_matviews m
UNION ALL SELECT 'index', i::text FROM pg_indexes i WHERE schemaname <> 'pg_catalog'
UNION ALL SELECT 'rule', r::text || e.ev_enabled::text FROM pg_rules r JOIN pg_rewrite e ON e.rulename = r.rulename
    WHERE schemaname <> 'pg_catalog'
UNION ALL SELECT 'policy', p::text FROM pg_policies p
UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || conname || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid <> 0 AND connamespace <> 'pg_catalog'::regnamespace
UNION ALL SELECT 'statistics', pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
UNION ALL SELECT 'publication', p::text FROM pg_publication_tables p
UNION ALL SELECT 'default', concat_ws(' ', adrelid::regclass, attname, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
    JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
UNION ALL SELECT 'sequence', s::text FROM pg_sequences s WHERE sequencename = 'sq'
UNION ALL SELECT 'function', pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'said', i.identity || description FROM pg_description, LATERAL pg_identify_object(classoid, objoid, objsubid) i
    WHERE objoid > 16384 AND i.identity NOT LIKE '%rollback%'
UNION ALL SELECT 'class', concat_ws(' ', oid::regclass, relkind, relowner::regrole, reloptions,
    ARRAY(SELECT x::text FROM unnest(relacl) x ORDER BY 1), relrowsecurity, relforcerowsecurity)
    FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_' AND relnamespace <> 'information_schema'::regnamespace
UNION ALL SELECT 'column', concat_ws(' ', attrelid::regclass, attname, attacl, attgenerated, attnotnull, attidentity,
    format_type(atttypid, atttypmod)) FROM pg_attribute
    WHERE attnum > 0 AND NOT attisdropped AND attrelid > 16384 AND attrelid::regclass::text NOT LIKE 'pg_toast%'
"""
OTHERS = {
    "sqlite": "SELECT type, name || ' ' || sql FROM sqlite_master WHERE type IN ('index', 'trigger', 'view')",
    "mariadb": """
        SELECT 'view', concat_ws(' ', table_name, view_definition, definer, security_type, check_option)
        FROM information_schema.views WHERE table_schema = database()
        UNION ALL SELECT 'trigger', concat_ws(' ', trigger_name, event_object_table, action_timing, event_manipulation,
            action_statement, definer, sql_mode) FROM information_schema.triggers WHERE trigger_schema = database()
        UNION ALL SELECT 'check', concat_ws(' ', table_name, constraint_name, check_clause)
        FROM information_schema.check_constraints WHERE constraint_schema = database()
        UNION ALL SELECT 'index', concat_ws(' ', table_name, index_name, seq_in_index, column_name, collation, sub_part,
            index_type, non_unique, index_comment) FROM information_schema.statistics WHERE table_schema = database()
    """,
}


def said_of(database: Database) -> set[tuple[str, str]]:
    """What the database says of all its objects but ours."""
    with database.connection.cursor() as cursor:
        cursor.execute(POSTGRESQL if database.vendor == "postgresql" else OTHERS[database.vendor])
        return {(kind, text) for kind, text in cursor.fetchall() if "rollback_" not in text}


def objects(database: Database) -> list[Kept]:
    return [each for each in Catalogue(get(database.alias)).entries() if each.kind is KeptKind.OBJECT]


def forward(database: Database) -> list[Kept]:
    """The entries of objects after a `migrate`, in the order in which they were kept."""
    migrate(database.alias)
    return objects(database)[::-1]


FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
ROUND_TRIPS: Mapping[str, Sequence[str]] = {
    "a view": [
        "CREATE VIEW v WITH (security_barrier) AS SELECT y, id FROM a_t WITH CHECK OPTION",
        "GRANT SELECT ON v TO PUBLIC",
        "GRANT UPDATE (y) ON v TO somebody WITH GRANT OPTION",
        "COMMENT ON VIEW v IS 'it''s 100%'",
        "COMMENT ON COLUMN v.y IS 'Y'",
        "ALTER VIEW v ALTER y SET DEFAULT 5",
        "ALTER VIEW v OWNER TO owner",
        "CREATE RULE r AS ON DELETE TO v DO INSTEAD NOTHING",
        "COMMENT ON RULE r ON v IS 'R'",
    ],
    "views of views": [
        "CREATE VIEW z AS SELECT y FROM a_t",
        "CREATE VIEW c AS SELECT y FROM z",
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM c",
        "CREATE UNIQUE INDEX b ON a (y)",
        "CREATE MATERIALIZED VIEW n AS SELECT * FROM c WITH NO DATA",
        "CREATE VIEW d AS SELECT * FROM a",
    ],
    "a view with a trigger": [
        FUNCTION,
        "CREATE VIEW v AS SELECT w FROM a_u",
        "CREATE TRIGGER g INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f()",
    ],
    "a view in another schema": ["CREATE SCHEMA s", "CREATE VIEW s.v AS SELECT w FROM a_u"],
    "rules": [
        "CREATE RULE r AS ON INSERT TO a_log DO ALSO DELETE FROM a_log WHERE n IN (SELECT y FROM a_t)",
        "CREATE RULE q AS ON UPDATE TO a_u DO INSTEAD NOTHING",
        "ALTER TABLE a_u DISABLE RULE q",
    ],
    "policies": [
        "CREATE POLICY p ON a_t AS RESTRICTIVE FOR UPDATE TO somebody, owner USING (y > 1) WITH CHECK (y > 2)",
        "CREATE POLICY q ON a_log FOR INSERT WITH CHECK (EXISTS (SELECT FROM a_u WHERE w = n))",
        "COMMENT ON POLICY p ON a_t IS 'P'",
    ],
    "a foreign key": [
        "CREATE TABLE other (u bigint CONSTRAINT k REFERENCES a_u ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED)",
        "COMMENT ON CONSTRAINT k ON other IS 'K'",
    ],
    "triggers": [
        FUNCTION,
        "CREATE TRIGGER g BEFORE UPDATE OF y ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE a_t DISABLE TRIGGER g",
        "CREATE TRIGGER h BEFORE UPDATE ON a_u FOR EACH ROW WHEN (NEW.w > 3) EXECUTE FUNCTION f()",
        "ALTER TABLE a_u ENABLE ALWAYS TRIGGER h",
        "COMMENT ON TRIGGER h ON a_u IS 'H'",
    ],
    "a generated column": [
        'ALTER TABLE a_t ADD double text COLLATE "C" GENERATED ALWAYS AS (y::int::text) STORED NOT NULL',
        "COMMENT ON COLUMN a_t.double IS 'D'",
        "CREATE INDEX of_double ON a_t (double)",
    ],
    "statistics": ["CREATE STATISTICS st (dependencies) ON y, x FROM a_t", "COMMENT ON STATISTICS st IS 'S'"],
    "a publication": ["CREATE PUBLICATION pub FOR TABLE a_u (id, w) WHERE (w > 1), a_log"],
    "a publication of a whole table": ["CREATE PUBLICATION pub FOR TABLE a_u"],
    "a sequence": [
        "CREATE SEQUENCE sq AS int INCREMENT 3 START 7 CACHE 2 CYCLE OWNED BY a_t.y",
        "CREATE TABLE other (n int DEFAULT nextval('sq'))",
        "INSERT INTO other VALUES (DEFAULT)",
        "GRANT USAGE ON SEQUENCE sq TO somebody",
    ],
    "rules made by hand": [
        "ALTER TABLE a_t ADD CONSTRAINT less CHECK (y < length(x)) NOT VALID, ADD CONSTRAINT two UNIQUE (x, y) DEFERRABLE",
        "CREATE INDEX by_y ON a_t (id DESC) WHERE y > 1",
        "COMMENT ON INDEX by_y IS 'I'",
        "ALTER TABLE a_u ADD EXCLUDE (w WITH =)",
        "CREATE TABLE other (u int, CONSTRAINT o FOREIGN KEY (u) REFERENCES a_u (w))",
    ],
    "functions": [
        "CREATE FUNCTION f(a_u) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "REVOKE EXECUTE ON FUNCTION f(a_u) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION f(a_u) TO somebody",
        "CREATE PROCEDURE p(a_u) LANGUAGE sql AS 'SELECT 1'",
    ],
    "what is said of a table and a column": [
        "COMMENT ON TABLE a_u IS 'it''s'",
        "COMMENT ON COLUMN a_u.w IS 'W'",
        "COMMENT ON COLUMN a_t.y IS 'Y'",
        "GRANT SELECT, INSERT ON a_u TO somebody WITH GRANT OPTION",
        "GRANT SELECT (w), UPDATE (w) ON a_u TO PUBLIC",
        "GRANT SELECT (y) ON a_t TO owner",
        "ALTER TABLE a_u ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    ],
    "an inheriting table": [
        "CREATE TABLE kid (q int DEFAULT 3 CHECK (q > w), p int GENERATED ALWAYS AS IDENTITY) INHERITS (a_u)",
        "CREATE INDEX ON kid (q)",
        "GRANT SELECT ON kid TO somebody",
    ],
}

ONLY_BY_CASCADE = {"a view", "views of views", "rules", "policies", "triggers", "a generated column", "a sequence"}


@pytest.fixture
def roles(database: Database) -> None:
    """Of the server, and of no single database: they stay."""
    with database.connection.cursor() as cursor:
        for role in ("somebody", "owner"):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {role}")


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_there_and_back_again(database: Database, project: Project, name: str) -> None:
    deployed(database, project, sql=ROUND_TRIPS[name])
    if name in ONLY_BY_CASCADE and not cascades(database):
        assert roll_back(database, DAY_2).status == 3
    else:
        goes_and_comes_back(database)


SQLITE: Mapping[str, tuple[str, Sequence[str]]] = {
    "of a table": (
        TABLE,
        [
            "CREATE UNIQUE INDEX i ON a_u (w) WHERE w > 1",
            "CREATE TRIGGER g AFTER UPDATE ON a_u BEGIN SELECT 1; SELECT ';'; END",
            "CREATE TRIGGER h AFTER UPDATE ON a_u BEGIN DELETE FROM a_log; END",
        ],
    ),
    "of a column": (INDEXED, ["CREATE INDEX i ON a_t (y, x)"]),
}
MARIADB: Mapping[str, tuple[str, Sequence[str]]] = {
    "of a table": (
        TABLE,
        [
            "CREATE DEFINER = 'somebody'@'%' TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW BEGIN SET NEW.w = 1; SET @x = ';'; END",
            "ALTER TABLE a_u ADD CONSTRAINT c CHECK (w > 0), ADD UNIQUE INDEX i (w DESC) COMMENT 'it''s'",
        ],
    ),
    "of a column": (
        COLUMN,
        ["CREATE INDEX one ON a_t (y)", "ALTER TABLE a_t ADD CONSTRAINT `two ``` CHECK (y > 0)"],
    ),
}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", SQLITE)
def test_there_and_back_again_on_sqlite(database: Database, project: Project, name: str) -> None:
    late, sql = SQLITE[name]
    deployed(database, project, late, sql, SMALL)
    goes_and_comes_back(database)


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("name", MARIADB)
def test_there_and_back_again_on_mariadb(database: Database, project: Project, name: str) -> None:
    late, sql = MARIADB[name]
    deployed(database, project, late, sql, SMALL)
    goes_and_comes_back(database)


def goes_and_comes_back(database: Database) -> None:
    before = said_of(database)
    said = roll_back(database, DAY_2, destroy_data=False)
    assert said.status == 0, said.all
    assert said_of(database) != before
    assert {each.state for each in forward(database)} == {KeptState.PUT_BACK}
    assert said_of(database) == before


@pytest.mark.databases("sqlite")
def test_columns_made_by_hand_that_a_remake_of_sqlite_drops(database: Database, project: Project) -> None:
    made = [
        "ALTER TABLE a_t ADD \"odd, (name\" text /* ( */ DEFAULT 'a, (b'",
        "ALTER TABLE a_t ADD double integer AS (x * (2)) VIRTUAL",
        "CREATE INDEX i ON a_t (double)",
    ]
    deployed(database, project, REMAKE, made, SMALL)
    columns = "SELECT name, type, hidden, dflt_value FROM pragma_table_xinfo('a_t') ORDER BY name"
    before = ask(database, columns)
    goes_and_comes_back(database)
    assert ask(database, columns) == before


BROKEN = {
    "sqlite": (TABLE, ["CREATE VIEW v AS SELECT w FROM a_u", "CREATE VIEW v2 AS SELECT w FROM v"], "DROP VIEW"),
    "mariadb": (
        COLUMN,
        [
            "CREATE DEFINER = 'somebody'@'%' SQL SECURITY INVOKER VIEW v AS SELECT x, y FROM a_t WITH CHECK OPTION",
            "CREATE VIEW v2 AS SELECT x FROM v",
        ],
        "DROP VIEW",
    ),
}


@pytest.mark.databases("sqlite", "mariadb")
def test_what_is_broken_needs_consent_and_is_made_again_if_somebody_drops_it(
    database: Database, project: Project
) -> None:
    late, sql, drop = BROKEN[database.vendor]
    deployed(database, project, late, sql, SMALL)
    before = said_of(database)
    assert {each.id for each in found(database, Keeping()).values()} == {"rollback.W021"}
    assert roll_back(database, DAY_2, destroy_data=False).status == 3
    assert roll_back(database, DAY_2).status == 0
    execute(database, f"{drop} v")
    assert {each.state for each in forward(database)} == {KeptState.PUT_BACK}
    assert said_of(database) == before


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("roles")
def test_what_cannot_be_made_again_stays_kept(database: Database, project: Project) -> None:
    made = [
        FUNCTION,
        "CREATE TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE VIEW v AS SELECT w FROM a_u",
        "CREATE VIEW v2 AS SELECT w FROM v",
        "CREATE INDEX i ON a_u (w)",
        "CREATE ROLE temporary",
        "ALTER VIEW v OWNER TO temporary",
    ]
    deployed(database, project, sql=made)
    before = said_of(database)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    execute(database, "DROP FUNCTION f", "DROP ROLE temporary")
    after = {each.name: each for each in forward(database)}
    assert after["index public.i"].state is KeptState.PUT_BACK
    left = {name: each.why for name, each in after.items() if each.open}
    assert left == {
        "trigger g on public.a_u": ((0, "function public.f() does not exist"),),
        "view public.v": ((0, 'role "temporary" does not exist'),),
        "view public.v2": ((0, 'relation "public.v" does not exist'),),
    }
    assert all(after[name].tried for name in left)
    execute(database, FUNCTION, "CREATE ROLE temporary")
    done = kept.make_again(get(database.alias), [after[name] for name in left])
    assert {(each.state, each.why) for each in done} == {(KeptState.PUT_BACK, ())}
    assert said_of(database) == before
    execute(database, "DROP OWNED BY temporary CASCADE", "DROP ROLE temporary")


@pytest.mark.databases("sqlite")
def test_what_sqlite_cannot_make_again(database: Database, project: Project) -> None:
    deployed(database, project, REMAKE, early=SMALL)
    remade = "CREATE TABLE a_t (id integer PRIMARY KEY, x integer NOT NULL, twice integer AS (x * 2) STORED)"
    execute(database, "DROP TABLE a_t", remade, "INSERT INTO a_t VALUES (1, 1)")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    (entry,) = forward(database)
    assert (entry.name, entry.state) == ("generated column a_t.twice", KeptState.KEPT)
    assert entry.why == ((0, "cannot add a STORED column"),)


MADE_BY_HAND = {
    "postgresql": ["CREATE INDEX i ON a_u (w)"],
    "sqlite": ["CREATE INDEX i ON a_u (w)"],
    "mariadb": ["CREATE INDEX i ON a_u (w)", "CREATE TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW SET NEW.w = 1"],
}


def test_what_is_there_already_counts_as_put_back(database: Database, project: Project) -> None:
    deployed(database, project, TABLE, MADE_BY_HAND[database.vendor], SMALL)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    entries = objects(database)
    assert {each.state for each in entries} == {KeptState.KEPT}
    for each in entries:
        Catalogue(get(database.alias)).change(each.number, put_back=False)  # so that migrate leaves it alone
    migrate(database.alias)
    execute(database, "CREATE INDEX i ON a_u (id)", *MADE_BY_HAND[database.vendor][1:])
    assert {each.state for each in kept.make_again(get(database.alias), entries)} == {KeptState.PUT_BACK}


def test_of_two_that_have_one_name_the_newer_is_made_again(database: Database, project: Project) -> None:
    deployed(database, project, TABLE, MADE_BY_HAND[database.vendor][:1], SMALL)
    for moment in (DAY_2, DAY_3):
        assert roll_back(database, moment, destroy_data=False).status == 0
        assert len(objects(database)) == (1 if moment == DAY_2 else 2)
        if moment == DAY_2:
            for each in objects(database):
                Catalogue(get(database.alias)).change(each.number, put_back=False)
            deploy(database.alias, DAY_3)
            execute(database, "CREATE INDEX i ON a_u (id, w)")
    assert {each.state for each in objects(database)} == {KeptState.KEPT}
    newer, older = objects(database)
    migrate(database.alias)
    done = kept.make_again(get(database.alias), [each for each in (older, newer) if each.open])
    assert [(each.number, each.state) for each in done] == [
        (newer.number, KeptState.PUT_BACK),
        (older.number, KeptState.PUT_BACK),
    ]
    with database.connection.cursor() as cursor:
        constraints = database.connection.introspection.get_constraints(cursor, "a_u")
    assert constraints["i"]["columns"] == ["id", "w"]


@pytest.mark.databases("postgresql")
def test_rows_of_tables_that_inherit_are_kept_with_their_own(database: Database, project: Project) -> None:
    made = [
        "CREATE TABLE kid (q int) INHERITS (a_u)",
        'CREATE SCHEMA "S"; CREATE TABLE "S"."K" (r int) INHERITS (kid)',
        "INSERT INTO a_t (id, x, z) VALUES (1, 'x', 1)",
        "INSERT INTO a_u (id, w, s, long, t_id) VALUES (1, 1, '', '', 1)",
        "INSERT INTO kid (id, w, s, long, t_id, q) VALUES (2, 2, '', '', 1, 5), (3, 3, '', '', 1, 6)",
        "INSERT INTO \"S\".\"K\" (id, w, s, long, t_id, q, r) VALUES (4, 4, '', '', 1, 7, 8)",
    ]
    deployed(database, project, sql=made)
    said = roll_back(database, DAY_2, destroy_data=False)
    assert said.status == 0, said.all
    assert "inheriting table public.kid goes along, with its 3 rows; kept." in said.out
    entries = {each.source: each for each in Catalogue(get(database.alias)).entries()}
    assert {name: entries[name].rows for name in ("a_u", "kid", 'S"."K')} == {"a_u": 1, "kid": 2, 'S"."K': 1}
    number = entries['S"."K'].number
    assert ask(database, f"SELECT id, q, r FROM rollback_kept_{number}") == [(4, 7, 8)]
    migrate(database.alias)
    assert {each.state for each in Catalogue(get(database.alias)).entries()} == {KeptState.PUT_BACK}
    assert ask(database, "SELECT id FROM ONLY a_u") == [(1,)]
    assert ask(database, "SELECT id, q FROM ONLY kid ORDER BY id") == [(2, 5), (3, 6)]
    assert ask(database, 'SELECT id, q, r FROM "S"."K"') == [(4, 7, 8)]


@pytest.mark.databases("postgresql")
def test_what_would_take_too_much_is_not_kept(database: Database, project: Project) -> None:
    made = [
        "CREATE TABLE kid (q int) INHERITS (a_u)",
        "INSERT INTO kid SELECT n, n, '', '', 1, 1 FROM generate_series(1, 99) n",
        "CREATE VIEW v AS SELECT * FROM kid",
    ]
    deployed(database, project, sql=made)
    findings = found(database, Keeping(at_most=15_000))
    kid, view = findings["inheriting table public.kid"], findings["view public.v"]
    assert (kid.id, view.id) == ("rollback.W020", "rollback.I021")
    assert "; not kept: it takes about 16 kB, and a run keeps at most 15 kB." in kid.text
    assert "--keep-at-most" in kid.hint


@pytest.mark.databases("postgresql")
def test_partitions(database: Database, project: Project) -> None:
    """Django makes a table without partitions, which then holds all rows."""
    deployed(database, project, TABLE, early=SMALL)
    made = [
        "DROP TABLE a_u",
        "CREATE TABLE a_u (id bigint GENERATED BY DEFAULT AS IDENTITY, w int, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE p PARTITION OF a_u FOR VALUES FROM (1) TO (10)",
        "INSERT INTO a_u VALUES (1, 5), (2, 6)",
    ]
    execute(database, *made)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    table, partition = sorted(Catalogue(get(database.alias)).entries(), key=lambda each: each.kind is KeptKind.OBJECT)
    assert (table.source, table.rows) == ("a_u", 2)
    assert "PARTITION OF public.a_u FOR VALUES FROM ('1') TO ('10')" in partition.definition
    (after,) = forward(database)
    assert after.why == ((0, '"a_u" is not partitioned'),)


def test_a_run_that_goes_on_keeps_nothing_twice(database: Database, project: Project) -> None:
    deployed(database, project, TABLE, MADE_BY_HAND[database.vendor][:1], SMALL)
    things = [
        each
        for each in workflow.preview(DAY_2.isoformat(), using=[database.alias])[0].kept
        if each.kind is KeptKind.OBJECT
    ]
    catalogue = Catalogue(get(database.alias))
    assert keep_objects(catalogue, things, 1) == keep_objects(catalogue, things, 2)


@pytest.mark.databases("mariadb")
def test_a_check_that_stands_with_its_column(database: Database, project: Project) -> None:
    deployed(database, project, COLUMN, ["ALTER TABLE a_t MODIFY y int CHECK (y > 0)"], SMALL)
    goes_and_comes_back(database)


@pytest.mark.databases("postgresql")
def test_generated_columns_of_a_table_that_goes(database: Database, project: Project) -> None:
    """A model's own is made by its migration."""
    generated = (
        'models.GeneratedField(expression=models.F("w") + 1, output_field=models.IntegerField(), db_persist=True)'
    )
    late = f'migrations.CreateModel("U", [{ID}, ("w", models.IntegerField()), ("g", {generated})])'
    deployed(database, project, late, ["ALTER TABLE a_u ADD h int GENERATED ALWAYS AS (w * 2) STORED"], SMALL)
    assert found(database).keys() == {"generated column public.a_u.h"}
    goes_and_comes_back(database)


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("roles")
def test_what_a_new_table_has_by_itself_is_not_named(database: Database, project: Project) -> None:
    """Grants by default, and comments of a model's."""
    said = 'models.IntegerField(null=True, db_comment="W")'
    late = f'migrations.CreateModel("U", [{ID}, ("w", {said})], options={{"db_table_comment": "U"}})'
    default = "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO somebody"
    execute(database, default)
    try:
        deployed(database, project, late, ["GRANT INSERT ON a_u TO somebody"], SMALL)
        (grant,) = found(database).values()
        assert grant.facts["definition"] == "GRANT INSERT ON public.a_u TO somebody;\n"
        assert grant.text == "a.0002_late drops table a_u: grant on public.a_u goes along."
        goes_and_comes_back(database)
    finally:
        execute(database, default.replace("GRANT", "REVOKE").replace("TO somebody", "FROM somebody"))


@pytest.mark.databases("postgresql")
def test_what_needs_more_than_one_migrate_waits_for_the_last(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    model = f'migrations.CreateModel("N", [{ID}])'
    project(a={"0001_early": SMALL})
    deploy(database.alias, DAY_2 - timedelta(days=1))
    project(a={"0001_early": SMALL, "0002_late": TABLE}, b={"0001_b": model})
    deploy(database.alias, DAY_2)
    execute(database, "CREATE VIEW v AS SELECT w FROM a_u, b_n")
    before = said_of(database)
    execute(database, "INSERT INTO a_u (w) VALUES (1)")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    migrate(database.alias, "b")
    migrate(database.alias, "a")
    assert caplog.messages == []
    assert {each.state for each in objects(database)} == {KeptState.PUT_BACK}
    assert said_of(database) == before


def test_migrate_tells_of_what_it_makes_again(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(database, project, TABLE, MADE_BY_HAND[database.vendor][:1], SMALL)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    (entry,) = objects(database)
    call_command("migrate", database=database.alias, interactive=False)
    assert f"Put back {entry.name}.\n" in capsys.readouterr().out


def test_nothing_is_made_again_where_the_settings_say_so(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    deployed(database, project, TABLE, MADE_BY_HAND[database.vendor][:1], SMALL)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    project.settings.ROLLBACK = {"PUT_BACK": False}
    migrate(database.alias)
    (entry,) = objects(database)
    assert entry.open
    words = f"{entry.name} was not put back, since ROLLBACK['PUT_BACK'] is False: "
    by_hand = f"`python manage.py putback {entry.number}{database_option(database.alias)}` does it."
    assert caplog.messages == [f"Kept data of {database.alias}: {words}{by_hand}"]
    assert call("putback", entry.number, database=database.alias).status == 0
    assert objects(database)[0].state is KeptState.PUT_BACK


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("roles")
def test_what_stays_kept_is_named_and_comes_back_by_hand(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    deployed(database, project, TABLE, [FUNCTION.replace("f()", "h()")], SMALL)
    execute(database, "CREATE TRIGGER g BEFORE UPDATE ON a_u FOR EACH ROW EXECUTE FUNCTION h()")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    execute(database, "DROP FUNCTION h")
    migrate(database.alias)
    (entry,) = objects(database)
    (message,) = caplog.messages
    assert "trigger g on public.a_u: it could not be put back (function public.h() does not exist)." in message
    said = call("putback", entry.number, database=database.alias)
    assert said.status == 3
    assert "function public.h() does not exist" in said.out
    execute(database, FUNCTION.replace("f()", "h()"))
    assert call("putback", entry.number, database=database.alias).status == 0
