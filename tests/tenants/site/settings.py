"""A shop with a schema for each customer, kept apart by django-tenants or by django-pgschemas (TENANTS).

`customers` is of all, in the schema `public`; `shop` is of each customer; `notes` is of both, so that there is a table of
the same name in `public` and in each customer's schema.
"""

from __future__ import annotations

import json
import os
from urllib.parse import unquote, urlsplit

KIND = os.environ["TENANTS"]
_SERVER = urlsplit(os.environ["TEST_POSTGRES_URL"])
DATABASES = {
    "default": {
        "ENGINE": {
            "django_tenants": "django_tenants.postgresql_backend",
            "django_pgschemas": "django_pgschemas.postgresql",
        }[KIND],
        "NAME": os.environ["TENANTS_DATABASE"],
        "USER": unquote(_SERVER.username or ""),
        "PASSWORD": unquote(_SERVER.password or ""),
        "HOST": _SERVER.hostname,
        "PORT": _SERVER.port or "",
    }
}
SHARED_APPS = [KIND, "django.contrib.contenttypes", "rollback_app", "customers", "notes"]
if os.environ.get("TENANTS_TASKS") == "1":
    SHARED_APPS += ["django_tasks_db", "django.contrib.sessions"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
TENANT_APPS = ["django.contrib.contenttypes", "shop", "notes"]
INSTALLED_APPS = list(dict.fromkeys([*SHARED_APPS, *TENANT_APPS]))
TENANT_MODEL = "customers.Client"
if KIND == "django_tenants":
    TENANT_DOMAIN_MODEL = "customers.Domain"
    DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
    HAS_MULTI_TYPE_TENANTS, MULTI_TYPE_DATABASE_FIELD = os.environ.get("TENANTS_OF_TYPES") == "1", "name"
    TENANT_TYPES = {
        "public": {"APPS": SHARED_APPS, "URLCONF": "urls"},
        "Alpha": {"APPS": TENANT_APPS, "URLCONF": "urls"},
        "Beta": {"APPS": ["django.contrib.contenttypes", "notes"], "URLCONF": "urls"},
        "Tenant A": {"APPS": TENANT_APPS, "URLCONF": "urls"},
    }
else:
    TENANTS = {
        "public": {"APPS": SHARED_APPS},
        "default": {"TENANT_MODEL": TENANT_MODEL, "APPS": TENANT_APPS, "URLCONF": "urls"},
    }
    DATABASE_ROUTERS = ["django_pgschemas.routers.TenantAppsRouter"]
    SILENCED_SYSTEM_CHECKS = ["pgschemas.W001", "pgschemas.W002", "pgschemas.W003"]
# The search path is set when the schema changes, and not for each cursor.
TENANT_LIMIT_SET_CALLS = PGSCHEMAS_LIMIT_SET_CALLS = os.environ.get("TENANTS_LIMIT") == "1"
ROLLBACK = json.loads(os.environ.get("TENANTS_ROLLBACK", "{}"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "not a secret"
USE_TZ = True
TIME_ZONE = "UTC"
