from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleets.files import Fleet


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without members, made once."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet") / "project")
    fleet.at(1)
    fleet.at(2)
    return fleet.folder


@pytest.fixture
def fleet(made: Path, tmp_path: Path) -> Fleet:
    return Fleet.copied(made, tmp_path / "project")
