"""python -m benchmarks [--sizes 10x10 50x20 100x30] [--databases sqlite postgresql] [--plot FILE]: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import generate, report
from benchmarks.generate import Size
from benchmarks.measure import Cost, Failed, Project
from benchmarks.report import BOUND, OURS, Measured
from benchmarks.ways import MOMENT
from tests import servers

ROLL_BACK = ("rollbackmigrationsafter", MOMENT, "--no-input", "--destroy-data")


class Database:
    """Databases of one vendor for one project; each way begins with a fresh copy of the same one."""

    def __init__(self, folder: Path, vendor: str) -> None:
        self.folder, self.vendor = folder, vendor

    def project(self, name: str) -> Project:
        if self.vendor == "sqlite":
            return Project(self.folder, f"sqlite://{self.folder / name}.sqlite3")
        server = urlsplit(os.environ[servers.URLS["postgresql"]])
        return Project(self.folder, server._replace(path=f"/benchmark_{name}").geturl())

    def empty(self) -> Project:
        found = self.project("template")
        if self.vendor == "postgresql":
            found.way("copy", "template0")
        return found

    def copy(self, name: str = "copy") -> Project:
        found = self.project(name)
        if self.vendor == "postgresql":
            found.way("copy", "benchmark_template")
        else:
            shutil.copy(self.folder / "template.sqlite3", self.folder / f"{name}.sqlite3")
        return found


# The ways, the slowest last. Each is given a fresh copy of the database, the targets and the apps.


def _ours(project: Project, size: Size) -> Cost:
    return project.manage(*ROLL_BACK)


def _bound(project: Project, size: Size) -> Cost:
    return project.way("bound", project.folder / "statements")


def _per_app(project: Project, size: Size) -> Cost:
    return project.way("per_app", generate.name_of(size.kept), *size.labels())


def _processes(project: Project, size: Size) -> Cost:
    cost = Cost(0, 0, 0)
    for app in reversed(size.labels()):
        left = project.limit and max(1.0, project.limit - cost.seconds)
        cost += replace(project, limit=left).manage("migrate", app, generate.name_of(size.kept), "-v", "0")
        if not cost.whole:
            break
    return cost


def _one_plan(project: Project, size: Size) -> Cost:
    return project.way("one_plan", generate.name_of(size.kept), *size.labels())


WAYS: dict[str, Callable[[Project, Size], Cost]] = {
    BOUND: _bound,
    OURS: _ours,
    "migrate, app by app, one process": _per_app,
    "migrate, a process for each app": _processes,
    "one plan, Django's executor": _one_plan,
}


def measure(folder: Path, size: Size, vendor: str, ways: list[str], limit: float) -> Measured:
    """limit: for each way, in seconds. Errors: Failed, if a command fails, or a way leaves another schema or other rows than
    ours."""
    database = Database(folder, vendor)
    database.empty().way("make", size.kept)
    check = database.copy().manage("check")
    recorded = database.copy("recorded")
    recorded.way("record", folder / "statements")
    costs, facts = {}, {}
    for way in ways:
        project = database.copy()
        costs[way] = cost = WAYS[way](replace(project, limit=limit), size)
        said = f"{size} {vendor} {way}: {cost.seconds:.2f} s, {cost.memory:.0f} MB{'' if cost.whole else ', stopped'}"
        print(said, file=sys.stderr, flush=True)
        if cost.whole:
            facts[way] = project.output("facts")
    if wrong := [way for way in facts if facts[way] != facts[OURS]]:
        raise Failed(f"not the same schema as ours afterwards: {', '.join(wrong)}")
    return Measured(size, vendor, costs, check)


def large_table(folder: Path, size: Size, vendor: str, rows: list[int]) -> str:
    """How much a large table costs outside of the statements."""
    lines = [
        "| rows | database | statements of the operations, s | looking, counting, recording, s | all the rest, s |",
        "|--:|---|--:|--:|--:|",
    ]
    for number in rows:
        project = Database(folder, vendor).copy()
        project.way("rows", number)
        spent = json.loads(project.output("inside"))
        lines.append(f"| {number} | {vendor} | {spent['ddl']:.2f} | {spent['own']:.2f} | {spent['rest']:.2f} |")
    return "\n".join(lines)


def plan_only(folder: Path, size: Size, vendor: str) -> str:
    """What --plan costs, beside Django's own start and loading of the migration files."""
    project = Database(folder, vendor).copy()
    project.manage(*ROLL_BACK, "--plan")  # writes the compiled files, as an image has them
    load, plan = project.way("load"), project.manage(*ROLL_BACK, "--plan", "--no-count")
    with_count = project.manage(*ROLL_BACK, "--plan")
    lines = ["| apps × migrations | database | what | seconds | peak MB |", "|---|---|---|--:|--:|"]
    for words, cost in (("Django loads the files", load), ("--plan --no-count", plan), ("--plan", with_count)):
        shown = str(size).replace("x", " × ")
        lines.append(f"| {shown} | {vendor} | {words} | {cost.seconds:.2f} | {cost.memory:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures rollbacks; see README.md.")
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(10, 10), Size(20, 20), Size(50, 20)])
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["postgresql", "sqlite"])
    parser.add_argument(
        "--slow-up-to", type=int, default=1000, metavar="MIGRATIONS", help="Leave Django's ways out above"
    )
    parser.add_argument("--limit", type=float, default=3600, metavar="SECONDS", help="Stop a way that takes longer")
    parser.add_argument(
        "--rows", nargs="*", type=int, default=[1000, 1_000_000], help="The large table; none: leave it out"
    )
    parser.add_argument("--plot", type=Path, help="Write the plot, of the first database, to this SVG file")
    options = parser.parse_args()
    if "postgresql" in options.databases:
        servers.start(["postgresql"])
    measured: list[Measured] = []
    more = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
        for size in options.sizes:
            folder = Path(temporary, str(size))
            generate.write(folder, size)
            ways = list(WAYS) if size.all <= options.slow_up_to else [BOUND, OURS]
            for vendor in options.databases:
                measured.append(measure(folder, size, vendor, ways, options.limit))
                more.append(plan_only(folder, size, vendor))
                if size == options.sizes[0] and options.rows:
                    more.append(large_table(folder, size, vendor, options.rows))
            shutil.rmtree(folder)
    print("\n\n".join([report.table(measured), *more]))
    if options.plot:
        first = [row for row in measured if row.vendor == options.databases[0]]
        options.plot.write_text(report.plot(first, list(WAYS)))


if __name__ == "__main__":
    main()
