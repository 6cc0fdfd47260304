from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from egret_gateway.ports import descriptors
from egret_gateway.ports.descriptors import OWN, PER_BUS, allow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The limits of this very process, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_thousand_connections_are_allowed_for(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    assert allow(1000) == 0
    assert soft() == OWN + PER_BUS * 1000


def test_a_few_lines_change_nothing(limits: tuple[int, int]) -> None:
    before = limits[0]
    assert allow(4) == 0
    assert soft() == before


def test_what_the_system_refuses_is_told(
    limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hard limit, once lowered, cannot be raised again by everybody: it is only read lower here.
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (256, 512))
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _, pair: told.append(pair))
    told: list[tuple[int, int]] = []
    assert allow(1000) == OWN + PER_BUS * 1000 - 512
    assert told == [(512, 512)]
