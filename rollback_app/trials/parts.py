"""Parts of the migrations that are tried, for processes beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
# How long the trials of a process are, in terms of those of the one before it, which need not wait for as many migrations to be
# applied first. Measured on projects of well-known apps: of a trial, applying takes two fifths.
_NEXT = 0.6


def parts(everything: Sequence[T], number: int) -> list[Sequence[T]]:
    """Everything, in this number of parts that take about the same time. Each of them has to apply what comes before it, so that
    the later ones are shorter."""
    ends = [round(len(everything) * (1 - _NEXT**each) / (1 - _NEXT**number)) for each in range(number + 1)]
    found = [everything[start:end] for start, end in pairwise(ends)]
    return [part for part in found if part]
