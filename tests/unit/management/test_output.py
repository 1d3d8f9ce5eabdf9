"""A stream that never fails; with real pipes and files."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rollback_app.management.output import lenient


def test_a_closed_pipe_is_replaced_by_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w", encoding="utf-8") as pipe:  # noqa: PTH123
        stream = lenient(pipe)
        stream.write("x" * 100_000)  # more than its buffer holds
        stream.write("y")
        stream.flush()
    # and closing it, as Python does when it ends, raised nothing


def test_what_is_left_in_the_buffer_of_a_full_disk_is_dropped() -> None:
    with Path("/dev/full").open("w") as disk:
        stream = lenient(disk)
        assert stream.write("x") == 1
        stream.flush()


def test_a_stream_that_was_closed() -> None:
    closed = io.StringIO()
    closed.close()
    lenient(closed).write("x")
    lenient(closed).flush()


def test_no_stream() -> None:
    lenient(None).write("x")


def test_what_cannot_be_encoded() -> None:
    raw = io.BytesIO()
    stream = lenient(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("größe \ud800")
    stream.flush()
    assert raw.getvalue() == b"gr??e ?"
    assert stream.encoding == "ascii"
