"""Runs processes and measures them. Imports next to nothing: a child's peak memory counts what it inherits from here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Cost:
    """seconds: by the clock. cpu: of the client, without the database server. memory: its peak, in MB."""

    seconds: float
    cpu: float
    memory: float

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu, max(self.memory, other.memory))


class Failed(RuntimeError):
    """A measured command failed: its time means nothing."""


@dataclass(frozen=True)
class Project:
    """A generated project on one database, by its URL."""

    folder: Path
    url: str

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
        start = time.perf_counter()
        command = [sys.executable, *map(str, words)]
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, text=True
        ) as child:
            said = child.stdout.read() if child.stdout else ""
            _, status, usage = os.wait4(child.pid, 0)  # what this child alone used
            child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if child.returncode:
            raise Failed(f"{' '.join(command)} failed with status {child.returncode}")
        return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), said
