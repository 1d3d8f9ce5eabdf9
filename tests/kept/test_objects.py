"""What no migration knows and goes along with a table or column is made again when that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from rollback_app import kept
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.safety import Kept, KeptKind, KeptState
from tests.database.test_objects import DAY_2, deployed
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project

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
    kept.make_again(get(database.alias), [each for each in objects(database) if each.open])
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
    "an inheriting table": [
        "CREATE TABLE kid (q int DEFAULT 3 CHECK (q > w), p int GENERATED ALWAYS AS IDENTITY) INHERITS (a_u)",
        "CREATE INDEX ON kid (q)",
        "GRANT SELECT ON kid TO somebody",
    ],
}


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
    before = said_of(database)
    said = roll_back(database, DAY_2, destroy_data=False)
    assert said.status == 0, said.all
    assert said_of(database) != before
    assert {each.state for each in forward(database)} == {KeptState.PUT_BACK}
    assert said_of(database) == before
