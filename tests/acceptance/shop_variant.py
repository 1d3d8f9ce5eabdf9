"""Settings of the example shop, with what the environment changes about it: for ways to fail that need another shop."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES

if "SHOP_INIT_COMMAND" in os.environ:
    DATABASES["default"]["OPTIONS"] = {"init_command": os.environ["SHOP_INIT_COMMAND"]}
if "SHOP_ORDERS_MIGRATIONS" in os.environ:
    MIGRATION_MODULES = {"orders": os.environ["SHOP_ORDERS_MIGRATIONS"]}
