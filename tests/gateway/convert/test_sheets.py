"""Every formula, by worked examples that others published or that arithmetic gives."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from rig.sheets import bench, calibrated, channel, logger

from egret_core.quality import Flag, Reason
from egret_gateway.convert import formula_of, to_canonical
from egret_gateway.convert.formula import given_in
from egret_gateway.convert.formulas import FORMULAS
from egret_gateway.convert.inputs import Looked
from egret_gateway.convert.tilt import face_digits

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.convert import Converted


def converted(folder: Path, item: str, sheet: str, raw: float, **inputs: float) -> Converted:
    if inputs:
        beside = channel("thermistor", STEINHART, name="t") + channel("baro", name="p")
        config = bench(folder, logger(channel(item, sheet) + beside))
        settings = config.buses[0].devices[0].channels[0]
    else:
        settings = calibrated(folder, item, sheet)
    return to_canonical(settings, raw, "", looked=Looked(inputs))


STEINHART = """formula = "steinhart-hart"
a = 1.4051e-3
b = 2.369e-4
c = 1.019e-7
"""
PRESSURE = 'quantity = "pore_pressure"\nunit = "kPa"\n'
BOTH = """temperature = { item = "thermistor", max_age_s = 600 }
barometer = { item = "baro", max_age_s = 600 }
"""


def test_a_sheet_s_arithmetic_in_either_sign(tmp_path: Path) -> None:
    """The linear law by hand: 20.000 - 0.400 + 1.000 kPa."""
    constants = "r0 = 8900\nk = 0.05\nt0 = 20\ns0 = 101.3\n"
    for formula, g in (("vw-linear-r1-r0", -0.04), ("vw-linear-r0-r1", 0.04)):
        sheet = f'formula = "{formula}"\ng = {g}\n{PRESSURE}{constants}{BOTH}'
        found = converted(tmp_path, "wire_digits", sheet, 8400.0, temperature=12, barometer=100.3)
        assert found == (20.6, 8400.0, Flag.GOOD, 0, "")
    bare = f'formula = "vw-linear-r1-r0"\ng = -0.04\nr0 = 8900\n{PRESSURE}'
    assert converted(tmp_path, "wire_digits", bare, 8400.0).value == 20.0
    head = bare.replace(PRESSURE, 'quantity = "pore_pressure"\nunit = "mH2O"\n')
    assert converted(tmp_path, "wire_digits", head, 8400.0).value == 196.133
    assert given_in("pore_pressure", 20.6, "mH2O") == pytest.approx(2.1006, abs=5e-5)


@pytest.mark.parametrize(
    ("item", "raw"), [("wire_digits", 8000.0), ("wire", 2828.427), ("wire_us", 353.5534)]
)
def test_digits_hertz_and_microseconds_are_one_reading(
    tmp_path: Path, item: str, raw: float
) -> None:
    sheet = f'formula = "vw-linear-r1-r0"\ng = 1\nr0 = 0\n{PRESSURE}'
    assert converted(tmp_path, item, sheet, raw).value == pytest.approx(8000, abs=0.01)


# The piezometers of a public landslide record: constants of lvl_m.py (USGS, public domain).
SENSOR = {
    1: (-9.5792e-5, -2.3260e-3, 828.53, 0.0380, -0.762, 0.3, 0.1),
    2: (-1.0171e-4, 1.6517e-2, 772.93, 0.0208, -0.414, 0.1, -0.2),
}
ROWS = (
    (1, 2923, 5781, 2056, 10.9635, 3.2911, 0.4572, 2.4132, 0.3461),
    (1, 2917, 5912, 2205, 10.4952, 6.6616, 3.9504, 2.3304, 0.3377),
    (2, 2835, 5694, 2056, 11.0812, 2.2895, 0.7428, 2.6988, 0.0753),
    (2, 2829, 5797, 2205, 10.7057, 5.6470, 4.1541, 2.5341, 0.0585),
)
PSI_KPA = 6.89475729
T_CAL = 20.2


@pytest.mark.parametrize("row", ROWS)
def test_the_piezometers_of_a_public_record(tmp_path: Path, row: tuple[float, ...]) -> None:
    which, f, ohm, raw, celsius, bare_kpa, warm_kpa, both_kpa, level_m = row
    a, b, c, m, offset, deviation, z = SENSOR[int(which)]
    thermistor = calibrated(tmp_path, "thermistor", f"{STEINHART}offset_c = {deviation}\n")
    temperature = to_canonical(thermistor, ohm / 1000, "").value or nan
    assert temperature == pytest.approx(celsius, abs=1e-4)
    pressure_kpa = to_canonical(calibrated(tmp_path, "baro", ""), raw, "").value or nan
    assert pressure_kpa == pytest.approx((raw * 0.24 + 500) * 0.1)

    law = f'formula = "vw-polynomial-hz"\na = {a}\nb = {b}\n{PRESSURE}'
    assert converted(tmp_path, "wire", f"{law}c = {c}\n", f).value == pytest.approx(
        bare_kpa, abs=1e-4
    )
    thermal = f"c = {c + offset * PSI_KPA}\nk = {-m * PSI_KPA}\nt0 = {T_CAL}\n"
    warm = law + thermal + BOTH.splitlines()[0] + "\n"
    found = converted(tmp_path, "wire", warm, f, temperature=temperature)
    assert found.value == pytest.approx(warm_kpa, abs=1e-4)
    whole = law + thermal + BOTH + "s0 = 101.3\n"
    inputs = {"temperature": temperature, "barometer": pressure_kpa}
    found = converted(tmp_path, "wire", whole, f, **inputs)
    assert found.value == pytest.approx(both_kpa, abs=1e-4)
    assert 0.1019977334 * (found.value or nan) + z == pytest.approx(level_m, abs=1e-4)


def test_a_wire_told_in_whole_hertz_has_steps_of_57_mm_of_water(tmp_path: Path) -> None:
    a, b, c, *_ = SENSOR[1]
    sheet = f'formula = "vw-polynomial-hz"\na = {a}\nb = {b}\nc = {c}\n{PRESSURE}'
    low, high = (converted(tmp_path, "wire", sheet, hz).value or nan for hz in (2923, 2922))
    assert high - low == pytest.approx(0.56, abs=5e-3)
    assert 1000 * 0.1019977334 * (high - low) == pytest.approx(57, abs=0.5)
    digits = f'formula = "vw-linear-r1-r0"\ng = 1\nr0 = 0\n{PRESSURE}'
    assert converted(tmp_path, "wire", digits, 2923).value == pytest.approx(8543.929)


def test_the_polynomial_of_a_sheet_is_over_digits(tmp_path: Path) -> None:
    sheet = f'formula = "vw-polynomial"\na = -1e-7\nb = -0.04\nc = 400.0\n{PRESSURE}'
    assert converted(tmp_path, "wire_digits", sheet, 8000.0).value == 400.0 - 320.0 - 6.4


@pytest.mark.parametrize(("item", "raw"), [("wire", 0.0), ("wire_us", 0.0), ("wire", 7000.0)])
def test_a_wire_that_was_not_heard_gives_no_pressure(tmp_path: Path, item: str, raw: float) -> None:
    sheet = f'formula = "vw-linear-r1-r0"\ng = -0.04\nr0 = 8900\n{PRESSURE}'
    assert converted(tmp_path, item, sheet, raw) == (None, raw, Flag.FAIL, Reason.RANGE, "")


@pytest.mark.parametrize(
    ("item", "sheet", "raw", "value"),
    [
        ("volts", 'quantity = "pressure"\nunit = "kPa"\nscale = -0.1\noffset = 100', 977, 2.3),
        (
            "volts",
            (
                'quantity = "soil_moisture"\nunit = "m3/m3"\ninput_unit = "V"\n'
                "scale = 2.975\noffset = -0.4"
            ),
            213,
            23.3675,
        ),
    ],
)
def test_the_other_sensors_of_that_record(
    tmp_path: Path, item: str, sheet: str, raw: float, value: float
) -> None:
    found = converted(tmp_path, item, f'formula = "linear"\n{sheet}\n', raw)
    assert found.value == pytest.approx(value, abs=1e-9)


def test_its_barometer(tmp_path: Path) -> None:
    assert to_canonical(calibrated(tmp_path, "baro", ""), 2056, "").value == 99.344


def test_two_points_and_powers(tmp_path: Path) -> None:
    two = 'formula = "two-point"\nquantity = "water_depth"\nunit = "cm"\n'
    two += "x1 = 500\ny1 = 20\nx2 = 1500\ny2 = 220\n"
    assert [converted(tmp_path, "volts", two, raw).value for raw in (500, 1000, 0)] == [
        0.2, 1.2, -0.8
    ]  # fmt: skip
    power = 'formula = "polynomial"\nquantity = "soil_moisture"\nunit = "%"\ninput_unit = "V"\n'
    power += "c0 = 1\nc1 = 2\nc2 = 3\nc5 = 4\n"
    assert converted(tmp_path, "volts", power, 2000).value == 1 + 4 + 12 + 128


LOOP = 'formula = "loop-4-20"\nquantity = "water_depth"\nunit = "m"\nlow = 0\nhigh = 10\n'
FAULT = (None, Flag.FAIL, Reason.SENSOR_FAULT)
DRIVEN = (Flag.SUSPECT, Reason.RANGE)


@pytest.mark.parametrize(
    ("microamps", "value", "flag", "reasons"),
    [
        (4000, 0.0, 1, 0),
        (12000, 5.0, 1, 0),
        (20000, 10.0, 1, 0),
        (3800, -0.125, 1, 0),
        (20500, 10.3125, 1, 0),
        (3799, -0.125625, *DRIVEN),
        (20501, 10.313125, *DRIVEN),
        (3600, -0.25, *DRIVEN),
        (21000, 10.625, *DRIVEN),
        (3599, *FAULT),
        (21001, *FAULT),
        (0, *FAULT),
        (65535, *FAULT),
    ],
)
def test_a_broken_loop_is_never_a_level(
    tmp_path: Path, microamps: int, value: float | None, flag: int, reasons: int
) -> None:
    assert converted(tmp_path, "loop", LOOP, microamps) == (value, microamps, flag, reasons, "")


def test_a_loop_may_run_backwards_and_stand_on_a_datum(tmp_path: Path) -> None:
    """A radar looks down: 20 mA at the sensor's foot."""
    sheet = 'formula = "loop-4-20"\nquantity = "water_level"\nunit = "m"\nlow = 8\nhigh = 0\n'
    found = calibrated(tmp_path, "loop", sheet, 'datum = "Luoling"\ndatum_offset_m = 100\n')
    assert to_canonical(found, 8000, "").value == 106.0
    formula, constants = formula_of(found)
    assert (formula, constants["datum_offset_m"], constants["item_scale"]) == (
        "loop-4-20", 100.0, 0.001
    )  # fmt: skip


@pytest.mark.parametrize("ohm", [0.0, -5.0, 1.0, 1e9, 3.0e38])
def test_an_open_or_shorted_thermistor_is_no_temperature(tmp_path: Path, ohm: float) -> None:
    found = converted(tmp_path, "thermistor", STEINHART, ohm / 1000)
    assert (found.value, found.flag, found.reasons) == (None, Flag.FAIL, Reason.RANGE)


TILT = 'formula = "tilt-displacement"\nquantity = "displacement"\n'


def test_tilt_is_a_difference_of_sines(tmp_path: Path) -> None:
    assert converted(tmp_path, "angle", f"{TILT}length_m = 0.5\n", 30.0).value == 250.0
    found = converted(tmp_path, "angle", f"{TILT}length_m = 2\nzero_deg = 10\n", 40.0)
    assert found.value == pytest.approx(2000 * (0.6427876097 - 0.1736481777), abs=1e-6)
    over = converted(tmp_path, "angle", f"{TILT}length_m = 2\n", 90.5)
    assert (over.value, over.flag, over.reasons) == (None, Flag.FAIL, Reason.RANGE)


def test_probe_digits_are_millimetres_of_the_segment(tmp_path: Path) -> None:
    """I = +100/-100 and P = +300/-300 over 0.5 m are 5.000 mm; 30 degrees are 250 mm."""
    change = face_digits((300, -300), (100, -100))
    assert change == 200
    sheet = 'formula = "tilt-digits"\nquantity = "displacement"\nlength_m = 0.5\n'
    assert converted(tmp_path, "sensed", sheet, change).value == 5.0
    assert converted(tmp_path, "sensed", sheet, 10000).value == 250.0
    assert converted(tmp_path, "sensed", f"{sheet}zero_digits = 100\n", 300).value == 5.0


def test_the_probe_s_own_offset_falls_out_of_the_two_faces() -> None:
    assert face_digits((307, -293), (107, -93)) == face_digits((300, -300), (100, -100))


@pytest.mark.parametrize("raw", [nan, inf, -inf, 1e308, -1e308, 5e-324])
@pytest.mark.parametrize("formula", FORMULAS)
def test_no_number_a_device_can_send_raises(tmp_path: Path, formula: str, raw: float) -> None:
    law = FORMULAS[formula]
    if law.counts:
        return
    item = {"frequency": "wire", "resistance": "thermistor", "current": "loop", "tilt": "angle",
            "state": "sensed", "": "volts"}[law.takes[0] if law.takes else ""]  # fmt: skip
    sheet = f'formula = "{formula}"\n'
    if len(law.gives) != 1:
        sheet += f'quantity = "{"displacement" if law.gives else "pressure"}"\n'
    sheet += "" if law.unit else 'unit = "kPa"\n'
    wanted = [one for one in law.constants if not one.goes_with and one.default is None]
    sheet += "".join(f"{one.name} = {number + 1}\n" for number, one in enumerate(wanted))
    found = converted(tmp_path, item, sheet, raw)
    assert found.value is None or abs(found.value) < inf
    assert found.value is not None or found.flag == Flag.FAIL


def test_a_bucket_s_tips_are_millimetres_by_the_site_s_word(tmp_path: Path) -> None:
    settings = calibrated(tmp_path, "tips", 'formula = "tipping-bucket"\nmm_per_tip = 0.2\n')
    first = to_canonical(settings, 65530, "")
    assert first.value == pytest.approx(13106.0)
    second = to_canonical(settings, 4, first.memory, 60.0)
    assert ((second.value or 0) - 13106.0, second.flag, second.raw) == (2.0, Flag.GOOD, 4.0)
    assert formula_of(settings) == (
        "tipping-bucket", {"mm_per_tip": 0.2, "min_tip_s": 0.0, "bits": 16.0}
    )  # fmt: skip
    assert settings.quantity == "rain_total"


def test_tips_closer_than_a_bucket_can_tip_are_bounce(tmp_path: Path) -> None:
    sheet = 'formula = "tipping-bucket"\nmm_per_tip = 0.2\nmin_tip_s = 0.5\n'
    settings = calibrated(tmp_path, "tips", sheet)
    memory = to_canonical(settings, 100, "").memory
    just = to_canonical(settings, 121, memory, 10.0)
    assert (just.value, just.flag, just.reasons) == (pytest.approx(24.2), Flag.GOOD, 0)
    over = to_canonical(settings, 150, memory, 10.0)
    assert (over.value, over.flag, over.reasons) == (
        pytest.approx(24.2), Flag.SUSPECT, Reason.BOUNCE
    )  # fmt: skip
    unknown = to_canonical(settings, 150, memory, None)
    assert (unknown.value, unknown.flag) == (pytest.approx(30.0), Flag.GOOD)
    after = to_canonical(settings, 151, over.memory, 10.0)
    assert (after.value, after.reasons) == (pytest.approx(24.4), 0), "counted from the new count"


def test_a_count_without_a_sheet_is_a_total_of_counts(tmp_path: Path) -> None:
    settings = calibrated(tmp_path, "tips", "")
    found = to_canonical(settings, 900, to_canonical(settings, 5, "").memory, 1.0)
    assert (found.value, found.flag) == (900.0, Flag.GOOD), "no rain: the sky has no say"
    assert formula_of(settings) == ("counter", {"scale": 1.0, "offset": 0.0, "bits": 16.0})
