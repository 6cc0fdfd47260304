"""What every test shares: properties are tried without a clock, for the machine may be busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from rig import databases
from rig.postgresql import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the run's own; tests that end it start it again."""
    with Cluster() as running:
        yield running


@pytest.fixture(params=databases.BOTH)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have the paths of `rig.databases` stand for each kind of database in turn."""
    wanted = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    yield from databases.use(request.param, wanted)
