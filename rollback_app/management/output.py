"""Output that never breaks a run: what cannot be written is dropped."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from rollback_app.errors import RollbackError, UsageError, shown

_ANOTHER = "Give --output the name of another file. Nothing was changed."


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
def whole_file(name: str | None) -> Iterator[TextIO | None]:
    """What is written inside becomes that file at the end, also where an error of ours ends it: as a whole or not at all, for
    it is written beside it and then renamed. None for no name.

    Errors: UsageError, before anything else, if there can be no such file.
    """
    if not name:
        yield None
        return
    sink = io.StringIO()
    path, beside = _made(name)
    try:
        try:
            yield sink
        finally:
            if isinstance(sys.exc_info()[1], (RollbackError, type(None))):
                _replace(path, beside, sink.getvalue())
    finally:
        beside.unlink(missing_ok=True)


def write_whole(name: str, data: bytes) -> None:
    """Make it the content of that file: as a whole or not at all. Errors: UsageError, if it cannot."""
    path, beside = _made(name)
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise _unwritable(name, error) from error
    finally:
        beside.unlink(missing_ok=True)


def _made(name: str) -> tuple[Path, Path]:
    """(the file, an empty one beside it). Errors: UsageError."""
    try:
        path = Path(os.path.realpath(name))  # the file that a link points to, and not the link, is replaced
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        if path.exists() and not path.is_file():
            raise UsageError(f"'{shown(name)}' is no file that can be replaced.", hint=_ANOTHER)
        beside.touch()
    except (OSError, ValueError) as error:
        raise _unwritable(name, error) from error
    return path, beside


def _unwritable(name: str, error: OSError | ValueError) -> UsageError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UsageError(f"The file '{shown(name)}' cannot be written: {why}", hint=_ANOTHER)


def _replace(path: Path, beside: Path, text: str) -> None:
    """A disk that is full by now changes nothing about what was done; then there is no file."""
    try:
        beside.write_text(text, encoding="utf-8", errors="replace")
        beside.replace(path)
    except OSError as error:
        sys.stderr.write(f"The file '{path}' could not be written: {error.strerror}\n")


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
