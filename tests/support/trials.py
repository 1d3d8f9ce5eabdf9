"""Migrations that `checkrollback` must find by trying them, with words of what it says: by the id, also of those on its pages."""

from __future__ import annotations

from tests.support.projects import migration

ID = '("id", models.BigAutoField(primary_key=True))'
T = f'migrations.CreateModel("T", [{ID}, ("n", models.IntegerField(null=True))])'
ROWS = """
def rows(apps, schema_editor):
    return apps.get_model("a", "T").objects.using(schema_editor.connection.alias)

"""
CODE = f"{ROWS}\ndef fill(apps, schema_editor):\n    rows(apps, schema_editor).update(n=1)\n"
ODD = """
class Odd(models.CharField):
    def get_internal_type(self): return "OddField"
    def db_type(self, connection): return "varchar(10)"
    def get_prep_value(self, value):
        if value != "odd": raise ValueError("not odd")
        return value
"""


def code(before: str, operation: str, **attributes: bool) -> dict[str, str]:
    """before: functions of the migration, which may call `rows`."""
    before = before if "def rows" in before else f"{ROWS}\n{before}"
    return {"0001_t": T, "0002_code": migration(operation, [("a", "0001_t")], before=before, **attributes)}


def moved(back: str) -> dict[str, str]:
    """A column that is replaced by another one. back: how the reverse brings back its values."""
    before = (
        "def there(apps, schema_editor):\n"
        "    apps.get_model('a', 'T').objects.using(schema_editor.connection.alias).update(m=models.F('n'))\n\n\n"
        f"def back(apps, schema_editor):\n    {back}\n"
    ).replace("rows(apps, schema_editor)", "apps.get_model('a', 'T').objects.using(schema_editor.connection.alias)")
    operations = (
        'migrations.AddField("T", "m", models.IntegerField(null=True)), migrations.RunPython(there, back), '
        'migrations.RemoveField("T", "n")'
    )
    return {"0001_t": T, "0002_moves": migration(operations, [("a", "0001_t")], before=before)}


BOTH = "migrations.RunPython(fill, empty)"
BAD: dict[str, tuple[dict[str, str], str]] = {
    "C010": (
        {
            "0001_t": f'migrations.CreateModel("T", [{ID}, ("n", models.IntegerField())])',
            "0002_removes": 'migrations.RemoveField("T", "n")',
        },
        "This fails with rows in the tables, and not without.",
    ),
    "C010 without rows": (
        code(
            "def fill(apps, schema_editor): 1 / len(apps.get_models())\n\ndef empty(apps, schema_editor): 1 / 0", BOTH
        ),
        "a.0002_code cannot be undone: ZeroDivisionError: division by zero.",
    ),
    "C011": (
        {"0001_t": T, "0002_log": 'migrations.RunSQL("CREATE TABLE a_log (id int)", "DELETE FROM a_log")'},
        "a.0002_log leaves a trace: after it was applied and undone, a_log is still there.",
    ),
    "C011 of a view": (
        {"0001_t": T, "0002_view": 'migrations.RunSQL("CREATE VIEW a_v AS SELECT id FROM a_t", "SELECT 1")'},
        "a_v is there",
    ),
    "C012": (
        code(f"{CODE}\n\ndef empty(apps, schema_editor):\n    rows(apps, schema_editor).update(n=0)\n", BOTH),
        "a.0002_code changes rows for good: after it was applied and undone, a_t has other values in n.",
    ),
    "C012 of rows": (
        code(f"{CODE}\n\ndef empty(apps, schema_editor):\n    rows(apps, schema_editor).all().delete()\n", BOTH),
        "a_t has 0 rows instead of 2",
    ),
    "C012 of a column that comes back": (
        moved("rows(apps, schema_editor).update(n=7)"),
        "after it was applied and undone, a_t has other values in n.",
    ),
    "C012 of exchanged values": (
        code(
            "def fill(apps, schema_editor):\n    rows(apps, schema_editor).count()\n\n"
            "def empty(apps, schema_editor):\n    first, second = rows(apps, schema_editor).order_by('id')\n"
            "    first.n, second.n = second.n, first.n\n    first.save()\n    second.save()\n",
            BOTH,
        ),
        "the values of a_t are in other rows",
    ),
    "C013": (
        code(
            "def fill(apps, schema_editor):\n    rows(apps, schema_editor).create(n=5)\n",
            "migrations.RunPython(fill, migrations.RunPython.noop)",
        ),
        "when it is applied again after it was undone: a_t has 4 rows instead of 3.",
    ),
    "C013 that fails": (
        code(
            "def fill(apps, schema_editor):\n    rows(apps, schema_editor).create(id=5)\n",
            "migrations.RunPython(fill, migrations.RunPython.noop)",
        ),
        "a.0002_code cannot be applied again after it was undone: IntegrityError",
    ),
    "C014": (
        {
            "0001_u": migration(f'migrations.CreateModel("U", [{ID}, ("odd", Odd(max_length=10))])', before=ODD),
            "0002_m": 'migrations.AddField("U", "m", models.IntegerField(null=True))',
        },
        "No rows could be made for a.U: what its field odd, a Odd, may hold is not known.",
    ),
    "C014 of a row that needs itself": (
        {
            "0001_n": f'migrations.CreateModel("N", [{ID}, ("up", models.ForeignKey("a.N", models.CASCADE))])',
            "0002_m": 'migrations.AddField("N", "m", models.IntegerField(null=True))',
        },
        "it needs a row of a.N, which needs one of it",
    ),
    "C014 of what points to nothing": (
        {
            "0001_n": f'migrations.CreateModel("V", [{ID}], options={{"managed": False}}), '
            f'migrations.CreateModel("N", [{ID}, ("v", models.ForeignKey("a.V", models.CASCADE, db_constraint=False))])',
            "0002_m": 'migrations.AddField("N", "m", models.IntegerField(null=True))',
        },
        "No rows could be made for a.N: IntegrityError",
    ),
    "C014 of code": (
        code(
            "def fill(apps, schema_editor):\n    1 / (1 - min(1, rows(apps, schema_editor).count()))\n\n"
            "def empty(apps, schema_editor): schema_editor.x = 1",
            BOTH,
        ),
        "applying it fails with those that were made up, and not without: ZeroDivisionError",
    ),
}
