"""Two weeks of a public landslide record, from raw logger numbers to levels over a datum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.sheets import bench, channel, logger

from egret_core.quality import Flag
from egret_core.timescale import REAL
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.line import Turn
from egret_gateway.bus.sampler import Sampler

if TYPE_CHECKING:
    from egret_gateway.sample import Sample

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "piezometer_mukilteo"
PSI_KPA = 6.89475729

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data/piezometer_mukilteo")

WIRE = """formula = "vw-polynomial-hz"
quantity = "pore_pressure"
unit = "kPa"
a = {a}
b = {b}
c = {c}
k = {k}
t0 = 20.2
s0 = 101.3
temperature = {{ item = "thermistor", max_age_s = 900 }}
barometer = {{ channel = "st0007/baro", max_age_s = 900 }}
"""
THERMISTOR = """formula = "steinhart-hart"
a = 1.4051e-3
b = 2.369e-4
c = 1.019e-7
offset_c = {offset_c}
"""
LEVEL = """
[[derived]]
station = "st0007"
channel = "level"
formula = "linear"
of = ["st0007/wire"]
max_age_s = 900
quantity = "water_level"
unit = "m"
scale = 0.1019977334
offset = {z}
datum = "ground"
"""


def rows(name: str) -> list[list[float]]:
    lines = (DATA / name).read_text().splitlines()
    return [[0.0, *map(float, line.split("\t")[1:])] for line in lines]


def levels(folder: Path, sheet: dict[str, float], columns: tuple[int, int]) -> list[Sample]:
    """Return the derived levels of one sensor, by the site's file and nothing else."""
    config = bench(
        folder,
        logger(
            channel("wire", WIRE.format(**sheet)),
            channel("thermistor", THERMISTOR.format(**sheet)),
            period_s=900,
        ),
        logger(channel("baro"), unit=8, period_s=900),
        LEVEL.format(**sheet),
    )
    sampler = Sampler(REAL, {}, lambda: False, Latest(REAL, config.derived))
    slope, air = (Turn(str(d.unit), d.channels, 900) for d in config.buses[0].devices)
    found = []
    for number, (own, far) in enumerate(
        zip(rows("waMVD116_14d.txt"), rows("waWatertonA_14d.txt"), strict=True)
    ):
        sampler.values(air, [far[5]], number * 900.0)
        raws = [own[columns[0]], own[columns[1]] / 1000]
        found += sampler.values(slope, raws, number * 900.0).samples[2:]
    return found


@pytest.mark.parametrize(
    ("sheet", "columns", "expected"),
    [
        (
            {"a": -9.5792e-5, "b": -2.3260e-3, "c": 828.53 - 0.762 * PSI_KPA,
             "k": -0.0380 * PSI_KPA, "offset_c": 0.3, "z": 0.1},
            (17, 18), (0.3461, 0.3377, 0.3175, 0.5278),
        ),
        (
            {"a": -1.0171e-4, "b": 1.6517e-2, "c": 772.93 - 0.414 * PSI_KPA,
             "k": -0.0208 * PSI_KPA, "offset_c": 0.1, "z": -0.2},
            (19, 20), (0.0753, 0.0585, 0.0111, 0.1239),
        ),
    ],
    ids=["no. 83807", "no. 83808"],
)  # fmt: skip
def test_the_whole_file(
    tmp_path: Path,
    sheet: dict[str, float],
    columns: tuple[int, int],
    expected: tuple[float, float, float, float],
) -> None:
    found = levels(tmp_path, sheet, columns)
    values = [sample.value or 0.0 for sample in found]
    assert len(values) == 1344
    assert all(sample.flag == Flag.GOOD and sample.channel == "level" for sample in found)
    ends = (values[0], values[-1], min(values), max(values))
    assert ends == tuple(pytest.approx(level, abs=5e-5) for level in expected)
