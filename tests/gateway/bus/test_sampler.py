"""What a bus remembers of its channels from one value to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.line import Turn
from egret_gateway.bus.sampler import Sampler
from egret_gateway.profiles import ChannelSettings, Item, Register

if TYPE_CHECKING:
    from egret_gateway.sample import Sample

LEVEL = ChannelSettings(
    "st", "wl", Item("level", Register(3, 0, "f32"), "water_level", "m"), "D", watch_at=3.0
)


class Site:
    """A channel that is read once a minute, and a technician who may be at work."""

    def __init__(self, channel: ChannelSettings) -> None:
        self.working = False
        self._now_s = 1000.0
        self._turn = Turn("7", (channel,), 60.0)
        self._sampler = Sampler(REAL, {}, lambda: self.working)

    def read(self, raw: float) -> Sample:
        self._now_s += 60
        (sample,) = self._sampler.values(self._turn, [raw], self._now_s).samples
        return sample


@pytest.mark.parametrize("before", [2.0, 3.5])
@pytest.mark.parametrize("during", [2.0, 3.5])
def test_what_is_over_the_watch_after_work_travels_at_once(before: float, during: float) -> None:
    site = Site(LEVEL)
    assert site.read(before).urgent == (before > 3)
    site.working = True
    for _ in range(3):
        sample = site.read(during)
        assert not sample.urgent
        assert sample.reasons & Reason.MAINTENANCE
    site.working = False
    assert site.read(3.5).urgent
    assert not site.read(3.6).urgent, "once"
    assert not site.read(2.0).urgent
    assert site.read(3.5).urgent
