"""What was applied, and the code that it came from: records, deployments, earlier rollbacks, and the graph of migrations.

Everything here works on plain data: the records of `django_migrations` and Django's `Migration` objects.
"""

from .deployments import Deployment, RecordedDeployment, deployments, just_after
from .fleets import Fleet, Member, MemberRecord, MemberState, Turn, fleet_line
from .graph import Code, History, Torn, read
from .holds import Hold, held, held_of
from .holds import Source as HoldSource
from .records import MICROSECOND, Cut, Key, Record
from .runs import Backup, Outcome, Position, Run, State, with_applied_again

__all__ = [
    "MICROSECOND",
    "Backup",
    "Code",
    "Cut",
    "Deployment",
    "Fleet",
    "History",
    "Hold",
    "HoldSource",
    "Key",
    "Member",
    "MemberRecord",
    "MemberState",
    "Outcome",
    "Position",
    "Record",
    "RecordedDeployment",
    "Run",
    "State",
    "Torn",
    "Turn",
    "deployments",
    "fleet_line",
    "held",
    "held_of",
    "just_after",
    "read",
    "with_applied_again",
]
