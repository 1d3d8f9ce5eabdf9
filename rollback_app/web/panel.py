"""The page as a panel of dj-control-room, which finds it by its entry point (https://pypi.org/project/dj-control-room-base/).

It asks only for these names, so that nothing is imported from it.
"""

from __future__ import annotations


class Panel:
    name = "Rollbacks"
    description = "Deployments, rollbacks of migrations, kept data, and the plan of each rollback. It only looks."
    icon = "database"
    app_name = "rollback_app"

    def get_url_name(self) -> str:
        return "overview"

    def get_config(self) -> None:
        """It has no settings and no tools there."""
