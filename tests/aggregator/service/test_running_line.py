"""What the API is told of the running parts: over a real broker, journal, recorder and judge."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.api_centre import catalogue_folder
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike

from egret_aggregator.catalogue import load
from egret_aggregator.errors import JournalError
from egret_aggregator.intake import BrokerChild
from egret_aggregator.journal.fill import Fill
from egret_aggregator.judge import Judge
from egret_aggregator.line import RunningLine
from egret_aggregator.metrics import Histogram
from egret_core.control import encode_status
from egret_core.messages import GatewayStatus
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue
    from egret_core.rules.event import ConditionEvent

pytestmark = pytest.mark.system

# Names of figures, once published, stay: dashboards and alarms are built on them.
FIGURES = (
    "egret_intake_connected",
    "egret_intake_inbox_bytes",
    "egret_intake_dropped_total",
    "egret_intake_strange_total",
    "egret_intake_acks_unheard_total",
    "egret_journal_used_bytes",
    "egret_journal_max_bytes",
    "egret_journal_head",
    "egret_recorder_position",
    "egret_recorder_readings_total",
    "egret_recorder_set_aside_total",
    "egret_recorder_conflicts_total",
    "egret_recorder_failures_total",
    "egret_judge_position",
    "egret_judge_readings_total",
    "egret_judge_events_total",
    "egret_judge_unreadable_total",
    "egret_judge_cold_channels_total",
    "egret_judge_late_total",
    "egret_gateways",
    "egret_gateways_online",
    "egret_gateways_cloned",
    "egret_gateways_missing_batches",
)


async def numbers(line: RunningLine) -> dict[str, float]:
    found = await line.figures(0)
    return {name: value for name, value in found.items() if not isinstance(value, Histogram)}


class Running:
    """The line over real parts, and the hand on its journal."""

    def __init__(self, half: CentreHalf, port: int, judge: Judge, places: Catalogue) -> None:
        self.half = half
        self.port = port
        self.line = RunningLine(None, half.intake, half.journal, half.recorder, judge)
        self.judge = judge
        self.places = places


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async def take(_events: Sequence[ConditionEvent]) -> None:
        await asyncio.sleep(0)

    (tmp_path / "data").mkdir()
    places = load(catalogue_folder(tmp_path / "catalogue"))
    async with broker(tmp_path / "broker") as port:
        half = CentreHalf(tmp_path / "data", port)
        async with half.running():
            judge = Judge(half.journal, take, places, half.clock.now_ms)
            task = asyncio.create_task(judge.run())
            try:
                yield Running(half, port, judge, places)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_the_names_of_figures_stay(running: Running, tmp_path: Path) -> None:
    assert set(FIGURES) <= set(await numbers(running.line))
    line = running.line
    child = BrokerChild(tmp_path / "other", "127.0.0.1", 1)
    embedded = RunningLine(child, line.intake, line.journal, line.recorder, line.judge)
    own = ("egret_broker_restarts_total", "egret_broker_up")
    assert set(own) <= set(await numbers(embedded))
    assert not set(own) & set(await numbers(line))


async def test_figures_and_gateways_follow_what_comes_in(running: Running) -> None:
    line = running.line
    assert line.gateways() == {}
    assert line.gateway("gw1") is None
    async with GatewayLike(running.port) as gateway:
        gateway.cut(1, batches.series(3, start_ms=running.half.clock.now_ms()))
        await gateway.send(1)
        await gateway.status(extra={"pace": {"st1": "watch"}})
        await gateway.until(lambda: gateway.settled == {1})
        await running.half.recorded()
        await until(lambda: line.gateways()["gw1"]["current_log"])
        shown = line.gateways()["gw1"]
        assert (shown["online"], shown["clone"], shown["missing_batches"]) == (True, False, 0)
        assert shown["held"] == {gateway.log: [[1, 1]]}
        assert shown["last_seen"].endswith("Z")
        assert shown["pace"] == {"st1": "watch"}
        assert line.gateway("gw1") == shown
        figures = await numbers(line)
        assert (figures["egret_gateways"], figures["egret_gateways_online"]) == (1, 1)
        assert figures["egret_recorder_readings_total"] == 3
        assert figures["egret_journal_head"] >= 2
        # Its last will, as the broker would send it for a link that broke.
        will = encode_status(GatewayStatus(gateway="gw1", online=False))
        await gateway.raw(will, Leaf.STATUS)
        await until(lambda: not line.gateways()["gw1"]["online"])
    assert (await numbers(line))["egret_gateways_online"] == 0
    assert line.gateways()["gw1"]["held"] == shown["held"]  # what it last said it holds


async def test_a_judgement_is_as_old_as_what_was_judged(running: Running) -> None:
    line, journal = running.line, running.half.journal
    await until(lambda: running.judge.health()["catalogue"])
    # The catalogue's own entry was taken: it says nothing of the field.
    assert line.judged_ms() is None
    before = running.half.clock.now_ms()
    await journal.tick(before + 7)
    await until(lambda: line.judged_ms() == before + 7)
    await journal.change(running.places.payload(), before + 9)
    await journal.tick(before + 8)
    await until(lambda: line.judged_ms() == before + 8)


async def test_it_is_well_while_readings_come_in(running: Running) -> None:
    assert list(running.line.faults()) == []


async def test_a_lost_broker_is_a_fault_at_once(tmp_path: Path, running: Running) -> None:
    # A second centre whose broker goes away beneath it.
    async with broker(tmp_path / "mortal") as port:
        (tmp_path / "second").mkdir()
        half = CentreHalf(tmp_path / "second", port)
        leaving = half.running()
        await leaving.__aenter__()
        line = RunningLine(None, half.intake, half.journal, half.recorder, running.judge)
        assert list(line.faults()) == []
    await until(lambda: list(line.faults()) == ["intake_disconnected"])
    assert (await numbers(line))["egret_intake_connected"] == 0
    await leaving.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("used", "wrong"), [(0.49, []), (0.79, []), (0.95, []), (1.0, ["journal_full"])]
)
async def test_a_full_journal_is_a_fault(
    running: Running, monkeypatch: pytest.MonkeyPatch, used: float, wrong: list[str]
) -> None:
    monkeypatch.setattr(running.half.journal, "_fill", Fill(int(used * 1000), 1000))
    assert list(running.line.faults()) == wrong


async def test_a_journal_that_cannot_commit_is_a_fault_until_it_can(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        await asyncio.sleep(0)
        raise JournalError("disk I/O error")

    journal = running.half.journal
    async with GatewayLike(running.port) as gateway:
        gateway.cut(1)
        gateway.cut(2)
        with monkeypatch.context() as broken:
            broken.setattr(journal, "append", fails)
            await gateway.send(1)
            await until(lambda: list(running.line.faults()) == ["journal_failing"])
            assert gateway.settled == set()
        await gateway.send(1, 2)
        await gateway.until(lambda: gateway.settled == {1, 2})
    assert list(running.line.faults()) == []
