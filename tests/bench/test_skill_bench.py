"""`./dev bench skill`, part rain: its scorer gives the published table, its figures have names."""

# ruff: noqa: E402  (the bench is found first)
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig import kpae
from rig.kpae import ABSENT, DATA, MM_PER_IN

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import _skill_rain

from egret_core.rules.soil_water import euler

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=ABSENT)

Row = kpae.Expected

# Hits of 11, episodes, false ones, alarm days, false days, CSI, TSS; as published.
TABLE = {
    "p3p15": (4, 3, 1, 30, 22, 0.12, 0.32),
    "godt": (1, 1, 0, 1, 0, 0.09, 0.09),
    "awi": (7, 7, 4, 31, 18, 0.24, 0.60),
    "caine": (0, 0, 0, 0, 0, 0.0, 0.0),
    "guzzetti": (9, 28, 24, 66, 48, 0.15, 0.72),
    "swi_40": (6, 4, 1, 15, 5, 0.38, 0.54),
    "swi_50": (4, 3, 1, 9, 2, 0.31, 0.36),
    "swi_60": (2, 2, 0, 4, 0, 0.18, 0.18),
}


def over(
    a_mm_h: float, b: float, durations: tuple[float, float] = (1, 1e9)
) -> Callable[[Row], bool]:
    def reached(row: Row) -> bool:
        if not durations[0] <= row.duration_h <= durations[1]:
            return False
        return row.intensity_in_h * MM_PER_IN >= a_mm_h * row.duration_h**-b

    return reached


def line(row: Row) -> bool:
    defined = row.ante360h_in != kpae.UNDEFINED
    return defined and row.recent72h_in >= 3.5 - 0.67 * row.ante360h_in


PRINTED: dict[str, Callable[[Row], bool]] = {
    "p3p15": line,
    "godt": over(82.73, 1.13, (20, 55)),
    "awi": lambda row: row.awi_m >= 0.02,
    "caine": over(14.82, 0.39),
    "guzzetti": over(2.20, 0.44),
}


def days_of(name: str) -> list[int]:
    """The alarm days of one row of the table, from the printed file or the index by the hour."""
    hours = kpae.hourly()
    if name in PRINTED:
        reached = PRINTED[name]
        pairs = zip(hours, kpae.expected(), strict=True)
        return sorted({kpae.day_of(hour.time_ms) for hour, row in pairs if reached(row)})
    tanks, days, level = (0.0, 0.0, 0.0), set(), float(name.removeprefix("swi_"))
    for hour in hours:
        tanks = euler(tanks, hour.hundredths * 0.254, 1.0)
        if sum(tanks) >= level:
            days.add(kpae.day_of(hour.time_ms))
    return sorted(days)


@pytest.mark.parametrize("name", TABLE)
def test_the_scorer_gives_the_published_table(name: str) -> None:
    found = _skill_rain.scores(days_of(name))
    hits, episodes, false, alarm_days, false_days, csi, tss = TABLE[name]
    assert found["pod"] == pytest.approx(hits / 11)
    assert (found["episodes"], found["false_episodes"]) == (episodes, false)
    assert found["far"] == (pytest.approx(false / episodes) if episodes else None)
    assert (found["alarm_days"], found["false_days"]) == (alarm_days, false_days)
    assert (found["csi"], found["tss"]) == pytest.approx((csi, tss), abs=0.0051)


def test_the_bench_prints_one_object_of_named_figures() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "skill.py"), "rain"],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    for name in ("swi_40", "awi_mm_20", "p3p15_100", "seattle_id_100", "caine_100"):
        assert {f"kpae_{name}_{score}" for score in ("pod", "far", "csi", "tss")} <= set(figures)
    assert figures["kpae_caine_100_pod"] == 0
    assert figures["kpae_caine_100_far"] is None
    # A lower threshold never hits less: the points are of one ROC.
    for name, levels in (("swi", (20, 40, 60, 80)), ("awi_mm", (0, 10, 20, 40))):
        for score in ("pod", "pofd"):
            row = [figures[f"kpae_{name}_{level}_{score}"] for level in levels]
            assert row == sorted(row, reverse=True)


def test_an_unknown_part_is_refused_by_name() -> None:
    command = [sys.executable, str(BENCH / "skill.py"), "snow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "rain" in done.stderr
