"""SQL that ends a transaction or refuses to run in one is recognised, and nothing else is taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from rollback_app.planner.sql_statements import in_transaction, removes_data, without_concurrently

FUNCTION = """
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT CASE WHEN true THEN 1 END; SELECT 2;
END;
"""
TRIGGER = """
CREATE TRIGGER t AFTER UPDATE ON a WHEN new.n > 1 BEGIN
  UPDATE a SET n = CASE WHEN n > 1 THEN 1 ELSE 0 END;
  DELETE FROM b;
END
"""


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("drop table zz; commit;", "COMMIT"),
        ("ROLLBACK", "ROLLBACK"),
        ("-- one\nSELECT 1 /* two; /* three */ */; /**/ Begin Work;", "BEGIN"),
        (["SELECT 1", "END TRANSACTION"], "END"),
        ([("SELECT %s", [1]), ("ABORT", None)], "ABORT"),
        ("START TRANSACTION READ ONLY", "START TRANSACTION"),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        (f"{FUNCTION} COMMIT", "COMMIT"),
        (f"{TRIGGER}; COMMIT", "COMMIT"),
        ("SELECT ';''' ; SELECT E'\\';' ; COMMIT AND CHAIN", "COMMIT"),
        ("INSERT INTO t VALUES ('it''s'); " * 5000 + "COMMIT", "COMMIT"),
        ("SELECT /* never closed", ""),
        ("SELECT ')'; SELECT 1); COMMIT", "COMMIT"),
    ],
)
def test_what_ends_the_transaction(sql: Any, words: str) -> None:
    assert in_transaction(sql).ends == words


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'COMMIT; COMMIT'",
        'SELECT ";COMMIT" FROM `;COMMIT`',
        "-- ; COMMIT\nSELECT 1",
        "/* ; COMMIT; /* ; COMMIT */ ; COMMIT */ SELECT 1",
        "DO $$ BEGIN NULL; COMMIT; END $$",
        "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN; COMMIT; $$;END; $body$ LANGUAGE plpgsql",
        "SELECT E'\\'; COMMIT; --'",
        "SAVEPOINT x; ROLLBACK TO SAVEPOINT x; ROLLBACK WORK TO x; RELEASE x",
        "CREATE RULE r AS ON DELETE TO a DO ALSO (DELETE FROM b; DELETE FROM c); DROP RULE r ON a",
        "CREATE TABLE x (commit int, begin int); DROP TABLE x",
        "PREPARE p AS SELECT 1; EXECUTE p; CALL p()",
        FUNCTION,
        TRIGGER,
        "",
        ";;",
    ],
)
def test_what_only_looks_like_it(sql: str) -> None:
    assert in_transaction(sql).ends == ""


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("VACUUM", "VACUUM"),
        ("vacuum (full) a_t", "VACUUM"),
        ("SELECT 1; CREATE DATABASE x", "CREATE DATABASE"),
        ("DROP TABLESPACE x", "DROP TABLESPACE"),
        ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM"),
        ("CLUSTER", "CLUSTER"),
        ("REINDEX (VERBOSE) SCHEMA public", "REINDEX ( VERBOSE ) SCHEMA"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
        ("PRAGMA journal_mode = wal", "PRAGMA JOURNAL_MODE ="),
        ("CLUSTER a_t USING i; REINDEX a_t; REFRESH MATERIALIZED VIEW CONCURRENTLY v; PRAGMA journal_mode", ""),
        ("SELECT 'VACUUM'; DROP INDEX CONCURRENTLY i", ""),
        ("ALTER TYPE mood ADD VALUE 'sad'", ""),
    ],
)
def test_what_refuses_a_transaction(sql: str, words: str) -> None:
    assert in_transaction(sql).refuses == words


@pytest.mark.parametrize(
    ("sql", "plain", "waits"),
    [
        (
            'CREATE UNIQUE INDEX CONCURRENTLY "i" ON ONLY shop."Order Item" (n)',
            'CREATE UNIQUE INDEX "i" ON ONLY shop."Order Item" (n)',
            "writes to shop.Order Item",
        ),
        ("drop index concurrently if exists i;", "drop index if exists i;", "reads and writes of the index's table"),
        ("REINDEX INDEX CONCURRENTLY i", "REINDEX INDEX i", "reads and writes of the index's table"),
        ("REINDEX (VERBOSE) TABLE CONCURRENTLY a_t", "REINDEX (VERBOSE) TABLE a_t", "reads and writes of a_t"),
        (
            "ALTER TABLE a_t DETACH PARTITION a_u CONCURRENTLY",
            "ALTER TABLE a_t DETACH PARTITION a_u",
            "reads and writes of a_t",
        ),
        (
            ["SELECT 'CREATE INDEX CONCURRENTLY'", ("CREATE INDEX CONCURRENTLY i ON t (n)", None)],
            ["SELECT 'CREATE INDEX CONCURRENTLY'", ("CREATE INDEX i ON t (n)", None)],
            "writes to t",
        ),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW CONCURRENTLY v", ""),
        ("CREATE INDEX i ON t (n) -- CONCURRENTLY", "CREATE INDEX i ON t (n) -- CONCURRENTLY", ""),
    ],
)
def test_plain_twins(sql: Any, plain: Any, waits: str) -> None:
    assert without_concurrently(sql) == plain
    assert in_transaction(sql).waits == waits


@pytest.mark.parametrize(
    ("sql", "removes"),
    [
        ("DROP TABLE a_t", True),
        ("SELECT 1; drop table if exists a_t;", True),
        (["SELECT 1", ("DELETE FROM a_t WHERE id = %s", [1])], True),
        ("WITH old AS (SELECT 1) DELETE FROM a_t USING old", True),
        ("TRUNCATE a_t", True),
        ('ALTER TABLE "a_t" DROP "x"', True),
        ("ALTER TABLE a_t DROP COLUMN x", True),
        ("ALTER TABLE a_t DROP CONSTRAINT c, DROP COLUMN x", True),
        ("ALTER TABLE a_t DROP CONSTRAINT c", False),
        ("ALTER TABLE a_t ALTER COLUMN x DROP NOT NULL", False),
        ("DROP INDEX i; DROP VIEW v; DROP TRIGGER g ON a_t", False),
        ("CREATE TABLE u (t int REFERENCES a_t ON DELETE CASCADE)", False),
        ("-- DROP TABLE a_t\nSELECT 'DROP TABLE a_t'", False),
        (TRIGGER, False),
        ("", False),
    ],
)
def test_sql_that_removes_data(sql: Any, removes: bool) -> None:
    assert removes_data(sql) is removes
