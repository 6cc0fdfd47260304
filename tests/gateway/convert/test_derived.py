"""Channels that no device has: inclinometer sums, turned axes, heads, differences."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import pytest
from rig.sheets import bench, channel, logger

from egret_core.entries import meta_entry, read_metas
from egret_core.errors import ConfigError
from egret_core.messages import Batch, ClockStamp
from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.line import Turn
from egret_gateway.bus.sampler import Sampler
from egret_gateway.convert.derived import DERIVED, DerivedSettings, derive
from egret_gateway.convert.formula import Input
from egret_gateway.convert.inputs import Looked

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.config import GatewayConfig
    from egret_gateway.sample import Sample

SEGMENT = """formula = "tilt-displacement"
quantity = "displacement"
length_m = 0.5
"""
SUM = """
[[derived]]
station = "st0007"
channel = "head"
formula = "sum"
of = ["st0007/seg1", "st0007/seg2", "st0007/seg3"]
max_age_s = 120
watch_at = { value = 40, unit = "cm" }
range = { min = -50, max = 50, unit = "cm" }
"""


def borehole(folder: Path, more: str = SUM) -> GatewayConfig:
    devices = [
        logger(channel("angle", SEGMENT, name=f"seg{n}"), unit=n, period_s=40 * n)
        for n in (1, 2, 3)
    ]
    return bench(folder, *devices, more)


class Casing:
    """The segments of a borehole, read one by one."""

    def __init__(self, config: GatewayConfig) -> None:
        self.devices = config.buses[0].devices
        self.sampler = Sampler(REAL, {}, lambda: False, Latest(REAL, config.derived))

    def read(self, number: int, angle: float, at_s: float) -> list[Sample]:
        """Return what reading a segment gives beside its own sample."""
        turn = Turn(str(number), self.devices[number - 1].channels, 60)
        return self.sampler.values(turn, [angle], at_s).samples[1:]

    def miss(self, number: int, at_s: float) -> list[Sample]:
        channels = self.devices[number - 1].channels
        return self.sampler.missing(channels, Reason.TIMEOUT, at_s).samples[1:]


def test_segments_add_up_once_all_have_spoken(tmp_path: Path) -> None:
    casing = Casing(borehole(tmp_path))
    assert casing.read(1, 30.0, 10) == []
    assert casing.read(2, -30.0, 11) == []
    assert casing.read(1, 30.0, 12) == []
    (head,) = casing.read(3, 30.0, 13)
    assert (head.channel, head.value, head.mono_ms) == ("head", 250.0, 13_000)
    assert (head.flag, head.reasons, head.raw, head.urgent) == (Flag.GOOD, 0, None, False)
    assert casing.read(3, 30.0, 14) == [], "each of them once more"


def test_a_watched_sum_travels_at_once(tmp_path: Path) -> None:
    casing = Casing(borehole(tmp_path))
    casing.read(1, 30.0, 10)
    casing.read(2, 30.0, 10)
    (head,) = casing.read(3, 0.0, 10)
    assert (head.value, head.urgent, head.flag) == (500.0, True, Flag.GOOD)
    casing.read(1, 31.0, 20)
    casing.read(2, 30.0, 20)
    (head,) = casing.read(3, 0.0, 20)
    assert (head.urgent, head.flag, head.reasons) == (False, Flag.SUSPECT, Reason.RANGE)


def test_a_silent_segment_makes_the_sum_old_then_void(tmp_path: Path) -> None:
    casing = Casing(borehole(tmp_path))
    for number in (1, 2, 3):
        found = casing.read(number, 30.0, 10)
    assert found[0].value == 750.0
    casing.read(1, 30.0, 131)
    casing.miss(2, 131)
    (head,) = casing.read(3, 30.0, 131)
    assert (head.value, head.flag) == (750.0, Flag.SUSPECT)
    assert head.reasons == Reason.INPUT | Reason.STALE | Reason.RANGE
    casing.read(1, 30.0, 1300)
    casing.read(3, 30.0, 1300)
    (head,) = casing.miss(2, 1300)
    assert (head.value, head.flag) == (None, Flag.FAIL)
    assert head.reasons == Reason.INPUT | Reason.GAP, "a part of a sum is no sum"


def test_a_segment_that_never_spoke_leaves_the_sum_void(tmp_path: Path) -> None:
    casing = Casing(borehole(tmp_path))
    casing.miss(1, 10)
    casing.read(2, 1.0, 10)
    (head,) = casing.read(3, 1.0, 10)
    assert (head.value, head.flag, head.reasons) == (None, Flag.FAIL, Reason.INPUT)


AXES = """
[[derived]]
station = "st0007"
channel = "{name}"
formula = "{formula}"
angle_deg = {angle}
of = ["st0007/seg1", "st0007/seg2"]
max_age_s = 120
"""
HEAD = """
[[derived]]
station = "st0007"
channel = "level"
formula = "linear"
of = ["st0007/baro"]
max_age_s = 60
quantity = "water_level"
unit = "m"
input_unit = "hPa"
scale = 0.01019977334
offset = 0.1
datum = "casing"
"""


def test_axes_are_turned_to_the_slope(tmp_path: Path) -> None:
    more = AXES.format(name="a", formula="rotated-a", angle=30)
    more += AXES.format(name="b", formula="rotated-b", angle=30)
    casing = Casing(borehole(tmp_path, more))
    casing.read(1, 30.0, 10)
    one, two = casing.read(2, -30.0, 10)
    assert one.value == pytest.approx(250 * 0.8660254038 + 250 * 0.5)
    assert two.value == pytest.approx(250 * 0.5 - 250 * 0.8660254038)


def test_a_pressure_becomes_a_head_over_a_datum(tmp_path: Path) -> None:
    config = bench(tmp_path, logger(channel("baro")), HEAD)
    sampler = Sampler(REAL, {}, lambda: False, Latest(REAL, config.derived))
    turn = Turn("7", config.buses[0].devices[0].channels, 60)
    _, level = sampler.values(turn, [2056.0], 10).samples
    assert level.value == pytest.approx(993.44 * 0.01019977334 + 0.1)
    meta = config.channels()[-1]
    assert (meta.quantity, meta.unit, meta.datum) == ("water_level", "m", "casing")


def test_derived_of_derived_follow_in_one_go(tmp_path: Path) -> None:
    more = (
        SUM
        + """
[[derived]]
station = "st0007"
channel = "bend"
formula = "difference"
of = ["st0007/head", "st0007/seg1"]
max_age_s = 120
"""
    )
    casing = Casing(borehole(tmp_path, more))
    casing.read(1, 30.0, 10)
    casing.read(2, 30.0, 10)
    head, bend = casing.read(3, 30.0, 10)
    assert (head.value, bend.channel, bend.value) == (750.0, "bend", 500.0)


def test_the_meta_says_what_it_is_made_of_and_the_centre_reads_it(tmp_path: Path) -> None:
    meta = borehole(tmp_path).channels()[-1]
    assert (meta.quantity, meta.unit, meta.formula) == ("displacement", "mm", "sum")
    assert (meta.period_s, meta.watch_at) == (120.0, 400.0), "it comes with the slowest"
    assert meta.extra["of"] == ["st0007/seg1", "st0007/seg2", "st0007/seg3"]
    batch = Batch("g", "a" * 32, 1, "meta", "", 0, 0, ClockStamp(), (meta_entry(meta),))
    read = read_metas(batch)
    assert read.bad == []
    assert read.channels[0].extra["range"] == [-500.0, 500.0]


@pytest.mark.parametrize(
    ("swap", "key", "remedy"),
    [
        (('"sum"', '"summ"'), "formula", "did you mean 'sum'"),
        (("st0007/seg3", "st0007/seg9"), "of", "did you mean 'st0007/seg"),
        (("max_age_s = 120", "max_age_s = 100"), "max_age_s", "comes every 120 s"),
        (("st0007/seg3", "st0007/seg1"), "of", "each channel once"),
        (('["st0007/seg1", "st0007/seg2", "st0007/seg3"]', "[]"), "of", "1 to 64"),
        (('"head"', '"seg1"'), "channel", "there already"),
        (("max_age_s = 120", ""), "max_age_s", "missing"),
        (("max_age_s = 120", "max_age_s = 0"), "max_age_s", "from 0.05"),
        (("watch_at", "datum = 'x'\nwatch_at"), "datum", "has no vertical datum"),
        (("watch_at", "scale = 2\nwatch_at"), "scale", "unknown key"),
        (('unit = "cm" }\nrange', 'unit = "kPa" }\nrange'), "watch_at.unit", "cannot measure"),
    ],
)
def test_bad_settings_name_key_and_remedy(
    tmp_path: Path, swap: tuple[str, str], key: str, remedy: str
) -> None:
    assert swap[0] in SUM
    with pytest.raises(ConfigError) as caught:
        borehole(tmp_path, SUM.replace(*swap))
    assert caught.value.key == f"derived[0].{key}"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("swap", "key", "remedy"),
    [
        (('unit = "m"', 'unit = "kPa"'), "unit", "cannot measure water_level"),
        (('"hPa"', '"mm"'), "input_unit", "cannot measure pressure"),
        (("scale = 0.01019977334", ""), "scale", "unit per input_unit"),
        (("scale = 0.01019977334", "scale = 0"), "scale", "would never change"),
        (('"water_level"', '"rain_total"'), "quantity", "from a counter alone"),
        (('"water_level"', '"count"'), "quantity", "from a counter alone"),
        (('datum = "casing"', ""), "datum", "vertical datum"),
    ],
)
def test_bad_heads(tmp_path: Path, swap: tuple[str, str], key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bench(tmp_path, logger(channel("baro")), HEAD.replace(*swap))
    assert caught.value.key == f"derived[0].{key}"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("formula", sorted(DERIVED))
def test_no_law_ends_on_numbers_that_are_finite(formula: str) -> None:
    law = DERIVED[formula]
    of = tuple(Input(str(n), f"st/{n}", "pressure", "kPa") for n in range(law.least))
    of = (
        of
        if law.most == law.least
        else tuple(Input(str(n), f"st/{n}", "pressure", "kPa") for n in range(3))
    )
    numbers = {one.name: min(1e12, one.high) for one in law.constants}
    made = DerivedSettings("st", "x", "pressure", "kPa", law, numbers, of, 60.0)
    found = derive(made, Looked({one.name: 1.7e308 * (-1) ** n for n, one in enumerate(of)}))
    assert found.value is None or isfinite(found.value)
    huge = derive(made, Looked({one.name: 1.7e308 for one in of}))
    assert huge.value is None or isfinite(huge.value)
    if formula in ("sum", "linear"):
        assert (huge.flag, huge.reasons) == (Flag.FAIL, Reason.NOT_A_NUMBER)
