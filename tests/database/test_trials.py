"""`checkrollback` by doing it: what it finds on a test database, what it must leave alone, and what it does not touch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from model_bakery import generators

from tests.commands.test_checkrollback import REMOVES, statements
from tests.support.commands import Said, call
from tests.support.databases import Database, ask
from tests.support.history import migrate
from tests.support.projects import Project, migration
from tests.support.trials import BAD, CODE, ID, ODD, ROWS, T, moved

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


@pytest.fixture
def check(database: Database) -> Callable[..., Said]:
    return lambda *args, **options: call("checkrollback", *args, database=database.alias, **options)


def found(said: Said) -> dict[str, str]:
    """The texts of what was found, by the number of the id."""
    return {each["id"].removeprefix("rollback."): each["text"] for each in said.json["findings"]}


@pytest.mark.parametrize("id", BAD)
def test_a_bad_migration_is_found_under_its_id(
    id: str, project: Project, database: Database, check: Callable[..., Said]
) -> None:
    migrations, words = BAD[id]
    project(a=migrations)
    said = check(everything=True, format="json")
    if (id, database.vendor) == ("C010", "mariadb"):
        assert said.json["findings"][0]["id"] == "rollback.C003"  # it fills such a column by itself
        return
    assert set(found(said)) - {"C002", "C003"} == {id[:4]}
    assert words in found(said)[id[:4]]
    assert said.status == (0 if id.startswith("C014") else 1)


CHILD = f"""
    migrations.CreateModel("C", [{ID},
        ("t", models.ForeignKey("a.T", models.CASCADE)), ("s", models.SlugField(unique=True))])
"""
GOOD = {
    "fields of all kinds": f"""
        migrations.CreateModel("K", [{ID},
            ("choice", models.CharField(max_length=1, choices=[("x", "X"), ("y", "Y")])),
            ("b", models.BooleanField()), ("d", models.DateField()), ("dt", models.DateTimeField(auto_now=True)),
            ("dec", models.DecimalField(max_digits=3, decimal_places=2)), ("f", models.FloatField()),
            ("ip", models.GenericIPAddressField()), ("ip6", models.GenericIPAddressField(protocol="ipv6")),
            ("j", models.JSONField()), ("t", models.TimeField()), ("u", models.UUIDField(unique=True)),
            ("dur", models.DurationField()), ("bin", models.BinaryField()), ("url", models.URLField(unique=True)),
            ("e", models.EmailField(unique=True)), ("file", models.FileField(upload_to="x")),
            ("pos", models.PositiveSmallIntegerField()), ("text", models.TextField()),
        ])
    """,
    "a child": CHILD,
}
LATER = {
    "fields of all kinds": 'migrations.AddField("K", "n", models.IntegerField(default=0)), migrations.RenameModel("K", "L")',
    "a child": (
        'migrations.AddField("C", "many", models.ManyToManyField("a.T")), migrations.RenameField("C", "s", "slug"),'
        ' migrations.AddIndex("C", models.Index(fields=["slug"], name="by_slug")),'
        ' migrations.AlterField("T", "n", models.BigIntegerField(null=True))'
    ),
}
MORE_GOOD: dict[str, dict[str, str]] = {
    "checks and rules": {
        "0001_t": f"""migrations.CreateModel("T", [{ID}, ("low", models.IntegerField()), ("high", models.IntegerField())]),
            migrations.AddConstraint("T", models.CheckConstraint(name="ordered", **{{
                "condition" if __import__("django").VERSION >= (5, 1) else "check": models.Q(high__lt=models.F("low"))}})),
            migrations.AddConstraint("T", models.UniqueConstraint(fields=["low", "high"], name="pairs"))""",
        "0002_more": 'migrations.AddField("T", "mid", models.IntegerField(null=True))',
    },
    "code with a reverse": {
        "0001_t": T,
        "0002_code": migration(
            "migrations.RunPython(double, halve)",
            [("a", "0001_t")],
            before=f"{ROWS}\ndef double(apps, schema_editor):\n    rows(apps, schema_editor).update(n=models.F('n') * 2)\n\n"
            "def halve(apps, schema_editor):\n    rows(apps, schema_editor).update(n=models.F('n') / 2)\n",
        ),
    },
    "a tree, and multi-table inheritance": {
        "0001_t": f'{T}, migrations.CreateModel("N", [{ID}, ("up", models.ForeignKey("a.N", models.CASCADE, null=True))]), '
        'migrations.CreateModel("S", [("t_ptr", models.OneToOneField("a.T", models.CASCADE, parent_link=True,'
        ' auto_created=True, primary_key=True, serialize=False)), ("x", models.IntegerField())], bases=("a.t",))',
        "0002_more": 'migrations.AddField("N", "y", models.IntegerField(null=True)), '
        'migrations.AddField("S", "y", models.IntegerField(null=True))',
    },
    "code that updates rows, and a change of their table": {
        "0001_t": f'{T}, migrations.CreateModel("C", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))])',
        "0002_code": migration(
            "migrations.RunPython(saves, saves), migrations.AddField('C', 'x', models.IntegerField(null=True))",
            [("a", "0001_t")],
            before="def saves(apps, schema_editor):\n"
            "    for row in apps.get_model('a', 'C').objects.using(schema_editor.connection.alias):\n        row.save()\n",
        ),
    },
    "a column that is filled, and dropped when it is undone": {
        "0001_t": T,
        "0002_fills": migration(
            'migrations.AddField("T", "m", models.IntegerField(null=True)), '
            "migrations.RunPython(fills, migrations.RunPython.noop), "
            'migrations.AlterField("T", "m", models.IntegerField())',
            [("a", "0001_t")],
            before="def fills(apps, schema_editor):\n"
            "    for row in apps.get_model('a', 'T').objects.using(schema_editor.connection.alias):\n"
            "        row.m = 1\n        row.save()\n",
        ),
    },
    "a column whose values come back": moved("rows(apps, schema_editor).update(n=models.F('m'))"),
    "a foreign key that is taken away, and declared": {
        "0001_t": f'{T}, migrations.CreateModel("C", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE, null=True))])',
        "0002_t": migration('migrations.RemoveField("C", "t")', [("a", "0001_t")], breaking=True),
    },
    "a table that is dropped, and declared": {
        "0001_t": T,
        "0002_t": migration('migrations.DeleteModel("T")', [("a", "0001_t")], breaking=True),
    },
    "many to many": {
        "0001_t": f'{T}, migrations.CreateModel("C", [{ID}, ("many", models.ManyToManyField("a.T"))]), '
        f'migrations.CreateModel("J", [{ID}, ("c", models.ForeignKey("a.C", models.CASCADE)),'
        ' ("t", models.ForeignKey("a.T", models.CASCADE))]),'
        ' migrations.AddField("C", "more", models.ManyToManyField("a.T", through="a.J", related_name="+"))',
        "0002_more": 'migrations.AddField("C", "x", models.IntegerField(null=True))',
    },
    "what has a default or may be null": {
        "0001_u": migration(
            f'migrations.CreateModel("U", [{ID}, ("o", Odd(max_length=9, default="odd")), ("p", Odd(max_length=9, null=True))])',
            before=ODD.replace("!=", "not in (None,) and value !="),
        ),
        "0002_more": 'migrations.AddField("U", "x", models.IntegerField(null=True))',
    },
    "what is declared": {
        "0001_t": T,
        "0002_code": migration(
            "migrations.RunPython(fill, migrations.RunPython.noop)",
            [("a", "0001_t")],
            before=CODE,
            reversible_by_design=True,
        ),
        "0003_no_operations": "",
    },
    "SQL": {
        "0001_t": T,
        "0002_view": 'migrations.RunSQL("CREATE VIEW v AS SELECT id FROM a_t", "DROP VIEW v")',
        "0003_index": 'migrations.RunSQL("CREATE INDEX by_n ON a_t (n)", [("DROP INDEX by_n" + HERE)])',
    },
}


@pytest.mark.parametrize("name", [*GOOD, *MORE_GOOD])
def test_a_good_migration_is_left_alone(
    name: str, project: Project, database: Database, check: Callable[..., Said]
) -> None:
    migrations = MORE_GOOD.get(name) or {"0001_t": T, "0002_k": GOOD[name], "0003_more": LATER[name]}
    here = '" ON a_t"' if database.vendor == "mariadb" else '""'
    project(a={key: text.replace("HERE", here) for key, text in migrations.items()})
    said = check(everything=True, format="json")
    assert found(said) == {}


def test_the_older_release_cannot_run(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    both = f'{T}, migrations.CreateModel("U", [{ID}])'
    project(a={"0001_t": both})
    (tmp_path / "v1.json").write_text(call("migrationmanifest").out)
    more = (
        'migrations.AddField("T", "m", models.IntegerField(default=1)),'
        ' migrations.AddField("U", "m", models.IntegerField(null=True))'
    )
    project(a={"0001_t": both, "0002_m": more, "0003_x": 'migrations.AlterModelOptions("T", {"ordering": ["n"]})'})
    since = f"manifest:{tmp_path / 'v1.json'}"
    said = check(since=since, format="json")
    assert said.status == 0
    assert set(found(said)) == {"C020"}
    (finding,) = said.json["findings"]
    assert (finding["migration"], finding["severity"]) == ("a.0002_m", "warning")
    assert "the older release cannot run beside it" in finding["text"]
    assert "a_t: inserts fail." in finding["text"]
    assert "Or run by hand: ALTER TABLE" in finding["hint"] or database.vendor == "sqlite"
    said = check(since=since, require=["compatible"])
    assert said.status == 1
    assert "[rollback.C020]" in said.out
    assert "WARNING" not in said.out


@pytest.mark.databases("sqlite")
def test_what_migrations_print_does_not_get_into_the_output(
    project: Project, database: Database, check: Callable[..., Said], capsys: pytest.CaptureFixture[str]
) -> None:
    prints = "def prints(apps, schema_editor):\n    print('hello')\n    apps.get_model('a', 'T')\n"
    project(
        a={
            "0001_t": T,
            "0002_code": migration("migrations.RunPython(prints, prints)", [("a", "0001_t")], before=prints),
        }
    )
    assert found(check(everything=True, format="json")) == {}
    said = capsys.readouterr()
    assert said.out == ""
    assert "hello" in said.err


class ElsewhereRouter:
    """Keeps what its hints call "elsewhere" away from every database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if hints.get("elsewhere") else None


@pytest.mark.databases("sqlite")
def test_what_a_router_keeps_away_is_not_run(
    project: Project, database: Database, check: Callable[..., Said], settings: Settings
) -> None:
    settings.DATABASE_ROUTERS = [ElsewhereRouter()]
    fails = "def fails(apps, schema_editor): 1 / len(apps.no_such_thing)"
    operation = "migrations.RunPython(fails, fails, hints={'elsewhere': True})"
    project(a={"0001_t": T, "0002_code": migration(operation, [("a", "0001_t")], before=fails)})
    assert found(check(everything=True, format="json")) == {}


@pytest.mark.databases("sqlite")
def test_what_is_declared_as_not_breaking_has_to_let_the_older_release_run(
    project: Project, database: Database, check: Callable[..., Said]
) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    more = 'migrations.AddField("T", "m", models.IntegerField(default=1))'
    project(a={"0001_t": T, "0002_m": migration(more, [("a", "0001_t")], breaking=False)})
    said = check(format="json")
    assert said.status == 1
    assert [(each["id"], each["severity"]) for each in said.json["findings"]] == [("rollback.C020", "error")]


@pytest.mark.databases("sqlite", "postgresql")
def test_what_needs_no_transaction_is_tried_without_one(
    project: Project, database: Database, check: Callable[..., Said]
) -> None:
    vacuum = migration('migrations.RunSQL("VACUUM", "VACUUM")', [("a", "0001_t")], atomic=False)
    later = migration('migrations.AddField("T", "m", models.IntegerField(null=True))', [("a", "0002_vacuum")])
    project(a={"0001_t": T, "0002_vacuum": vacuum, "0003_m": later})
    assert found(check(everything=True, format="json")) == {}
    fails = migration('migrations.RunSQL("VACUUM", "VACUUM; SELECT nonsense")', [("a", "0001_t")], atomic=False)
    project(a={"0001_t": T, "0002_vacuum": fails, "0003_m": later})
    assert "a.0002_vacuum cannot be undone" in found(check(everything=True, format="json"))["C010"]


@pytest.mark.databases("postgresql")
def test_concurrent_operations_run_as_their_plain_twins(
    project: Project, database: Database, check: Callable[..., Said]
) -> None:
    index = "AddIndexConcurrently('T', models.Index(fields=['n'], name='by_n'))"
    imported = "from django.contrib.postgres.operations import AddIndexConcurrently"
    project(
        a={
            "0001_t": T,
            "0002_index": migration(index, [("a", "0001_t")], before=imported, atomic=False),
            "0003_sql": migration(
                "migrations.RunSQL('CREATE INDEX CONCURRENTLY x ON a_t (n)', 'DROP INDEX CONCURRENTLY x')",
                [("a", "0002_index")],
                atomic=False,
            ),
        }
    )
    assert found(check(everything=True, format="json")) == {}


def test_only_what_is_new_is_tried(project: Project, database: Database, check: Callable[..., Said]) -> None:
    """And the database of the project is not touched, also where code uses the models' managers without an alias."""
    migrations, words = BAD["C012"]
    project(a={"0001_t": T})
    migrate(database.alias)
    project(a=migrations)
    with statements(database.alias) as sent:
        said = check(format="json")
        assert not {sql.split()[0] for sql in sent} & {"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"}
        sent.clear()
        check("a", everything=True)
        assert sent == []
    assert said.json["checked"] == ["a.0002_code"]
    assert words in found(said)["C012"]
    assert [row[0] for row in ask(database, "SELECT name FROM django_migrations")] == ["0001_t"]


def test_no_other_database_is_touched(
    project: Project, database: Database, other_database: Database, check: Callable[..., Said]
) -> None:
    """Code that names another database finds a test database there, which is not made."""
    project(
        a={
            "0001_t": migration(
                "migrations.RunPython(write)",
                before="from django.db import connections\n\ndef write(apps, schema_editor):\n"
                f"    connections['{other_database.alias}'].cursor().execute('CREATE TABLE x (y int)')\n",
            )
        }
    )
    with statements(other_database.alias) as sent:
        check(everything=True)
    assert sent == []
    assert other_database.connection.introspection.table_names() == []


# Bad surroundings


def test_a_migration_that_cannot_be_applied(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    fails = migration("migrations.RunPython(fill, fill)", before="def fill(apps, schema_editor): 1 / 0")
    project(a={"0001_t": fails})
    said = check(everything=True)
    assert said.status == 1
    assert said.error.startswith(
        "a.0001_t cannot be applied to an empty database: ZeroDivisionError: division by zero\n"
    )
    (tmp_path / "v1.json").write_text('{"migrations": [{"migration": "a.0001_t", "replaces": []}]}')
    project(a={"0001_t": fails, "0002_x": migration("", [("a", "0001_t")])})
    assert check(since=f"manifest:{tmp_path / 'v1.json'}").error.startswith("a.0001_t cannot be applied")


@pytest.mark.databases("postgresql", "mariadb")
def test_no_right_to_make_a_database(
    project: Project, database: Database, check: Callable[..., Said], settings: Settings
) -> None:
    project(a={"0001_t": T})
    user = {"postgresql": "CREATE ROLE nobody_there LOGIN", "mariadb": "CREATE USER nobody_there IDENTIFIED BY ''"}
    ask(database, user[database.vendor])
    connection = connections[database.alias]
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict |= {"USER": "nobody_there", "PASSWORD": ""}
    try:
        said = check(everything=True)
    finally:
        connection.close()
        connection.settings_dict |= before
        ask(database, f"DROP {'ROLE' if database.vendor == 'postgresql' else 'USER'} nobody_there")
    assert said.status == 1
    first, *_ = said.error.splitlines()
    assert first.startswith("The test database 'test_rollback_tests_default_")
    assert "cannot be made: " in first
    assert "denied" in first
    assert check(everything=True, static=True).status == 0


@pytest.mark.databases("postgresql", "mariadb")
def test_a_kept_database_is_used_again(project: Project, database: Database, check: Callable[..., Said]) -> None:
    project(a={"0001_t": T})
    name = f"test_{connections[database.alias].settings_dict['NAME']}_rollback"
    there = {
        "postgresql": f"SELECT 1 FROM pg_database WHERE datname = '{name}'",
        "mariadb": f"SELECT 1 FROM information_schema.schemata WHERE schema_name = '{name}'",
    }[database.vendor]
    check(everything=True)
    assert ask(database, there) == []
    try:
        assert check(everything=True, keepdb=True).status == 0
        assert ask(database, there) == [(1,)]
        assert check(everything=True, keepdb=True).status == 0
        assert check(everything=True, keepdb=True).status == 0
    finally:
        ask(database, f"DROP DATABASE {name}")


@pytest.mark.databases("sqlite")
def test_a_database_in_a_file(project: Project, database: Database, check: Callable[..., Said], tmp_path: Path) -> None:
    project(a={"0001_t": T})
    connection: Any = connections[database.alias]
    connection.settings_dict["TEST"]["NAME"] = str(tmp_path / "test.sqlite3")
    try:
        assert check(everything=True, keepdb=True).status == 0
        assert [path.name for path in tmp_path.glob("*.sqlite3*")] == ["test.sqlite3_rollback"]
        assert check(everything=True).status == 0
        assert list(tmp_path.glob("*.sqlite3*")) == []
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path / "nowhere" / "test.sqlite3")
        said = check(everything=True)
        assert said.status == 1
        assert "cannot be made: unable to open database file" in said.error
    finally:
        connection.settings_dict["TEST"]["NAME"] = None


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_a_kept_database_need_not_be_migrated_again(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path, settings: Settings
) -> None:
    """As long as nothing of the older release has changed; and what is new can run in a transaction."""
    applied, manifest = tmp_path / "applied", tmp_path / "v1.json"
    notes = (
        f"def notes(apps, schema_editor):\n    apps.get_models()\n    with open({str(applied)!r}, 'a') as file:\n"
        "        file.write('x')\n"
    )
    older = {"0001_t": T, "0002_notes": migration("migrations.RunPython(notes)", [("a", "0001_t")], before=notes)}
    project(a=older)
    manifest.write_text(call("migrationmanifest").out)

    options: dict[str, Any] = {"since": f"manifest:{manifest}", "format": "json"}
    seen = []

    def times(*, applies: int = 0, **new: str) -> Said:
        """How often the older migrations are applied by a check of these new ones."""
        project(a={**older, **new})
        applied.write_text("")
        seen.append((project.apps, check(keepdb=True, **options)))
        assert applied.read_text() == "x" * (applies or (database.vendor == "mariadb"))
        return seen[-1][1]

    more = 'migrations.AddField("T", "m", models.IntegerField(default=1))'
    with kept(database, tmp_path):
        assert set(found(times(applies=1, **{"0003_m": more}))) == {"C020"}
        assert set(found(times(**{"0003_m": more.replace('"m"', '"k"'), "0004_n": REMOVES}))) == {"C020", "C003"}
        only = check("a.0004_n", keepdb=True, **options)
        assert (only.json["checked"], set(found(only))) == (["a.0004_n"], {"C003", "C020"})
        older["0002_notes"] = older["0002_notes"].replace("'x'", "'x' * 1")
        assert set(found(times(applies=1, **{"0003_m": more}))) == {"C020"}
        modules = settings.MIGRATION_MODULES  # now apps without migrations have models, too
        settings.MIGRATION_MODULES = {**modules, "contenttypes": None, "auth": None}
        applied.write_text("")
        assert [set(found(check(keepdb=True, **options))) for _ in range(2)] == [{"C020"}, {"C020"}]
        assert applied.read_text() == ("xx" if database.vendor == "mariadb" else "x")
        settings.MIGRATION_MODULES = modules
        if database.vendor == "postgresql":
            vacuum = migration('migrations.RunSQL("VACUUM", "VACUUM")', [("a", "0002_notes")], atomic=False)
            assert found(times(applies=1, **{"0003_vacuum": vacuum})) == {}
            assert found(times(applies=1, **{"0003_vacuum": vacuum})) == {}
    for apps, said in seen:
        project(**apps)
        assert found(check(**options)) == found(said)


@pytest.mark.databases("postgresql")
def test_a_kept_database_that_cannot_be_emptied(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    project(a={"0001_t": T})
    connection = connections[database.alias]
    before = dict(connection.settings_dict)
    with kept(database, tmp_path):
        check(everything=True, keepdb=True)
        ask(database, "CREATE ROLE somebody LOGIN")
        connection.close()
        connection.settings_dict |= {"USER": "somebody", "PASSWORD": ""}
        try:
            said = check(everything=True, keepdb=True)
        finally:
            connection.close()
            connection.settings_dict |= before
            ask(database, "DROP ROLE somebody")
    assert said.status == 1
    assert "cannot be emptied: must be owner of " in said.error


@contextmanager
def kept(database: Database, folder: Path) -> Iterator[None]:
    """SQLite's is in a file; on a server it is dropped in the end."""
    settings: Any = connections[database.alias].settings_dict
    if database.vendor == "sqlite":
        settings["TEST"]["NAME"] = str(folder / "test.sqlite3")
    try:
        yield
    finally:
        settings["TEST"]["NAME"] = None
        if database.vendor != "sqlite":
            ask(database, f"DROP DATABASE test_{settings['NAME']}_rollback")


# Seeds


@pytest.mark.databases("sqlite")
def test_the_projects_own_factory(
    project: Project, database: Database, check: Callable[..., Said], settings: Settings
) -> None:
    migrations, _ = BAD["C014"]
    project(a=migrations)
    settings.ROLLBACK = {**settings.ROLLBACK, "SEED": seed}
    assert found(check(everything=True, format="json")) == {}
    settings.ROLLBACK = {**settings.ROLLBACK, "SEED": "tests.database.test_trials.seed_badly"}
    assert "ROLLBACK['SEED'] raised ZeroDivisionError" in found(check(everything=True, format="json"))["C014"]
    for wrong, words in {
        "nowhere.at_all": "fails: ModuleNotFoundError",
        1: "must be a callable or its dotted path",
    }.items():
        settings.ROLLBACK = {**settings.ROLLBACK, "SEED": wrong}
        said = check(everything=True)
        assert said.status == 1
        assert words in said.error


@pytest.mark.databases("sqlite")
def test_model_bakery_is_asked_where_nothing_else_helps(
    project: Project, database: Database, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations, words = BAD["C014"]
    package = project(a=migrations)
    monkeypatch.setattr(generators, "user_mapping", {})
    generators.add(f"{package.name}.a.0001_u.Odd", lambda: "odd")
    assert found(check(everything=True, format="json")) == {}
    monkeypatch.setitem(sys.modules, "model_bakery", None)  # as where it is not installed
    assert words in found(check(everything=True, format="json"))["C014"]


def seed(model: Any, *, using: str) -> Any:
    if model.__name__ == "U":
        return model.objects.using(using).create(odd="odd")
    return None


def seed_badly(model: Any, *, using: str) -> Any:
    return 1 / 0
