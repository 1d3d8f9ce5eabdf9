"""Runs processes and measures them. Imports next to nothing: a child's peak memory counts what it inherits from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Cost:
    """seconds: by the clock. cpu: of the client, without the database server. memory: its peak, in MB. whole: did it come to
    its end, and was not stopped before?"""

    seconds: float
    cpu: float
    memory: float
    whole: bool = True

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        memory = max(self.memory, other.memory)
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu, memory, self.whole and other.whole)


class Failed(RuntimeError):
    """A measured command failed: its time means nothing."""


@dataclass(frozen=True)
class Project:
    """A generated project on one database, by its URL. limit: a process that takes more seconds is stopped."""

    folder: Path
    url: str
    limit: float | None = None

    def way(self, *words: object) -> Cost:
        return self.run("-m", "benchmarks.ways", *words)

    def manage(self, *words: object) -> Cost:
        return self.run("manage.py", *words)

    def run(self, *words: object) -> Cost:
        return self._run(words, subprocess.DEVNULL)[0]

    def output(self, *words: object) -> str:
        return self._run(("-m", "benchmarks.ways", *words), subprocess.PIPE)[1]

    def _run(self, words: Iterable[object], output: int) -> tuple[Cost, str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCHMARK_DATABASE": self.url}
        environment.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # an image has its compiled files, and so has a second run here
        start = time.perf_counter()
        command = [sys.executable, *map(str, words)]
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, text=True
        ) as child:
            said = child.stdout.read() if child.stdout else ""
            stop = threading.Timer(self.limit or threading.TIMEOUT_MAX, child.kill)
            stop.start()
            _, status, usage = os.wait4(child.pid, 0)  # what this child alone used
            stop.cancel()
            child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        stopped = self.limit is not None and child.returncode == -signal.SIGKILL
        if child.returncode and not stopped:
            raise Failed(f"{' '.join(command)} failed with status {child.returncode}")
        return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, whole=not stopped), said
