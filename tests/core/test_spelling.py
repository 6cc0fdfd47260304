from __future__ import annotations

import pytest

from egret_core.spelling import meant
from egret_core.units import UnitError, canonical, factor


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("buad", ("baud", "port"), " (did you mean 'baud'?)"),
        ("KPA", ("Pa", "kPa", "hPa"), " (did you mean 'kPa'?)"),
        ("stationn", ("station",), " (did you mean 'station'?)"),
        ("xyz", ("baud", "port"), ""),
        ("", ("baud",), ""),
        ("baud", (), ""),
    ],
)
def test_the_nearest_word(word: str, known: tuple[str, ...], expected: str) -> None:
    assert meant(word, known) == expected


def test_the_lead_is_the_caller_s() -> None:
    assert meant("datun", ["datum"], "is it ") == " (is it 'datum'?)"


def test_units_and_quantities_guess_too() -> None:
    with pytest.raises(UnitError, match=r"unknown unit 'mh20' \(did you mean 'mH2O'\?\)"):
        factor("pressure", "mh20")
    with pytest.raises(UnitError, match=r"'preasure' \(did you mean 'pressure'\?\)"):
        canonical("preasure")
    with pytest.raises(UnitError, match=r"'psi' cannot measure water_level \(try m, cm"):
        factor("water_level", "psi")
