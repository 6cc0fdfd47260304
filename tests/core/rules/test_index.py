"""An index rule in the fold: levels by what the equation gives, none while it gives nothing."""

from __future__ import annotations

from typing import Any

from rig.rulebook import GATEWAY, HOUR_MS, at, bound, fold_of, place, reading

from egret_core.quality import Reason
from egret_core.rules.event import Phase
from egret_core.rules.index import Graded, Standing
from egret_core.rules.model import Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.soil_water import SoilWater
from egret_core.rules.step import Receipt, step

GAUGE = place("rn", "rain_total")


def soil_water(warm_ms: int = 0) -> IndexLaw:
    ladder = LadderLaw((Rung("yellow", 40, 30), Rung("red", 80, 60)), "mm", "", 0, 0, 86_400_000)
    return IndexLaw(
        "soil_water", lambda: SoilWater(600_000, warm_ms), ladder, warm_ms, of_total=True
    )


def test_levels_rise_with_the_index_and_carry_its_numbers() -> None:
    fold, out = fold_of([GAUGE], [bound(soil_water(), Family.SOIL_WATER, GAUGE)]), []
    for n in range(3 * 6 + 2):
        one = reading(600 * n, 100 + 5.0 * min(n, 18), GAUGE)
        out += step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))[1]
    rises = [(e.level, e.phase, e.reason) for e in out]
    assert rises == [
        ("yellow", Phase.SETTLED, "at_or_above"),
        ("red", Phase.SETTLED, "at_or_above"),
    ]
    evidence = out[1].evidence
    assert (evidence["index"], evidence["unit"], evidence["threshold"]) == ("soil_water", "mm", 80)
    assert round(sum(evidence[f"tank{n}_mm"] for n in (1, 2, 3)), 3) == round(evidence["value"], 3)
    assert "datum" not in evidence


def test_while_it_warms_up_nothing_is_judged_and_it_says_so() -> None:
    rule = bound(soil_water(warm_ms=HOUR_MS), Family.SOIL_WATER, GAUGE)
    fold, out = fold_of([GAUGE], [rule]), []
    for n in range(6):
        one = reading(300 * n, 100.0 + 20 * n, GAUGE)
        out += step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))[1]
    assert out == []
    assert fold.channels["st1"]["rn"].standings() == {rule.name: "warming_up"}


def test_what_was_poured_in_maintenance_is_no_rain() -> None:
    fold, out = fold_of([GAUGE], [bound(soil_water(), Family.SOIL_WATER, GAUGE)]), []
    poured = int(Reason.MAINTENANCE)
    for n in range(12):
        one = reading(600 * n, 100.0 + 20 * min(n, 8), GAUGE, 1, poured if 0 < n < 9 else 0)
        out += step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))[1]
    assert out == []
    (graded,) = fold.channels["st1"]["rn"].detectors
    assert graded.dump()[0][0] == [0.0, 0.0, 0.0]


class Ahead:
    """An index that gives what it takes, and says that it is a forecast."""

    def __init__(self) -> None:
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        assert time_ms
        self.standing = Standing.OK
        return value

    def evidence(self) -> dict[str, Any]:
        if self.standing is not Standing.OK:
            raise IndexError("nothing was taken yet")
        return {"basis": "forecast"}

    def dump(self) -> list[Any]:
        return []

    def restore(self, saved: Any) -> None:
        pass


def test_it_says_whether_it_is_a_forecast_and_only_when_it_can_say_something() -> None:
    level = place()
    law = IndexLaw("ahead", Ahead, LadderLaw((Rung("red", 4, 3),), "m", "Local", 0, 0, 10**9), 0)
    fold = fold_of([level], [bound(law, Family.NOWCAST, level)])
    (graded,) = fold.channels["st1"]["wl"].detectors
    assert isinstance(graded, Graded)
    assert not graded.forecast
    graded.settle(at(0), 5.0, [])
    assert graded.forecast
    assert graded.rank == 1
