"""What a run leaves as it should be is not taken for a difference, however it came to be there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.db.models.signals import post_migrate

from rollback_app import workflow
from rollback_app.database.spelling import normal
from rollback_app.executor import NotAsExpected
from rollback_app.safety import Comparison, in_words
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
ID = '("id", models.BigAutoField(primary_key=True))'
modes = pytest.mark.parametrize("step_by_step", [False, True])
NOTE = 'migrations.AddField("Item", "note", models.IntegerField(null=True))'


def model(name: str, fields: str, options: str = "{}") -> str:
    return f'migrations.CreateModel("{name}", [{ID}, {fields}], options={options})'


XY = '("x", models.IntegerField(null=True)), ("y", models.IntegerField(null=True))'
ITEM = model("Item", XY)


def run(database: Database, project: Project, first: str, late: str, *, step_by_step: bool = False) -> Comparison:
    project(a={"0001_first": first})
    deploy(database.alias, DAY_1)
    project(a={"0001_first": first, "0002_late": late})
    deploy(database.alias, DAY_2)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=step_by_step)
    (result,) = workflow.roll_back(previews, destroy_data=True)
    assert keys(database.alias) == [("a", "0001_first")]
    assert result.comparison
    return result.comparison


# index_together, which Django's create_model does not know any more

TOGETHER = '{"index_together": {("x", "y")}}'


@modes
@pytest.mark.parametrize(
    ("first", "late"),
    [
        (
            f'{ITEM}, migrations.AlterIndexTogether("Item", {{("x", "y")}})',
            f'migrations.RenameIndex("Item", new_name="ix_new", old_fields=("x", "y")), {NOTE}',
        ),
        (
            model("Item", XY, TOGETHER),
            f'migrations.RenameIndex("Item", new_name="ix_new", old_fields=("x", "y")), {NOTE}',
        ),
        (model("Item", XY, TOGETHER), 'migrations.AlterIndexTogether("Item", set())'),
        (model("Item", XY, TOGETHER), NOTE),
        (model("Item", XY, TOGETHER), 'migrations.RenameField("Item", "x", "z")'),
        (
            f'{model("Item", XY, TOGETHER)}, {model("Box", """("item", models.ManyToManyField("a.Item"))""", "{}")}',
            'migrations.AlterIndexTogether("Item", set()), migrations.RemoveField("Box", "item")',
        ),
    ],
)
def test_index_together(database: Database, project: Project, first: str, late: str, step_by_step: bool) -> None:
    """Cases index-together and index-together-false-difference."""
    found = run(database, project, first, late, step_by_step=step_by_step)
    assert found == Comparison(tables=found.tables)
    assert found.tables >= 1


def test_an_index_together_that_django_does_not_make_again(database: Database, project: Project) -> None:
    """Undoing DeleteModel makes none, with `migrate` too; what else is missing of such a table is found."""
    found = run(database, project, model("Item", XY, TOGETHER), 'migrations.DeleteModel("Item")')
    assert found.new == ()
    assert [(each.kind, each.missing) for each in found.left_over] == [("index", True)]


def test_an_index_together_that_is_gone_is_found(database: Database, project: Project) -> None:
    sabotage = migration(
        'Secretly(migrations.AlterIndexTogether("Item", set()))',
        [("a", "0001_first")],
        before="from tests.support.sabotage import Secretly",
    )
    with pytest.raises(NotAsExpected) as failure:
        run(database, project, model("Item", XY, TOGETHER), sabotage)
    assert [(each.kind, each.missing) for each in failure.value.comparison.new] == [("index", True)]


# Expressions that PostgreSQL writes otherwise after a change of type

PRICE = "models.IntegerField()"
DECIMAL = "models.DecimalField(max_digits=8, decimal_places=2)"
WORD = "models.CharField(max_length=10)"


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (
            PRICE,
            DECIMAL,
            'migrations.AddConstraint("Item", models.CheckConstraint(condition=models.Q(p__gte=0), name="r"))',
        ),
        (
            PRICE,
            DECIMAL,
            'migrations.AddConstraint("Item", models.CheckConstraint(condition=models.Q(p__gte=-5), name="r"))',
        ),
        (
            PRICE,
            DECIMAL,
            'migrations.AddIndex("Item", models.Index(fields=["p"], name="r", condition=models.Q(p__gt=3)))',
        ),
        (PRICE, "models.BigIntegerField()", 'migrations.AddIndex("Item", models.Index(models.F("p") + 1, name="r"))'),
        (
            PRICE,
            DECIMAL,
            'migrations.AddConstraint("Item", models.UniqueConstraint(fields=["p"], name="r", condition=models.Q(p__gt=3)))',
        ),
        (
            PRICE,
            DECIMAL,
            (
                'migrations.AddConstraint("Item", models.CheckConstraint('
                'condition=models.Q(p__gte=0) & (models.Q(p__lt=9) | models.Q(x__gt=models.F("p"))), name="r"))'
            ),
        ),
        (
            WORD,
            "models.TextField()",
            'migrations.AddConstraint("Item", models.CheckConstraint(condition=models.Q(p__in=["a", "b"]), name="r"))',
        ),
        (
            WORD,
            "models.TextField()",
            'migrations.AddIndex("Item", models.Index(Upper("p"), name="r", condition=~models.Q(p="x")))',
        ),
        (
            "models.DateField()",
            "models.DateTimeField()",
            'migrations.AddConstraint("Item", models.CheckConstraint(condition=models.Q(p__gt="2020-01-01"), name="r"))',
        ),
    ],
)
def test_casts_that_a_change_of_type_leaves(
    database: Database, project: Project, before: str, after: str, rule: str
) -> None:
    """Case check-after-type-change."""
    imported = "from django.db.models.functions import Upper"
    first = migration(f'{model("Item", f"""("p", {before}), {XY}""")}, {rule}', before=imported)
    found = run(database, project, first, f'migrations.AlterField("Item", "p", {after})')
    assert found == Comparison(tables=1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("((price)::numeric >= (0)::numeric)", "(price >= 0)", True),
        ("btree (price) WHERE ((price)::numeric > (3)::numeric)", "btree (price) WHERE (price > 3)", True),
        (
            "((p)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "(p = ANY (ARRAY['a', 'b']))",
            True,
        ),
        ("(at > '2020-01-01 00:00:00+00'::timestamp(3) with time zone)", "(at > '2020-01-01 00:00:00+00')", True),
        ('((p)::"My"."Type"[] = \'{}\'::other.kind(3,2)[])', "(p = '{}')", True),
        ("(note = 'a::text')", "(note = 'a')", False),
        ("btree (upper((name)::text))", "btree (upper(name))", True),
        ("btree (upper(name))", "btree (lower(name))", False),
        ("btree (upper(name))", "btree (upper name)", False),
        ("((a OR b) AND c)", "(a OR (b AND c))", False),
        ("NOT (a)", "NOT a", True),
        ("(price >= 0)", "(price >= 1)", False),
        ('("price" >= 0)', "(price >= 0)", False),
    ],
)
def test_what_says_the_same(one: str, other: str, same: bool) -> None:
    assert (normal(one) == normal(other)) is same


@pytest.mark.databases("postgresql")
def test_another_check_is_found_after_a_change_of_type(database: Database, project: Project) -> None:
    check = 'migrations.AddConstraint("Item", models.CheckConstraint(condition=models.Q(p__gte={}), name="r"))'
    late = migration(
        f'Secretly(migrations.RemoveConstraint("Item", "r"), then="ALTER TABLE a_item ADD CHECK (p >= 1)"),'
        f' migrations.AlterField("Item", "p", {DECIMAL})',
        [("a", "0001_first")],
        before="from tests.support.sabotage import Secretly",
    )
    with pytest.raises(NotAsExpected) as failure:
        run(database, project, f'{model("Item", f"""("p", {PRICE})""")}, {check.format(0)}', late)
    assert sorted(in_words(failure.value.comparison.new)) == [
        "a_item has check ((p >= 1)), which the migrations do not say",
        "a_item lacks check ((p >= 0))",
    ]


# What SQL, code and the state alone are in charge of

STATE_ONLY = """migrations.SeparateDatabaseAndState(state_operations=[{}])"""
CODE = """
def sql(text):
    def run(apps, editor):
        editor.execute(text)
    return run
"""


@modes
@pytest.mark.parametrize(
    ("first", "late", "told"),
    [
        (
            f'{ITEM}, {STATE_ONLY.format("""migrations.RemoveField("Item", "y")""")}',
            'migrations.RunSQL("ALTER TABLE a_item DROP COLUMN y", "ALTER TABLE a_item ADD COLUMN y integer NULL")',
            "has column y",
        ),
        (
            f'{ITEM}, {STATE_ONLY.format("""migrations.RemoveField("Item", "y")""")}',
            'migrations.RunSQL("ALTER TABLE a_item DROP COLUMN y", "ALTER TABLE `a_item` ADD COLUMN `y` integer NULL")',
            "has column y",
        ),
        (
            f'{ITEM}, migrations.RunSQL("CREATE INDEX hand ON a_item (x)", migrations.RunSQL.noop)',
            f'{NOTE}, migrations.RunSQL("DROP INDEX hand{{on}}", "CREATE INDEX hand ON a_item (x)")',
            "has index",
        ),
        (
            f'{ITEM}, migrations.RunSQL("CREATE INDEX hand ON a_item (x)", migrations.RunSQL.noop)',
            (
                'migrations.SeparateDatabaseAndState([migrations.RunPython(sql("DROP INDEX hand{on}"),'
                ' sql("CREATE INDEX hand ON a_item (x)"))], [])'
            ),
            "has index",
        ),
        (  # the database first, and then the state
            f'{ITEM}, migrations.RunSQL("ALTER TABLE a_item ADD COLUMN z integer NULL", migrations.RunSQL.noop)',
            f'{STATE_ONLY.format("""migrations.AddField("Item", "z", models.IntegerField(null=True))""")}, {NOTE}',
            "has column z",
        ),
        (
            f'{ITEM}, migrations.RunSQL("CREATE INDEX hand ON a_item (x)", migrations.RunSQL.noop)',
            f'{STATE_ONLY.format("""migrations.AddIndex("Item", models.Index(fields=["x"], name="hand"))""")}, {NOTE}',
            "has index",
        ),
        (  # SQL of a step that says itself what it is for the state
            f'{ITEM}, migrations.RunSQL("ALTER TABLE a_item ADD COLUMN z integer NULL", migrations.RunSQL.noop)',
            (
                'migrations.RunSQL("SELECT 1", migrations.RunSQL.noop, state_operations=['
                f'migrations.AddField("Item", "z", models.IntegerField(null=True))]), {NOTE}'
            ),
            "has column z",
        ),
    ],
)
def test_what_sql_or_code_brings_back_is_told(
    database: Database, project: Project, first: str, late: str, told: str, step_by_step: bool
) -> None:
    """Case state-only-removal-then-drop."""
    on = " ON a_item" if database.vendor == "mariadb" else ""
    quote = database.connection.ops.quote_name("x")[0]
    atomic = database.vendor != "mariadb"  # which lets no code change tables in a transaction
    late = late.replace("{on}", on).replace("`", quote.replace('"', '\\"'))
    late = migration(late, [("a", "0001_first")], before=CODE, atomic=atomic)
    found = run(database, project, first, late, step_by_step=step_by_step)
    assert found.new == found.known == found.left_over == ()
    (words,) = in_words(found.by_code)
    assert words.startswith(f"a_item {told}")
    assert words.endswith("which the migrations do not say")


@pytest.mark.databases("postgresql", "mariadb")
def test_a_column_that_sql_is_in_charge_of(database: Database, project: Project) -> None:
    """Its default, its type: what the migrations say of it is not what SQL made of it."""
    set_default = "ALTER TABLE a_item ALTER COLUMN x SET DEFAULT 0"
    first = f'{ITEM}, migrations.RunSQL("{set_default}", migrations.RunSQL.noop)'
    late = f'migrations.RunSQL("ALTER TABLE a_item ALTER COLUMN x DROP DEFAULT", "{set_default}")'
    found = run(database, project, first, late)
    assert in_words(found.by_code) == ["column x of a_item has DEFAULT 0, which the migrations do not say"]


def test_what_sql_takes_away_is_a_failure(database: Database, project: Project) -> None:
    late = 'migrations.RunSQL("ALTER TABLE a_item ADD COLUMN z integer NULL", "ALTER TABLE a_item DROP COLUMN y")'
    with pytest.raises(NotAsExpected) as failure:
        run(database, project, ITEM, late)
    assert {(each.column, each.missing) for each in failure.value.comparison.new} == {
        (("a_item", "y"), True),
    }


def test_what_a_receiver_makes_is_told(database: Database, project: Project) -> None:
    def search(using: str, plan: list[tuple[Any, bool]], **signal: Any) -> None:
        if plan and plan[0][1]:  # backwards
            with connections[using].cursor() as cursor:
                cursor.execute("CREATE INDEX search ON a_item (y)")

    sender = apps.get_app_config("a")
    post_migrate.connect(search, sender=sender)
    try:
        found = run(database, project, ITEM, NOTE)
    finally:
        post_migrate.disconnect(search, sender=sender)
    assert [each.kind for each in found.by_code] == ["index"]


# In words


@pytest.mark.databases("postgresql", "mariadb")
def test_what_was_so_before_is_a_number(database: Database, project: Project) -> None:
    """Case verify-noise: two columns with a default that SQL has set."""
    defaults = [f"ALTER TABLE a_item ALTER COLUMN {name} SET DEFAULT 0" for name in "xy"]
    first = f"{ITEM}, migrations.RunSQL({defaults!r}, migrations.RunSQL.noop)"
    for verbosity in (1, 2):
        project(a={"0001_first": first})
        deploy(database.alias, DAY_1)
        project(a={"0001_first": first, "0002_late": NOTE})
        deploy(database.alias, DAY_2)
        said = roll_back(database, DAY_2, verbosity=verbosity).out
        listed = "column x of a_item has DEFAULT 0, which the migrations do not say: that was so before."
        assert (listed in " ".join(said.split())) is (verbosity == 2)
        assert ("2 differences were there before the run; -v 2 lists them." in said) is (verbosity == 1)


def test_what_sql_is_in_charge_of_is_said(database: Database, project: Project) -> None:
    first = f'{ITEM}, {STATE_ONLY.format("""migrations.RemoveField("Item", "y")""")}'
    project(a={"0001_first": first})
    deploy(database.alias, DAY_1)
    sql = 'migrations.RunSQL("ALTER TABLE a_item DROP COLUMN y", "ALTER TABLE a_item ADD COLUMN y integer NULL")'
    project(a={"0001_first": first, "0002_late": sql})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2)
    assert said.status == 0
    assert "which the migrations do not say: SQL or code of a migration is in charge of it." in " ".join(
        said.out.split()
    )
    assert "by hand" not in said.all
