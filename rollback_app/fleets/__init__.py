"""Many databases, or many schemas of one, taken back in one go: looked at first, then one after the other by several workers.

    ROLLBACK = {"FLEET": "shop.fleet.members"}  # a function that yields Member(name, alias, schema)

Each member is rolled back as `workflow` does it: with its own lock, transaction, journal, kept data and hold.
"""

from rollback_app.history import Member

from .members import chosen, find, forward
from .orders import Orders
from .processes import mapped, work_in_processes
from .queue import backend_named, work_by_tasks
from .run import Status, begin, begin_again, carry_out, left, status, stop
from .standing import check_schemas, standings
from .survey import survey
from .work import book, work

__all__ = [
    "Member",
    "Orders",
    "Status",
    "backend_named",
    "begin",
    "begin_again",
    "book",
    "carry_out",
    "check_schemas",
    "chosen",
    "find",
    "forward",
    "left",
    "mapped",
    "standings",
    "status",
    "stop",
    "survey",
    "work",
    "work_by_tasks",
    "work_in_processes",
]
