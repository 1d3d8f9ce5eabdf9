"""A project with tenants, in an empty database or after two deployments of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings

from tests.tenants.project import NAMES, Tenants, make_database


@pytest.fixture(scope="session")
def filled() -> Callable[[str], str]:
    """The database of a kind, with a few customers: made when it is first asked for, and not to be changed."""
    made: dict[str, str] = {}

    def find(kind: str) -> str:
        if kind not in made:
            name = f"rollback_tests_{kind}_{settings.SUFFIX}"
            make_database(name)
            Tenants(kind, name).fill(*NAMES[kind])
            made[kind] = name
        return made[kind]

    return find


@pytest.fixture
def tenants(request: pytest.FixtureRequest, filled: Callable[[str], str]) -> Tenants:
    """The project after both deployments, on django-tenants, or on each kind that `indirect` names."""
    kind = getattr(request, "param", "django_tenants")
    name = f"rollback_tests_tenants_{settings.SUFFIX}"
    make_database(name, filled(kind))
    return Tenants(kind, name)
