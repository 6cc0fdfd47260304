"""What a bus remembers of its channels from one value to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.line import Turn
from egret_gateway.bus.sampler import Sampler
from egret_gateway.profiles import ChannelSettings, Counter, Item, Register

if TYPE_CHECKING:
    from egret_gateway.sample import Sample

LEVEL = ChannelSettings(
    "st", "wl", Item("level", Register(3, 0, "f32"), "water_level", "m"), "D", watch_at=3.0
)

BUCKET = ChannelSettings(
    "st",
    "rn",
    Item("rain", Register(4, 8, "u16"), "rain_total", "mm", 0.2, counter=Counter(16, 1000)),
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


def test_a_total_carries_what_was_poured_up_to_its_first_value_after_the_work() -> None:
    site = Site(BUCKET)
    samples = [site.read(100)]
    site.working = True
    samples += [site.read(100), site.read(150)]
    site.working = False
    samples += [site.read(200), site.read(201)]
    poured = [bool(sample.reasons & Reason.MAINTENANCE) for sample in samples]
    assert poured == [False, True, True, True, False], "half of it came after the last read"
    assert [sample.raw for sample in samples] == [100, 100, 150, 200, 201]


def test_no_value_after_the_work_leaves_the_next_one_marked() -> None:
    site = Site(BUCKET)
    site.working = True
    site.read(100)
    site.working = False
    for raw in (-1.0, 200):
        assert site.read(raw).reasons & Reason.MAINTENANCE
    assert not site.read(200).reasons


def test_a_level_is_itself_again_at_once() -> None:
    site = Site(LEVEL)
    site.working = True
    site.read(1.0)
    site.working = False
    assert not site.read(1.0).reasons
