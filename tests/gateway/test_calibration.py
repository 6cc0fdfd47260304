"""A calibration sheet in the site's file: what it may say, and what it is told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rig.sheets import STEINHART, bench, calibrated, channel, logger

from egret_core.entries import meta_entry, read_metas
from egret_core.errors import ConfigError
from egret_core.messages import Batch, ClockStamp
from egret_gateway.bus.rank import Rank, rank_of
from egret_gateway.calibration import _ENDS, _SLOPES
from egret_gateway.convert.derived import DERIVED
from egret_gateway.convert.formulas import FORMULAS

WIRE = """formula = "vw-linear-r1-r0"
quantity = "pore_pressure"
unit = "psi"
g = -0.04
r0 = 8900
k = 0.05
t0 = 20
s0 = 14.7
sheet = "no. 83807, 2026-05-04"
temperature = { item = "thermistor", max_age_s = 600 }
barometer = { channel = "st0007/baro", max_age_s = 1800 }
"""


def piezometer(folder: Path, swap: tuple[str, str] = ("", "")) -> object:
    assert swap[0] in WIRE
    wire = channel("wire", WIRE.replace(*swap) if swap[0] else WIRE, name="pore")
    return bench(
        folder,
        logger(wire, channel("thermistor", STEINHART, name="t"), unit=7),
        logger(channel("baro"), channel("angle"), unit=8),
    )


def test_the_sheet_stands_in_the_meta_as_it_was_written(tmp_path: Path) -> None:
    piezometer(tmp_path)
    config = bench(
        tmp_path,
        logger(channel("wire", WIRE, name="pore"), channel("thermistor", STEINHART, name="t")),
        logger(channel("baro"), unit=8),
    )
    meta = config.channels()[0]
    assert (meta.quantity, meta.unit, meta.formula) == ("pore_pressure", "kPa", "vw-linear-r1-r0")
    assert meta.constants == {"g": -0.04, "r0": 8900.0, "k": 0.05, "t0": 20.0, "s0": 14.7}
    assert meta.extra["calibration"] == {
        "unit": "psi",
        "input_unit": "Hz",
        "sheet": "no. 83807, 2026-05-04",
        "inputs": {
            "temperature": {"channel": "st0007/t", "unit": "degC", "max_age_s": 600.0},
            "barometer": {"channel": "st0007/baro", "unit": "psi", "max_age_s": 1800.0},
        },
    }
    batch = Batch("g", "a" * 32, 1, "meta", "", 0, 0, ClockStamp(), (meta_entry(meta),))
    assert read_metas(batch).channels == [meta], "and comes to the centre whole"


PLACE = "bus[0].device[0].channels.wire.calibration"


@pytest.mark.parametrize(
    ("swap", "key", "remedy"),
    [
        (("vw-linear-r1-r0", "vw-linear-r1r0"), "formula", "did you mean 'vw-linear-r1-r0'"),
        (("vw-linear-r1-r0", "loop-4-20"), "formula", "starts from current, the item is a freq"),
        (("vw-linear-r1-r0", "tipping-bucket"), "formula", "starts from count"),
        (('"pore_pressure"', '"pore_presure"'), "quantity", "did you mean 'pore_pressure'"),
        (('"pore_pressure"', '"rain_total"'), "quantity", "from a counter alone"),
        (('"psi"', '"mm"'), "unit", "cannot measure pore_pressure (try kPa"),
        (('unit = "psi"', ""), "unit", "missing"),
        (('"pore_pressure"\nunit = "psi"', '"displacement"\nunit = "mm"'), "unit", "pressure"),
        (("g = -0.04", ""), "g", "(unit per digit) from the sheet"),
        (("g = -0.04", 'g = "-0.04"'), "g", "without quotes"),
        (("r0 = 8900", "r0 = nan"), "r0", "number"),
        (("k = 0.05", ""), "k", "(unit per degC) from the sheet"),
        (("temperature = ", "tempreature = "), "k", "without temperature"),
        (('temperature = { item = "thermistor", max_age_s = 600 }\n', ""), "k", "without temp"),
        (("r0 = 8900", "r0 = 8900\nR1 = 2"), "R1", "unknown key"),
        (('"thermistor"', '"thermister"'), "temperature.item", "did you mean 'thermistor'"),
        (('item = "thermistor", ', ""), "temperature.item", "or channel ="),
        (("max_age_s = 600", "max_age = 600"), "temperature.max_age_s", "is it 'max_age'"),
        (("max_age_s = 600", "max_age_s = 0"), "temperature.max_age_s", "from 0.05"),
        (("st0007/baro", "st0007/barro"), "barometer", "did you mean 'st0007/baro'"),
        (("max_age_s = 1800", "max_age_s = 59"), "barometer", "comes every 60 s"),
        (("st0007/baro", "st0007/angle"), "barometer", "measures tilt: name a channel"),
        (('sheet = "no', 'sheet = "\\u0007no'), "sheet", "control character"),
    ],
)
def test_bad_sheets_name_key_and_remedy(
    tmp_path: Path, swap: tuple[str, str], key: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        piezometer(tmp_path, swap)
    assert caught.value.key == f"{PLACE}.{key}"
    assert remedy in str(caught.value.remedy)


def test_no_channel_needs_itself(tmp_path: Path) -> None:
    one = "".join(
        line
        for line in WIRE.replace("pore_pressure", "pressure").splitlines(keepends=True)
        if not line.startswith(("temperature", "k =", "t0"))
    )
    around = [
        channel("wire", one.replace("st0007/baro", "st0007/wire_us")),
        channel("wire_us", one.replace("st0007/baro", "st0007/wire")),
    ]
    with pytest.raises(ConfigError, match="cannot need itself") as caught:
        bench(tmp_path, logger(*around))
    assert "st0007/wire needs st0007/wire_us" in str(caught.value)


@pytest.mark.parametrize(
    ("item", "sheet", "key", "remedy"),
    [
        ("tips", 'formula = "linear"\nquantity = "pressure"\nunit = "kPa"\nscale = 1\n',
         "formula", "tipping-bucket"),
        ("tips", 'formula = "tipping-bucket"\nmm_per_tip = 0\n', "mm_per_tip", "from 0.001"),
        ("volts", ('formula = "two-point"\nquantity = "pressure"\nunit = "kPa"\n'
         "x1 = 1\ny1 = 2\nx2 = 1\ny2 = 3\n"), "x2", "no line"),
        ("volts", ('formula = "linear"\nquantity = "pressure"\nunit = "kPa"\ninput_unit = "mA"\n'
         "scale = 1\n"), "input_unit", "cannot measure voltage"),
        ("volts", ('formula = "two-point"\nquantity = "pressure"\nunit = "kPa"\n'
         "x1 = 1\ny1 = 2\nx2 = 3\ny2 = 2\n"), "y2", "never change: write another than y1"),
        ("volts", 'formula = "linear"\nquantity = "pressure"\nunit = "kPa"\nscale = 0\n',
         "scale", "never change: write scale other than 0"),
        ("volts", 'formula = "polynomial"\nquantity = "pressure"\nunit = "kPa"\nc0 = 1\nc1 = 0\n',
         "c1", "c1 or c2"),
        ("loop", 'formula = "loop-4-20"\nquantity = "pressure"\nunit = "kPa"\nlow = 5\nhigh = 5\n',
         "high", "another than low"),
        ("thermistor", 'formula = "steinhart-hart"\na = 1e-3\nb = 0\nc = 0\n', "b", "b or c"),
        ("wire", ('formula = "vw-linear-r1-r0"\nquantity = "displacement"\nunit = "mm"\n'
         "g = 0\nr0 = 8900\n"), "g", "never change"),
        ("wire", ('formula = "vw-polynomial"\nquantity = "displacement"\nunit = "mm"\n'
         "a = 0\nb = 0\nc = 7\n"), "a", "a or b"),
        ("angle", 'formula = "tilt-displacement"\nquantity = "tilt"\nlength_m = 1\n',
         "quantity", "displacement, settlement"),
    ],
)  # fmt: skip
def test_other_bad_sheets(tmp_path: Path, item: str, sheet: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        calibrated(tmp_path, item, sheet)
    assert caught.value.key == f"bus[0].device[0].channels.{item}.calibration.{key}"
    assert remedy in caught.value.remedy


def test_every_law_that_a_sheet_can_make_constant_is_known() -> None:
    sloped = {"tilt-displacement", "tilt-digits", "tipping-bucket"}  # their numbers are bounded
    assert set(_SLOPES) | set(_ENDS) | sloped == set(FORMULAS)
    for formula, names in (*_SLOPES.items(), *_ENDS.items()):
        assert set(names) <= {constant.name for constant in FORMULAS[formula].constants}


def test_a_polynomial_needs_no_line_in_it(tmp_path: Path) -> None:
    sheet = 'formula = "polynomial"\nquantity = "pressure"\nunit = "kPa"\nc0 = 1\nc1 = 0\nc2 = 3\n'
    assert calibrated(tmp_path, "volts", sheet).calibration is not None


def test_a_level_from_a_sheet_needs_its_datum_and_watches_in_its_unit(tmp_path: Path) -> None:
    loop = 'formula = "loop-4-20"\nquantity = "water_level"\nunit = "m"\nlow = 0\nhigh = 10\n'
    with pytest.raises(ConfigError, match="vertical datum"):
        calibrated(tmp_path, "loop", loop)
    more = 'datum = "D"\nwatch_at = { value = 300, unit = "cm", datum = "D" }\n'
    found = calibrated(tmp_path, "loop", loop, more)
    assert (found.watch_at, found.quantity) == (3.0, "water_level")
    with pytest.raises(ConfigError, match="'mA' cannot measure water_level"):
        calibrated(tmp_path, "loop", loop, more.replace('"cm"', '"mA"'))


def test_a_level_behind_an_analogue_module_is_no_diagnosis(tmp_path: Path) -> None:
    """On a full line power and diagnosis are read less often: what counts is what it means."""
    loop = 'formula = "loop-4-20"\nquantity = "water_level"\nunit = "m"\nlow = 0\nhigh = 10\n'
    assert rank_of([calibrated(tmp_path, "loop", loop, 'datum = "D"\n')]) is Rank.WARNING
    assert rank_of([calibrated(tmp_path, "loop", "")]) is Rank.SERVICE


PAGE = Path(__file__).parents[2] / "docs" / "technician" / "calibration.md"


def test_the_page_names_every_formula_with_its_constants() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for formula in (*FORMULAS.values(), *DERIVED.values()):
        assert f"| `{formula.id}` |" in page
        own = [one for one in formula.constants if not getattr(one, "goes_with", "")]
        rows = [row for row in page.splitlines() if row.startswith(f"| `{formula.id}` |")]
        names = [one.name for one in own if not one.name.startswith("c") or len(one.name) == 1]
        assert any(all(f"`{name}`" in row for name in names) for row in rows), formula.id


def test_the_page_s_examples_are_accepted(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    sheet, derived = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    wire = channel("wire", name="pore") + sheet
    segments = [
        logger(
            channel("angle", 'formula = "tilt-displacement"\nquantity = "displacement"\n'
                    "length_m = 0.5", name=f"seg{n}"),
            unit=20 + n,
        )
        for n in (1, 2, 3)
    ]  # fmt: skip
    config = bench(
        tmp_path,
        logger(wire, channel("thermistor", STEINHART, name="t"), unit=7),
        logger(channel("baro"), unit=8),
        *segments,
        derived,
    )
    assert [meta.channel for meta in config.channels()[-2:]] == ["head", "bore-level"]
