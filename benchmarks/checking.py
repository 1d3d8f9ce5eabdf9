"""python -m benchmarks.checking --other PYTHON: what checking 100 migrations takes, beside pytest-mrt: see README.md."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.generate import HEAD, MANAGE, SETTINGS
from benchmarks.measure import ROOT, Failed

MIGRATIONS = 100
# One app, and no foreign keys: pytest-mrt makes rows that point to nothing, fails at the next migration, and stops there.
STEPS = (
    'migrations.CreateModel("M{m}", [("id", models.BigAutoField(primary_key=True)), ("c0", models.CharField(max_length=20))])',
    'migrations.AddField("M{m}", "c{n}", models.IntegerField(null=True))',
    'migrations.AddField("M{m}", "c{n}", models.CharField(max_length=20, default=""))',
    'migrations.AddIndex("M{m}", models.Index(fields=["c0"], name="by_c0_{m}"))',
    'migrations.AlterField("M{m}", "c0", models.CharField(max_length=40))',
    'migrations.AddField("M{m}", "c{n}", models.DateTimeField(null=True))',
    'migrations.RenameField("M{m}", "c1", "renamed")',
    'migrations.AddConstraint("M{m}", models.UniqueConstraint(fields=["id", "c0"], name="one_{m}"))',
    'migrations.AddField("M{m}", "c{n}", models.BooleanField(default=False))',
    'migrations.AlterModelOptions("M{m}", {{"ordering": ["id"]}})',
)
ITS_CONFTEST = """
from pytest_mrt import MRTConfig


def pytest_configure(config):
    config._mrt_config = MRTConfig(
        django_settings="settings", db_url="sqlite:///" + "{database}", django_project_dir="{folder}"
    )
"""
ITS_TEST = """
def test_all(mrt):
    checked = mrt.check_all(apps=["plain"])
    print(len(checked), "migrations,", sum(not each.passed for each in checked), "failed")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", metavar="PYTHON", help="A Python that has pytest-mrt, Django and python-dateutil.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        check = [sys.executable, "manage.py", "checkrollback", "plain", "--all"]
        ours, static = run(folder, check), run(folder, [*check, "--static"])
        print(f"checkrollback {ours:.1f} s, with --static {static:.1f} s, of the processor")
        if options.other:
            (folder / "conftest.py").write_text(ITS_CONFTEST.format(database=folder / "theirs.sqlite3", folder=folder))
            (folder / "test_theirs.py").write_text(ITS_TEST)
            theirs = run(folder, [options.other, "-m", "pytest", "-p", "no:django", "-q", "-s", "-k", "test_all"])
            print(f"pytest-mrt {theirs:.1f} s: checkrollback takes {ours / theirs:.2f} of that")


def write(folder: Path) -> None:
    """A project of one app."""
    (folder / "settings.py").write_text(f"APPS = ['plain']\n{SETTINGS}")
    (folder / "manage.py").write_text(MANAGE)
    migrations = folder / "plain" / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations, migrations.parent):
        (package / "__init__.py").touch()
    before = "[]"
    for number in range(MIGRATIONS):
        operation = STEPS[number % len(STEPS)].format(m=number // len(STEPS), n=number % len(STEPS))
        text = f"class Migration(migrations.Migration):\n    dependencies = {before}\n    operations = [{operation}]\n"
        (migrations / f"{number + 1:04}_step.py").write_text(HEAD + text)
        before = f"[('plain', '{number + 1:04}_step')]"


def run(folder: Path, command: list[str]) -> float:
    """Seconds of the processor, which other work on the machine does not count in, with the start of Python. A finding (1) is no
    failure."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    environment |= {"BENCHMARK_DATABASE": f"sqlite://{folder / 'own.sqlite3'}", "DJANGO_SETTINGS_MODULE": "settings"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as in `measure`
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    print(f"$ {' '.join(Path(word).name for word in command)}\n{lines[0]}", file=sys.stderr)
    if done.returncode not in (0, 1):
        raise Failed("\n".join(lines))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
