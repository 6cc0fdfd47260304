"""A channel belongs to a gateway or to a feed, and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.api_centre import FED, STATIONS, catalogue_folder

from egret_aggregator.catalogue import load
from egret_core.errors import ConfigError
from egret_core.sources import is_gateway
from egret_core.topics import is_id

if TYPE_CHECKING:
    from pathlib import Path


def test_a_feed_owns_its_channels_under_a_name_no_gateway_can_have(tmp_path: Path) -> None:
    places = load(catalogue_folder(tmp_path / "c", STATIONS + FED))
    assert places.owner("st0009", "wl") == "feed:feeder1"
    assert not is_id(places.owner("st0009", "wl"))
    owners = {place.gateway for place in places.places()}
    assert {owner for owner in owners if is_gateway(owner)} == {"XM-TA-0042", "XM-TA-0043"}


@pytest.mark.parametrize(
    ("feed", "remedy"),
    [
        ('"a b"', "token"),
        ("7", "token"),
        ('""', "token"),
        ('"x"\ngateway = "gw1"', "one of them"),
    ],
)
def test_a_feed_that_is_none_is_refused(tmp_path: Path, feed: str, remedy: str) -> None:
    stations = STATIONS + FED.replace('"feeder1"', feed, 1)
    with pytest.raises(ConfigError, match=remedy) as caught:
        load(catalogue_folder(tmp_path / "c", stations))
    assert caught.value.key == "station[2].channel[0].feed"
