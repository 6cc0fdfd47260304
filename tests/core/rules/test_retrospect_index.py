"""An index after late readings: what it had been with them, for the present and for later gaps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rig.lookback import Watch, backlog, falls, past, watched
from rig.rulebook import (
    GATEWAY,
    HOUR_MS,
    at,
    bound,
    brief,
    ladder,
    place,
    prompt,
    reading,
    timeline,
)

from egret_core.rules.index import Graded, Standing
from egret_core.rules.model import Family, IndexLaw
from egret_core.rules.retrospect import TRIES_MAX, due, end
from egret_core.rules.soil_water import SoilWater
from egret_core.rules.step import Fold, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.step import Item

GAUGE = place("rn", "rain_total")
WET = bound(
    IndexLaw(
        "soil_water",
        partial(SoilWater, 600_000, 3 * 24 * HOUR_MS),
        replace(ladder(("blue", 30.0, 25.0), ("red", 60.0, 50.0)), unit="mm", datum=""),
        3 * 24 * HOUR_MS,
        of_total=True,
    ),
    Family.SOIL_WATER,
    GAUGE,
)


def ground(fold: Fold) -> object:
    (wet,) = fold.channels["st1"]["rn"].detectors
    assert isinstance(wet, Graded)
    return wet.dump()[0], wet.dump()[2]


def wet_days(step_s: int = 600) -> tuple[list[Reading], list[Reading], list[Reading]]:
    """Four dry days, six hours with 100 mm and four dry ones, then fresh readings."""
    tenths = [0] * (4 * 144) + [28] * 36 + [0] * 24 + [0] * 30
    rows = falls(*tenths, step_s=step_s)
    return rows[:576], rows[576:636], rows[636:]


def test_an_index_becomes_what_it_had_been_with_the_gaps_readings() -> None:
    before, missed, after = wet_days()
    end_s = 636 * 600
    rows = [*prompt(before), *prompt(after), *backlog(missed, end_s + 6000, 0.1)]
    watch, said = watched(rows, WET)
    whole, told = watched(prompt([*before, *missed, *after]), WET)
    assert ground(watch.fold) == ground(whole.fold)
    assert brief(past(said))[:2] == [key for key in brief(told) if key[2] < end_s][:2]
    assert len(watch.looked) == 1
    without, _ = watched([*prompt(before), *prompt(after)], WET)
    assert ground(without.fold) != ground(whole.fold)


def test_an_index_of_two_gaps_is_right_after_both_and_at_the_start_of_the_second() -> None:
    before, missed, after = wet_days()
    before, missed = before[:560], [*before[560:], *missed]  # dry, then wet: no even rain
    first, between, second = missed[:40], missed[40:43], missed[43:]
    late = backlog([*second, *first], 636 * 600 + 6000, 0.1)
    watch, _ = watched([*prompt([*before, *between, *after]), *late], WET)
    whole, _ = watched(prompt([*before, *missed, *after]), WET)
    assert len(watch.looked) == 2
    assert ground(watch.fold) == ground(whole.fold)
    (gap,) = watch.fold.channels["st1"]["rn"].backlog.snapshots[1:]
    assert gap[2][WET.name][0] == _begun(before, missed), "the second began with the first filled"


def _begun(before: list[Reading], missed: list[Reading]) -> object:
    whole, _ = watched(prompt([*before, *missed[:43]]), WET)
    return ground(whole.fold)[0]  # type: ignore[index]


def test_a_channel_that_is_faster_than_its_store_keeps_its_index() -> None:
    before, missed, after = wet_days()
    watch, _ = watched([*prompt(before), *prompt(after)], WET)
    channel = watch.fold.channels["st1"]["rn"]
    now_s = 665 * 600 + 300
    step(watch.fold, Receipt(GATEWAY, at(now_s), missed))
    for n in range(10):
        step(watch.fold, Tick(at(now_s + 10 * n)))
    kept = ground(watch.fold)
    for n in range(TRIES_MAX + 1):
        (look,) = due(watch.fold, at(now_s + 100), 1)
        look.feed(missed)
        look.go_on(after[:-1])
        assert not look.reaches(channel)
        assert end(watch.fold, [look], at(now_s + 100)).done == int(n == TRIES_MAX)
        assert ground(watch.fold) == kept
    assert due(watch.fold, at(now_s + 100), 1) == []


def test_an_index_is_brought_to_the_newest_settled_reading_and_no_further() -> None:
    before, missed, after = wet_days()
    now_s = 660 * 600  # of a reading that is in, and not settled yet
    late = backlog(missed, now_s - 58, 0.01)
    rows = sorted([*prompt([*before, *after]), *late], key=lambda one: one.received_ms)
    watch = Watch([GAUGE], [WET])
    items = timeline(rows)
    watch.play([one for one in items if _when(one) <= at(now_s + 10)])
    channel = watch.fold.channels["st1"]["rn"]
    assert len(watch.looked) == 1
    assert watch.looked[0]._after[-1][0] == at(now_s)
    assert ground(watch.fold)[0][3] == channel.settled_ms == at(now_s - 600)  # type: ignore[index]
    watch.play([one for one in items if _when(one) > at(now_s + 10)])
    whole, _ = watched(prompt([*before, *missed, *after]), WET)
    assert ground(watch.fold) == ground(whole.fold)


def _when(item: Item) -> int:
    return int(getattr(item, "received_ms", 0) or getattr(item, "now_ms", 0))


class Ahead:
    """A number that is a forecast: twice what was measured."""

    standing = Standing.OK

    def take(self, _: int, value: float) -> float | None:
        return 2 * value

    def evidence(self) -> Mapping[str, Any]:
        return {"basis": "forecast"}

    def dump(self) -> list[Any]:
        return []

    def restore(self, _: Sequence[Any]) -> None:
        """Nothing to take."""


def test_what_would_have_been_forecast_is_not_told() -> None:
    law = IndexLaw("ahead", Ahead, ladder(("blue", 3.0, 2.8)), 0)
    river = place()
    rows = [reading(60 * n, 1.0, river) for n in range(30)]
    flood = [reading(5000 + 300 * n, 2.0 - n % 2, river) for n in range(4)]
    after = [reading(9000 + 60 * n, 2.0, river) for n in range(9)]
    rule = bound(law, Family.LEVEL, river)
    watch, said = watched([*prompt([*rows, *after]), *backlog(flood, 9100)], rule)
    assert [look.fed for look in watch.looked] == [4]
    assert past(said) == []
    assert brief(said) == [("raised", "blue", 9000)]
