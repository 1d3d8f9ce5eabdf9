"""What goes back, and what does not, row by row: references, keys, types, defaults, triggers."""

from __future__ import annotations

import pytest

from rollback_app import workflow
from rollback_app.history import Key
from rollback_app.kept import halves
from rollback_app.safety import KeptKind, KeptState
from tests.kept.test_put_back import DAY_1, DAY_2, EARLY, ID, ask, entries, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, migrate
from tests.support.kept import tables
from tests.support.projects import Project, migration


def late(
    database: Database, project: Project, *operations: str, rows: tuple[str, ...] = (), early: str = EARLY
) -> None:
    """Deploys the early release, with two rows, and the late one, whose operations are these; writes rows; rolls back."""
    project(a={"0001_early": early, "0002_late": ", ".join(operations)})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    for statement in rows:
        ask(database, statement)
    roll_back(database)


def forward(database: Database, project: Project, *operations: str, before: str = "", early: str = EARLY) -> None:
    """Another late release, mended."""
    text = migration(", ".join(operations), [("a", "0001_early")], before=before)
    project.replace(a={"0001_early": early, "0002_late": text})
    migrate(database.alias)


def model(name: str, *fields: str, options: str = "{}") -> str:
    return f'migrations.CreateModel("{name}", [{", ".join(fields)}], options={options})'


def whys(database: Database) -> list[tuple[str, KeptState, tuple[tuple[int, str], ...]]]:
    return [(each.source, each.state, each.why) for each in entries(database)]


N = model("N", ID, '("x", models.IntegerField(null=True))')
ITSELF = model("N", ID, '("n", models.ForeignKey("self", models.CASCADE, null=True))')
TO_T = '("t", models.ForeignKey("a.T", models.CASCADE, null=True))'


def test_rows_that_point_to_each_other(database: Database, project: Project) -> None:
    rows = "INSERT INTO a_n (id, n_id) VALUES (5, NULL), (4, 5), (3, 4), (6, 6)"
    late(database, project, ITSELF, rows=(rows, "UPDATE a_n SET n_id = 6 WHERE id = 5"))
    migrate(database.alias)
    assert ask(database, "SELECT id, n_id FROM a_n ORDER BY id") == [(3, 4), (4, 5), (5, 6), (6, 6)]
    assert tables(database) == set()


def test_who_points_to_what_stays_stays(database: Database, project: Project) -> None:
    table = model("N", ID, TO_T, '("n", models.ForeignKey("self", models.CASCADE, null=True))')
    rows = "INSERT INTO a_n (id, t_id, n_id) VALUES (1, 1, NULL), (2, 2, 1), (3, 1, 2), (4, 1, 3), (5, 1, 1)"
    late(database, project, table, rows=(rows,))
    ask(database, "DELETE FROM a_t WHERE id = 2")
    migrate(database.alias)
    assert ask(database, "SELECT id, n_id FROM a_n ORDER BY id") == [(1, None), (5, 1)]
    why = ((2, "n_id points to no row of a_n"), (1, "t_id points to no row of a_t"))
    assert whys(database) == [("a_n", KeptState.PARTLY, why)]

    ask(database, "INSERT INTO a_t (id) VALUES (2)")
    workflow.put_back(database.alias)
    assert ask(database, "SELECT id, n_id FROM a_n ORDER BY id") == [(1, None), (2, 1), (3, 2), (4, 3), (5, 1)]


CIRCLE = (
    model("N", ID),
    model("M", ID, TO_T, '("u", models.IntegerField(unique=True))', '("n", models.ForeignKey("a.N", models.CASCADE))'),
    'migrations.AddField("N", "m", models.ForeignKey("a.M", models.CASCADE, null=True))',
)
CIRCLE_ROWS = (
    "INSERT INTO a_n (id) VALUES (1), (2), (3)",
    "INSERT INTO a_m (id, t_id, u, n_id) VALUES (1, 1, 1, 2), (2, 2, 2, 1), (3, NULL, 3, 3)",
    "UPDATE a_n SET m_id = id",
)


def test_tables_that_point_to_each_other(database: Database, project: Project) -> None:
    late(database, project, *CIRCLE, rows=CIRCLE_ROWS)
    migrate(database.alias)
    assert ask(database, "SELECT id, m_id FROM a_n ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    assert ask(database, "SELECT id, n_id FROM a_m ORDER BY id") == [(1, 2), (2, 1), (3, 3)]
    assert tables(database) == set()


def test_part_of_tables_that_point_to_each_other(database: Database, project: Project) -> None:
    """Row 1 of each needs row 2 of the other, and that needs the row that is gone. What the database refuses takes others along:
    the mended release has a row whose value is that of row 3."""
    late(database, project, *CIRCLE, rows=CIRCLE_ROWS)
    ask(database, "DELETE FROM a_t WHERE id = 2")
    sql = 'migrations.RunSQL(["INSERT INTO a_n (id) VALUES (9)", "INSERT INTO a_m (id, u, n_id) VALUES (9, 3, 9)"])'
    forward(database, project, *CIRCLE, sql)
    assert ask(database, "SELECT id FROM a_n ORDER BY id") == [(9,)]
    assert ask(database, "SELECT id FROM a_m ORDER BY id") == [(9,)]
    found = {source: {why: number for number, why in reasons} for source, _, reasons in whys(database)}
    assert found["a_n"] == {"m_id points to no row of a_m": 3}
    assert found["a_m"].pop("t_id points to no row of a_t") == 1
    assert found["a_m"].pop("n_id points to no row of a_n") == 1
    ((refused, number),) = found["a_m"].items()
    assert number == 1
    assert "uniq" in refused.lower() or "duplicate" in refused.lower()


def test_a_unique_value_that_is_taken(database: Database, project: Project) -> None:
    table = model("N", ID, '("u", models.IntegerField(unique=True))')
    rows = "INSERT INTO a_n (id, u) VALUES (1, 1), (2, 2), (3, 3)"
    late(database, project, table, rows=(rows,))
    forward(database, project, table, 'migrations.RunSQL("INSERT INTO a_n (id, u) VALUES (8, 2)")')
    assert ask(database, "SELECT id, u FROM a_n ORDER BY id") == [(1, 1), (3, 3), (8, 2)]
    ((_, state, ((number, _),)),) = whys(database)
    assert (state, number) == (KeptState.PARTLY, 1)

    ask(database, "DELETE FROM a_n WHERE id = 8")
    (entry,) = workflow.put_back(database.alias)
    assert (entry.state, entry.left) == (KeptState.PUT_BACK, 0)


def test_what_was_kept_wins_over_a_data_migration(database: Database, project: Project) -> None:
    column = 'migrations.AddField("T", "x", models.IntegerField(default=0))'
    late(
        database,
        project,
        N,
        column,
        rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)", "UPDATE a_t SET x = id * 10"),
    )
    sql = 'migrations.RunSQL(["INSERT INTO a_n (id, x) VALUES (2, 7), (3, 7)", "UPDATE a_t SET x = 7"])'
    forward(database, project, N, column, sql)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 1), (2, 2), (3, 7)]
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 10), (2, 20)]


def test_rows_of_nothing_but_a_key(database: Database, project: Project) -> None:
    table = model("N", ID)
    late(database, project, table, rows=("INSERT INTO a_n (id) VALUES (1), (2)",))
    forward(database, project, table, 'migrations.RunSQL("INSERT INTO a_n (id) VALUES (2), (3)")')
    assert ask(database, "SELECT id FROM a_n ORDER BY id") == [(1,), (2,), (3,)]
    assert tables(database) == set()


def test_many_to_many_and_inherited_tables(database: Database, project: Project) -> None:
    both = (
        model("N", '("t_ptr", models.OneToOneField("a.T", models.CASCADE, primary_key=True, parent_link=True))'),
        'migrations.AddField("T", "others", models.ManyToManyField("a.T"))',
    )
    rows = (
        "INSERT INTO a_n (t_ptr_id) VALUES (1), (2)",
        "INSERT INTO a_t_others (from_t_id, to_t_id) VALUES (1, 2), (2, 1), (1, 1)",
    )
    late(database, project, *both, rows=rows)
    ask(database, "DELETE FROM a_t WHERE id = 2")
    migrate(database.alias)
    assert ask(database, "SELECT t_ptr_id FROM a_n") == [(1,)]
    assert ask(database, "SELECT from_t_id, to_t_id FROM a_t_others") == [(1, 1)]
    assert {(each.source, each.left) for each in entries(database)} == {("a_n", 1), ("a_t_others", 2)}


def test_keys_of_several_columns(database: Database, project: Project) -> None:
    fields = ('("a", models.IntegerField())', '("b", models.IntegerField())', '("x", models.IntegerField(null=True))')
    key = '("pk", models.CompositePrimaryKey("a", "b", blank=True, editable=False, primary_key=True, serialize=False))'
    early = f"{EARLY}, {model('P', key, *fields)}"
    column, table = 'migrations.AddField("P", "y", models.IntegerField(null=True))', model("N", key, *fields)
    rows = (
        "INSERT INTO a_p (a, b) VALUES (1, 1), (1, 2), (2, 1)",
        "UPDATE a_p SET y = a * 10 + b",
        "INSERT INTO a_n (a, b, x) VALUES (1, 1, 1), (1, 2, 2)",
    )
    late(database, project, column, table, rows=rows, early=early)
    ask(database, "DELETE FROM a_p WHERE b = 2")
    sql = 'migrations.RunSQL("INSERT INTO a_n (a, b, x) VALUES (1, 2, 7)")'
    forward(database, project, column, table, sql, early=early)
    assert ask(database, "SELECT a, b, y FROM a_p ORDER BY a, b") == [(1, 1, 11), (2, 1, 21)]
    assert ask(database, "SELECT a, b, x FROM a_n ORDER BY a, b") == [(1, 1, 1), (1, 2, 2)]
    assert {(each.source, each.left) for each in entries(database) if each.definition == ""} == {
        ("a_n", 0),
        ("a_p.y", 1),
    }


def test_new_columns_of_a_mended_release(database: Database, project: Project) -> None:
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)",))
    new = (
        '("given", models.CharField(max_length=9, default="yes"))',
        '("free", models.IntegerField(null=True))',
        '("by_database", models.IntegerField(db_default=5))',
    )
    forward(database, project, model("N", ID, '("x", models.IntegerField(null=True))', *new))
    assert ask(database, "SELECT id, x, given, free, by_database FROM a_n ORDER BY id") == [
        (1, 1, "yes", None, 5),
        (2, 2, "yes", None, 5),
    ]


def test_a_new_column_that_nobody_gives_a_value(database: Database, project: Project) -> None:
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)",))
    # A default that fails is none.
    before = "def fails():\n    raise ValueError"
    forward(database, project, model("N", ID, '("y", models.IntegerField(default=fails))'), before=before)
    assert ask(database, "SELECT * FROM a_n") == []
    why = ((2, "y is new, takes no null and has no default"),)
    of_column = ((2, "column x of table a_n is not there"),)
    assert whys(database) == [("a_n", KeptState.KEPT, why), ("a_n.x", KeptState.KEPT, of_column)]


def test_a_column_that_takes_no_null_any_more(database: Database, project: Project) -> None:
    column = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
    late(database, project, N, column, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, NULL)",))
    forward(database, project, model("N", ID, '("x", models.IntegerField())'))
    assert ask(database, "SELECT id, x FROM a_n") == [(1, 1)]
    assert whys(database) == [("a_n", KeptState.PARTLY, ((1, "x takes no null"),))]


def test_other_types_that_hold_all(database: Database, project: Project) -> None:
    column = 'migrations.AddField("T", "x", models.{}(null=True))'
    late(
        database,
        project,
        model(
            "N",
            ID,
            *('("x", models.IntegerField())', '("n", models.IntegerField())', '("s", models.CharField(max_length=9))'),
        ),
        column.format("IntegerField"),
        rows=("INSERT INTO a_n (id, x, n, s) VALUES (1, 1, 1, '5'), (2, 2, 2, '6')", "UPDATE a_t SET x = id"),
    )
    wide = model(
        "N",
        '("id", models.BigAutoField(primary_key=True))',
        '("x", models.BigIntegerField())',
        '("n", models.TextField())',
        '("s", models.TextField())',
    )
    forward(database, project, wide, column.format("BigIntegerField"))
    assert ask(database, "SELECT id, x, n, s FROM a_n ORDER BY id") == [(1, 1, "1", "5"), (2, 2, "2", "6")]
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 1), (2, 2)]


def test_other_types_that_hold_some(database: Database, project: Project) -> None:
    """A text that is no number; a number with a fraction."""
    fields = [ID, '("s", models.CharField(max_length=9, null=True))', '("d", models.FloatField(null=True))']
    rows = "INSERT INTO a_n (id, s, d) VALUES (1, '5', 1), (2, 'abc', 2), (3, '7', 2.5), (4, NULL, NULL)"
    late(database, project, model("N", *fields), rows=(rows,))
    fields = [ID, '("s", models.IntegerField(null=True))', '("d", models.IntegerField(null=True))']
    forward(database, project, model("N", *fields))
    assert ask(database, "SELECT id, s, d FROM a_n ORDER BY id") == [(1, 5, 1), (4, None, None)]
    ((_, state, why),) = whys(database)
    assert (state, sum(number for number, _ in why)) == (KeptState.PARTLY, 2)


@pytest.mark.databases("postgresql", "mariadb")
def test_texts_and_times_that_would_be_cut(database: Database, project: Project) -> None:
    fields = [ID, '("s", models.CharField(max_length=9))', '("d", models.DateTimeField(null=True))']
    rows = (
        "INSERT INTO a_n (id, s, d) VALUES (1, 'abc', '2024-05-01 00:00:00'), (2, 'abcd', NULL),"
        " (3, 'a', '2024-05-01 10:00:00')"
    )
    late(database, project, model("N", *fields), rows=(rows,))
    forward(
        database, project, model("N", ID, '("s", models.CharField(max_length=3))', '("d", models.DateField(null=True))')
    )
    assert ask(database, "SELECT id, s FROM a_n ORDER BY id") == [(1, "abc")]
    ((_, _, why),) = whys(database)
    assert sum(number for number, _ in why) == 2


# (field, value that stays the same in the other, value that would not, the other field)
OTHER_VALUES = {
    "a number of 17 digits": ("BigIntegerField", "7", "9007199254740993", "FloatField"),
    "a number that is no yes and no no": ("IntegerField", "1", "2", "BooleanField"),
    "a day and a time, as a time": ("DateTimeField", "NULL", "'2024-05-01 10:00:00'", "TimeField"),
    "a time, as a day and a time": ("TimeField", "NULL", "'10:00:00'", "DateTimeField"),
    "a day and a time, as a day": ("DateTimeField", "NULL", "'2024-05-01 10:00:00'", "DateField"),
}
STAYS_AS_IT_IS = {("mariadb", "a number that is no yes and no no")}  # in a column of the other type


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_values_that_another_type_would_change(name: str, database: Database, project: Project) -> None:
    before, same, other, now = OTHER_VALUES[name]
    rows = (f"INSERT INTO a_n (id, x) VALUES (1, {same}), (2, {other})",)
    late(database, project, model("N", ID, f'("x", models.{before}(null=True))'), rows=rows)
    forward(database, project, model("N", ID, f'("x", models.{now}(null=True))'))
    if (database.vendor, name) in STAYS_AS_IT_IS:
        assert ask(database, "SELECT id, x FROM a_n WHERE id = 2") == [(2, int(other))]
        return
    assert ask(database, "SELECT id FROM a_n") == [(1,)]
    ((_, state, why),) = whys(database)
    assert (state, sum(number for number, _ in why)) == (KeptState.PARTLY, 1)


@pytest.mark.databases("sqlite")
def test_a_text_that_is_no_day_stays_out_of_a_column_of_days(database: Database, project: Project) -> None:
    rows = ("INSERT INTO a_n (id, x) VALUES (1, '2024-05-01'), (2, 'soon'), (3, NULL)",)
    late(database, project, model("N", ID, '("x", models.TextField(null=True))'), rows=rows)
    forward(database, project, model("N", ID, '("x", models.DateField(null=True))'))
    assert ask(database, "SELECT id FROM a_n ORDER BY id") == [(1,), (3,)]


@pytest.mark.databases("postgresql")
def test_a_type_that_the_server_does_not_cast(database: Database, project: Project) -> None:
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, NULL), (2, 2)",))
    forward(database, project, model("N", ID, '("x", models.UUIDField(null=True))'))
    assert ask(database, "SELECT id, x FROM a_n") == [(1, None)]
    assert whys(database) == [("a_n", KeptState.PARTLY, ((1, "cannot cast type integer to uuid"),))]


@pytest.mark.databases("postgresql")
def test_types_that_cannot_be_compared(database: Database, project: Project) -> None:
    before = "".join(
        f"class {name.title()}(models.Field):\n    def db_type(self, connection):\n        return {name!r}\n"
        for name in ("json", "xml", "point")
    )
    column = ", ".join(
        f'migrations.AddField("T", "{name}", {name.title()}(null=True))' for name in ("json", "xml", "point")
    )
    text = migration(column, [("a", "0001_early")], before=before)
    project(a={"0001_early": EARLY, "0002_late": text})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    ask(database, """UPDATE a_t SET json = '{"a":  1}', xml = '<a/>', point = '(1,2)' WHERE id = 2""")
    before_run = ask(database, "SELECT id, json::text, xml::text, point::text FROM a_t ORDER BY id")
    roll_back(database)
    migrate(database.alias)
    assert ask(database, "SELECT id, json::text, xml::text, point::text FROM a_t ORDER BY id") == before_run


def test_generated_columns_are_left_out(database: Database, project: Project) -> None:
    generated = '("y", models.GeneratedField(expression=models.F("x") * 2, output_field=models.IntegerField(), db_persist=True))'
    table = model("N", ID, '("x", models.IntegerField())', generated)
    late(database, project, table, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)",))
    migrate(database.alias)
    assert ask(database, "SELECT id, x, y FROM a_n ORDER BY id") == [(1, 1, 2), (2, 2, 4)]
    assert tables(database) == set()


def test_columns_that_a_later_migration_makes(database: Database, project: Project) -> None:
    """One migrate makes the table, the next one its column."""
    column = 'migrations.AddField("N", "y", models.IntegerField(null=True))'
    project(a={"0001_early": EARLY, "0002_late": N, "0003_more": column})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2, [Key("a", "0003_more")])
    ask(database, "INSERT INTO a_n (id, x, y) VALUES (1, 1, NULL), (2, 2, 5)")
    roll_back(database)
    migrate(database.alias, "a", "0002_late")
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 1), (2, 2)]
    assert {(each.source, each.state) for each in entries(database)} == {
        ("a_n", KeptState.PUT_BACK),
        ("a_n.y", KeptState.KEPT),
    }
    migrate(database.alias)
    assert ask(database, "SELECT id, x, y FROM a_n ORDER BY id") == [(1, 1, None), (2, 2, 5)]
    assert tables(database) == set()


def test_a_table_without_a_key_as_it_was(database: Database, project: Project) -> None:
    """The mended release calls the key otherwise: rows get new numbers, and what has no place stays."""
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)",))
    forward(
        database, project, model("N", '("number", models.AutoField(primary_key=True))', '("x", models.IntegerField())')
    )
    assert ask(database, "SELECT * FROM a_n") == []
    assert whys(database) == [("a_n", KeptState.KEPT, ((2, "column id is not there"),))]


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER no BEFORE INSERT ON a_n WHEN new.x = 2 BEGIN SELECT raise(ABORT, 'not 2'); END",
        "CREATE TRIGGER none BEFORE INSERT ON a_n WHEN new.x = 3 BEGIN SELECT raise(IGNORE); END",
    ],
    "postgresql": [
        """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.x = 2 THEN RAISE 'not 2'; END IF; IF new.x = 3 THEN RETURN NULL; END IF; RETURN new; END $$""",
        "CREATE TRIGGER no BEFORE INSERT ON a_n FOR EACH ROW EXECUTE FUNCTION no()",
    ],
    "mariadb": [
        """CREATE TRIGGER no BEFORE INSERT ON a_n FOR EACH ROW IF new.x IN (2, 3) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not 2'; END IF""",
    ],
}


def test_a_trigger_that_refuses_rows(database: Database, project: Project) -> None:
    values = ", ".join(f"({number}, {number})" for number in range(1, 30))
    late(database, project, N, rows=(f"INSERT INTO a_n (id, x) VALUES {values}",))
    sql = f"migrations.RunSQL([(each, None) for each in {TRIGGERS[database.vendor]!r}])"
    forward(database, project, N, sql)
    assert ask(database, "SELECT count(*), sum(x) FROM a_n") == [(27, sum(range(1, 30)) - 5)]
    ((_, state, why),) = whys(database)
    assert (state, sum(number for number, _ in why)) == (KeptState.PARTLY, 2)
    assert any("not 2" in reason for _, reason in why)


def test_very_many_rows_that_are_refused(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "MOST", 3)
    check = 'migrations.AddConstraint("N", models.CheckConstraint(condition=models.Q(x__lt=0), name="negative"))'
    rows = "INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, -6)"
    late(database, project, N, rows=(rows,))
    forward(database, project, N, check)
    assert ask(database, "SELECT count(*) FROM a_n") == [(0,)]
    ((_, state, why),) = whys(database)
    assert (state, sum(number for number, _ in why)) == (KeptState.KEPT, 6)
    assert why[-1][1].startswith("not tried") or why[0][1].startswith("not tried")


def test_a_check_that_is_broken(database: Database, project: Project) -> None:
    check = 'migrations.AddConstraint("N", models.CheckConstraint(condition=models.Q(x__gt=1), name="large"))'
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2), (3, 3)",))
    forward(database, project, N, check)
    assert ask(database, "SELECT id FROM a_n ORDER BY id") == [(2,), (3,)]
    ((kind, left),) = [(each.kind, each.left) for each in entries(database)]
    assert (kind, left) == (KeptKind.TABLE, 1)


def test_a_renamed_table_and_column(database: Database, project: Project) -> None:
    """They are kept under the names from before the run, and made again under these."""
    operations = (
        'migrations.AddField("T", "x", models.IntegerField(null=True))',
        'migrations.RenameField("T", "x", "z")',
        N,
        'migrations.RenameModel("N", "O")',
    )
    late(database, project, *operations, rows=("INSERT INTO a_o (id, x) VALUES (1, 1)", "UPDATE a_t SET z = id"))
    migrate(database.alias)
    assert ask(database, "SELECT id, x FROM a_o") == [(1, 1)]
    assert ask(database, "SELECT id, z FROM a_t ORDER BY id") == [(1, 1), (2, 2)]


def test_unique_values_of_a_column_that_wait_for_each_other(database: Database, project: Project) -> None:
    column = 'migrations.AddField("T", "x", models.IntegerField(null=True, unique=True))'
    late(database, project, column, rows=("UPDATE a_t SET x = id + 1",))
    # Row 1 wants 2, which row 2 has until it gets 3.
    forward(database, project, column, 'migrations.RunSQL("UPDATE a_t SET x = id")')
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 2), (2, 3)]
