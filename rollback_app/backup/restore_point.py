"""A named restore point in the log of PostgreSQL, to which a server with an archive can be recovered.

https://www.postgresql.org/docs/current/continuous-archiving.html
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone

from django.db.utils import DatabaseError

from rollback_app.database import Database, first_line
from rollback_app.history import Key

from .way import BackupFailed, Taken

_WHY_NOT = """
SELECT CASE
    WHEN pg_is_in_recovery() THEN 'A standby takes no restore points.'
    WHEN current_setting('archive_mode') = 'off'
        THEN 'archive_mode is off on this server, so nothing could be recovered to a restore point.'
    WHEN NOT has_function_privilege('pg_create_restore_point(text)', 'EXECUTE')
        THEN current_user || ' may not call pg_create_restore_point().'
    WHEN last_failed_time > coalesce(last_archived_time, '-infinity')
        THEN 'The archiver of this server has failed since '
            || to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC: nothing could be recovered to one.'
    ELSE '' END FROM pg_stat_archiver
"""


class RestorePoint:
    name = "a restore point of PostgreSQL"

    def why_not(self, database: Database) -> str:
        if database.connection.vendor != "postgresql":
            return f"{database.vendor_name} has no restore points."
        with database.connection.cursor() as cursor:
            cursor.execute(_WHY_NOT)
            return str(cursor.fetchone()[0])

    def size(self, database: Database) -> int | None:
        return None

    def free(self) -> int | None:
        return None

    def take(self, database: Database, records: Collection[Key]) -> Taken:
        now = datetime.now(timezone.utc)
        name = f"rollback_app_{now:%Y%m%dT%H%M%S}"
        try:
            with database.connection.cursor() as cursor:
                cursor.execute("SELECT pg_create_restore_point(%s)::text", [name])
                (position,) = cursor.fetchone()
        except DatabaseError as error:
            raise BackupFailed(database.alias, first_line(error)) from error
        return Taken(
            name,
            now,
            None,
            f"the server noted it at {position}",
            f"recovery_target_name = '{name}'",
        )
