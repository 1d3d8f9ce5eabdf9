"""Output that never breaks a run: what cannot be written is dropped."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class _Lenient:
    """A stream for another one. What that cannot encode is written as "?"; what it does not take (a closed pipe, a full disk, a
    terminal that went away, no stream at all) is dropped."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: TextIO = io.StringIO() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self.write(text.encode(error.encoding, "replace").decode(error.encoding))
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._drop()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._drop()

    def _drop(self) -> None:
        """Send what is still in its buffer, and all that comes, to nowhere: else Python fails on it when it ends."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):
            return
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), descriptor)


def lenient(stream: TextIO | None) -> TextIO:
    return cast("TextIO", _Lenient(stream))


@contextmanager
def lenient_streams() -> Iterator[None]:
    """Also for what Python itself prints: help, questions, wrong usage."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = lenient(sys.stdout), lenient(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams


@contextmanager
def hangups_ignored() -> Iterator[None]:
    """A terminal that goes away does not end the process. For the main thread."""
    names = {"SIGHUP"} & set(dir(signal))  # Windows has none
    before = {name: signal.signal(getattr(signal, name), signal.SIG_IGN) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
