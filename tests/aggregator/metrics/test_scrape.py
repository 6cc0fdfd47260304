"""A scrape is bounded: in gateways shown, in work at a time, and in those who ask together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rig.api_centre import NOW_MS
from rig.events import event, guess
from rig.prometheus import families

from egret_aggregator.api.hub import Hub
from egret_aggregator.clock import Clock
from egret_aggregator.config import BrokerSettings
from egret_aggregator.intake import Intake
from egret_aggregator.journal import Journal
from egret_aggregator.metrics import stages
from egret_aggregator.metrics.fleet import SHOWN_MAX, SLICE, fleet
from egret_core.messages import GatewayStatus, Reject

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from rig.api_centre import ApiCentre

MANY = 2 * SHOWN_MAX


def many(folder: Path) -> Intake:
    """An intake that has heard of more gateways than are shown; it is not running."""
    journal = Journal(folder / "journal.db", keep_ms=1, max_bytes=1)
    intake = Intake(BrokerSettings(), journal, Clock())
    for number in range(MANY):
        outbox = {"bytes": number, "unsettled": 2, "oldest_ms": 1000 * number}
        status = GatewayStatus(f"g{number:05}", online=True, outbox=outbox)
        intake._gateways.status(status)
        intake._gateways.heard(status.gateway, NOW_MS, intake._clock.monotonic_s())
    return intake


async def test_a_large_fleet_is_shown_in_part_and_counted_whole(tmp_path: Path) -> None:
    figures = await fleet(many(tmp_path), NOW_MS + 5000)
    shown = {name for name in figures if name.startswith("egret_gateway_online")}
    assert len(shown) == SHOWN_MAX
    assert 'egret_gateway_online{gateway="g00000"}' in shown
    assert figures["egret_gateways"] == MANY
    assert figures["egret_gateways_unlisted"] == MANY - SHOWN_MAX
    # The oldest outbox is among those without a line of their own.
    assert figures["egret_gateways_outbox_age_max_seconds"] == MANY - 1
    assert figures['egret_gateway_outbox_age_seconds{gateway="g00499"}'] == 499
    assert figures['egret_gateway_outbox_batches{gateway="g00499"}'] == 2
    assert figures['egret_gateway_silence_seconds{gateway="g00499"}'] == 5


def test_every_reason_is_there_at_zero_so_that_its_first_is_an_increase(tmp_path: Path) -> None:
    intake = many(tmp_path)
    intake._gateways.totals["refused_unknown_to_us"] += 2
    figures = stages.intake(intake)
    for reason in Reject:
        assert figures[f'egret_intake_refused_total{{reason="{reason}"}}'] == 0
    assert figures['egret_intake_refused_total{reason="unknown_to_us"}'] == 2


async def test_a_dead_gateway_with_an_empty_outbox_grows_silent(tmp_path: Path) -> None:
    intake = many(tmp_path)
    intake._gateways.status(GatewayStatus("dead", online=True, outbox={"oldest_ms": 0}))
    intake._gateways.heard("dead", NOW_MS - 900_000, 0.0)
    named = frozenset({"dead", "g00001", "never"})
    for later_ms in (0, 60_000):
        figures = await fleet(intake, NOW_MS + later_ms, named)
        assert figures["egret_gateways_silence_max_seconds"] == 900 + later_ms / 1000
        assert figures["egret_gateways_unheard"] == 1
    figures = await fleet(intake, NOW_MS + 5000, named - {"dead", "never"})
    assert figures["egret_gateways_silence_max_seconds"] == 5, "others are nobody's loss"
    assert figures["egret_gateways_unheard"] == 0


async def test_others_get_their_turn_while_a_large_fleet_is_counted(tmp_path: Path) -> None:
    intake, turns = many(tmp_path), 0

    async def judge() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(judge())
    await fleet(intake, NOW_MS)
    assert turns >= MANY // SLICE
    task.cancel()


async def test_a_gateway_that_is_forgotten_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = many(tmp_path)
    names = intake.names()
    monkeypatch.setattr(intake, "names", lambda: [*names, "gone"])
    assert (await fleet(intake, NOW_MS))["egret_gateways"] == MANY


async def test_who_asks_together_is_given_one_answer(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = 0, asyncio.Event()

    async def figures(_now_ms: int) -> dict[str, float]:
        nonlocal asked
        asked += 1
        await go.wait()
        return {"egret_journal_head": 7.0}

    monkeypatch.setattr(centre.line, "figures", figures)
    asking = [asyncio.create_task(centre.ask("GET", "/metrics")) for _ in range(8)]
    while not asked:
        await asyncio.sleep(0.01)
    first = asking.pop()
    first.cancel()  # one who goes away takes nothing from the others
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0.2)  # for those who have not been accepted yet
    go.set()
    texts = {(await task).text for task in asking}
    assert asked == len(texts) == 1
    await centre.ask("GET", "/metrics")
    assert asked == 2, "the next one is given new figures"


async def test_a_store_that_does_not_answer_holds_up_nobody(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.metrics.scrape.STORE_S", 0.01)
    monkeypatch.setattr(centre.store, "health", lambda: asyncio.Event().wait())
    found = families((await centre.ask("GET", "/metrics")).text)
    assert found["egret_store_up"].samples == {"": 0.0}
    assert "egret_store_used_bytes" not in found


async def test_a_database_that_does_not_answer_holds_up_nobody(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.metrics.scrape.DATABASE_S", 0.01)
    frozen, asked = asyncio.Event(), 0
    counts = centre.ledger.counts

    async def stuck() -> dict[tuple[str, str], int]:
        nonlocal asked
        asked += 1
        while not frozen.is_set():
            try:
                await frozen.wait()
            except asyncio.CancelledError:  # as a driver that waits for its server's goodbye
                continue
        return await counts()

    monkeypatch.setattr(centre.ledger, "counts", stuck)
    for _ in range(3):
        found = families((await centre.ask("GET", "/metrics")).text)
        assert found["egret_database_up"].samples == {"": 0.0}
        assert "egret_journal_head" in found or "egret_judgement_current" in found
    assert asked == 1, "one question at a time, however many scrapes"
    frozen.set()
    monkeypatch.setattr(centre.ledger, "counts", counts)
    monkeypatch.setattr("egret_aggregator.metrics.scrape.DATABASE_S", 60.0)
    found = families((await centre.ask("GET", "/metrics")).text)
    assert found["egret_database_up"].samples == {"": 1.0}


async def test_a_push_is_measured_from_the_reading_and_only_for_what_rises(
    centre: ApiCentre,
) -> None:
    raised = event("raised", 1)
    await centre.ledger.take([guess("raised", 1, subject="st8/wl"), raised])
    await centre.ledger.take([event("returned", 0, 1)])
    await centre.post(f"/api/v1/warnings/{raised.id}/acknowledge")
    found = families((await centre.ask("GET", "/metrics")).text)["egret_warning_push_seconds"]
    assert found.samples['_count{phase="settled"}'] == 1
    assert found.samples['_count{phase="provisional"}'] == 1
    expected_s = (centre.context.clock.now_ms() - raised.time_ms) / 1000
    assert expected_s - 60 <= found.samples['_sum{phase="settled"}'] <= expected_s


async def test_a_hub_without_a_clock_measures_nothing(centre: ApiCentre) -> None:
    hub = Hub()
    centre.ledger.listen(hub.records)
    await centre.ledger.take([event("raised", 1)])
    assert all(histogram.count == 0 for histogram in hub.push_s.values())
