"""Events of the past among the warnings: shown, on record, and never as something of now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rig import rulebook
from rig.events import STORM_MS, event
from rig.ledgers import opened
from rig.lookback import SlowWatch, backlog, falls

from egret_aggregator.api.grafana_rows import NO_WARNING, annotation, standing_level
from egret_aggregator.api.warnings import shown
from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind
from egret_aggregator.warnings.state import State, WarningState, from_json, to_json
from egret_core.rules.model import Family

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.warnings import Ledger
    from egret_core.rules.event import ConditionEvent

pytestmark = pytest.mark.usefixtures("engine")
FROM, TO = 10, 90  # minutes: the gap


def past(
    change: str, rank: int, minute: int, *, gap: tuple[int, int] = (FROM, TO), until: int = 0
) -> ConditionEvent:
    one = event(change, rank, minute)
    evidence: dict[str, Any] = {
        **one.evidence,
        "retrospective": True,
        "gap_from_ms": STORM_MS + gap[0] * 60_000,
        "gap_to_ms": STORM_MS + gap[1] * 60_000,
    }
    if until:
        evidence["same_rise_until_ms"] = STORM_MS + until * 60_000
    return replace(one, evidence=evidence)


async def found(ledger: Ledger) -> list[WarningState]:
    return (await ledger.find(Query()))[::-1]


async def close(ledger: Ledger, warning: str) -> None:
    await ledger.act(Act(Kind.CLOSED, warning, "officer:li", note="over", despite_condition=True))


async def test_a_flood_of_the_past_is_a_warning_of_its_own_and_of_the_past(tmp_path: Path) -> None:
    flood = [past("raised", 2, 30), past("upgraded", 4, 40), past("returned", 0, 60)]
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take(flood)
        (state,) = await found(ledger)
        assert (state.id, state.onset_ms) == (flood[0].id, flood[0].time_ms)
        assert (state.level, state.rank, state.peak_rank) == ("red", 4, 4)
        assert (state.state, state.condition, state.phase) == ("open", "returned", "settled")
        assert (state.holding_level, state.holding_rank, state.steps) == ("", 0, ())
        assert shown(state)["retrospective"]
        assert len(await ledger.history(state.id)) == 3
        await close(ledger, state.id)
        assert not (await audit.verify(database)).findings
        await audit.rebuild(database)
        (again,) = await found(ledger)
        assert again.state is State.CLOSED
        assert from_json(to_json(again)) == again


async def test_a_live_warning_says_that_it_is_none_of_the_past(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([event("raised", 1)])
        (state,) = await found(ledger)
        assert shown(state)["retrospective"] is False
        assert "gap_from_ms" not in to_json(state)


async def test_it_stands_beside_the_live_one_and_neither_moves_the_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([event("raised", 1, 95)])
        await ledger.take([past("raised", 4, 30), past("returned", 0, 60)])
        await ledger.take([event("upgraded", 2, 96), event("returned", 0, 99)])
        live, old = await found(ledger)
        assert (live.level, live.condition, live.retrospective) == ("yellow", "returned", False)
        assert (old.level, old.retrospective) == ("red", True)
        assert live.onset_ms == STORM_MS + 95 * 60_000
        assert not (await audit.verify(database)).findings


async def test_the_beginning_of_a_live_rise_goes_on_its_record(tmp_path: Path) -> None:
    early = [past("raised", 1, 50, until=92), past("upgraded", 2, 70, until=92)]
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([event("raised", 2, 91)])
        await ledger.take(early)
        (state,) = await found(ledger)
        assert (state.level, state.state, state.condition) == ("yellow", "open", "active")
        assert state.onset_ms == early[0].time_ms
        assert not state.retrospective
        assert [line.seq for line in await ledger.history(state.id)] == [1, 2, 3]
        assert not (await audit.verify(database)).findings


@pytest.mark.parametrize("closed", [False, True])
async def test_what_a_person_closed_is_not_opened_for_the_same_rise(
    tmp_path: Path, *, closed: bool
) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([event("raised", 2, 90), event("returned", 0, 95)])
        (live,) = await found(ledger)
        if closed:
            await close(ledger, live.id)
        await ledger.take([past("raised", 2, 70, until=90)])
        (state,) = await found(ledger)
        assert state.state == ("closed" if closed else "open")
        assert not (await audit.verify(database)).findings


async def test_a_higher_rise_than_the_closed_one_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([event("raised", 2, 90)])
        await close(ledger, (await found(ledger))[0].id)
        await ledger.take([past("raised", 4, 60), past("eased", 2, 80)])
        live, old = await found(ledger)
        assert (live.state, old.state, old.level) == ("closed", "open", "red")


async def test_one_of_the_past_that_was_closed_stays_so_unless_more_is_found(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([past("raised", 2, 40), past("returned", 0, 60)])
        await close(ledger, (await found(ledger))[0].id)
        await ledger.take([past("raised", 2, 30)])  # more of the backlog came, it began earlier
        (state,) = await found(ledger)
        assert (state.state, state.onset_ms) == ("closed", STORM_MS + 30 * 60_000)
        await ledger.take([past("upgraded", 4, 45), past("eased", 2, 46)])
        _, more = await found(ledger)
        assert (more.state, more.level, more.retrospective) == ("open", "red", True)
        assert not (await audit.verify(database)).findings


async def test_a_higher_level_of_the_past_wants_a_look_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([past("raised", 2, 40)])
        (state,) = await found(ledger)
        await ledger.act(Act(Kind.ACKNOWLEDGED, state.id, "officer:li"))
        await ledger.take([past("raised", 1, 35)])
        assert (await found(ledger))[0].state is State.ACKNOWLEDGED
        await ledger.take([past("upgraded", 4, 50)])
        (state,) = await found(ledger)
        assert (state.state, state.level) == ("open", "red")


async def test_what_stood_all_the_while_takes_it_on_its_record(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([event("raised", 4, 5)])
        await ledger.take([past("eased", 1, 30), past("upgraded", 3, 40), past("returned", 0, 60)])
        (state,) = await found(ledger)
        assert (state.level, state.condition, state.onset_ms) == (
            "red",
            "active",
            STORM_MS + 5 * 60_000,
        )
        assert [line.seq for line in await ledger.history(state.id)] == [1, 3]


async def test_a_live_one_that_has_returned_does_not_swallow_a_flood_of_the_past(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([event("raised", 4, 2), event("returned", 0, 5)])
        (live,) = await found(ledger)
        await ledger.act(Act(Kind.ACKNOWLEDGED, live.id, "officer:li"))
        await ledger.take([past("raised", 4, 40), past("returned", 0, 60)])
        live, old = await found(ledger)
        assert (live.state, live.condition) == ("acknowledged", "returned")
        assert (old.state, old.level, old.retrospective) == ("open", "red", True)
        assert not (await audit.verify(database)).findings


async def test_two_gaps_are_two_warnings_and_each_stands(tmp_path: Path) -> None:
    other = (100, 200)
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([past("raised", 2, 40), past("raised", 3, 150, gap=other)])
        await ledger.take([past("returned", 0, 60), past("returned", 0, 160, gap=other)])
        first, second = await found(ledger)
        assert (first.level, second.level) == ("yellow", "orange")
        assert not (await audit.verify(database)).findings


async def test_a_return_alone_opens_nothing_and_is_on_record(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([past("returned", 0, 40)])
        assert await found(ledger) == []
        assert ledger.head.seq == 1


@pytest.mark.parametrize("items", [0, 60, 400])
async def test_a_storm_that_holds_is_one_live_warning_however_late_the_store(
    tmp_path: Path, items: int
) -> None:
    gauge = rulebook.place("rn", "rain_total")
    law = rulebook.rain(("blue", 1, 3, 8), ("red", 4, 1, 20))
    rule = rulebook.bound(law, Family.RAIN, gauge)
    rows = falls(*[0] * 230, *[5] * 20, *[3] * 90)  # away from minute 30 to 250
    late = backlog(rows[30:250], 60 * 252, 0.01)
    known = [*rulebook.prompt([*rows[:30], *rows[250:]]), *late]
    known.sort(key=lambda one: one.received_ms)
    watch = SlowWatch([gauge], [rule], [items])
    said = watch.play(rulebook.timeline(known, tail_s=300))
    async with opened(tmp_path / "egret.db") as (ledger, database):
        for one in said:
            await ledger.take([one])
        (state,) = await found(ledger)
        assert (state.retrospective, state.condition, state.level) == (False, "active", "red")
        assert state.onset_ms == rulebook.at(60 * 245)
        assert not (await audit.verify(database)).findings


async def test_said_again_it_changes_nothing(tmp_path: Path) -> None:
    flood = [past("raised", 2, 40), past("upgraded", 4, 50), past("returned", 0, 60)]
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take(flood)
        before = await found(ledger)
        await ledger.take(flood)
        assert await found(ledger) == before


def test_dashboards_do_not_show_it_as_a_level_of_now() -> None:
    from egret_aggregator.warnings import fold  # noqa: PLC0415  (beside its only use)

    class Nowhere:
        stations: dict[str, Any] = {}  # noqa: RUF012  (never changed)

    old = fold.opened(past("raised", 4, 40), 1, STORM_MS)
    assert standing_level([old], judged=True) == (NO_WARNING, 0)
    live = fold.opened(event("raised", 1, 95), 2, STORM_MS)
    assert standing_level([old, live], judged=True) == ("blue", 1)
    told = annotation(old, Nowhere(), STORM_MS + 10**9)  # type: ignore[arg-type]
    assert "found in late readings" in told["text"]
