"""The running parts as the API shows them: figures are numbers, a gateway is plain JSON."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from math import isfinite
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.api_centre import catalogue_folder
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike
from rig.prometheus import families

from egret_aggregator.catalogue import load
from egret_aggregator.intake import BrokerChild
from egret_aggregator.judge import Judge
from egret_aggregator.line import RunningLine
from egret_aggregator.metrics import Histogram, exposition
from egret_aggregator.supervision import ended
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from egret_core.rules.event import ConditionEvent

pytestmark = pytest.mark.system


class Running:
    def __init__(self, line: RunningLine, half: CentreHalf, gateway: GatewayLike) -> None:
        self.line, self.half, self.gateway = line, half, gateway
        self.events: list[ConditionEvent] = []

    async def figures(self) -> dict[str, float]:
        found = await self.line.figures(self.half.clock.now_ms())
        return {name: value for name, value in found.items() if not isinstance(value, Histogram)}

    async def settled(self, *seqs: int) -> None:
        await self.gateway.send(*seqs)
        await self.gateway.until(lambda: self.gateway.settled >= set(seqs))
        head = self.half.journal.head
        await until(lambda: self.line.judge.health()["position"] >= head)
        await self.half.recorded()


@asynccontextmanager
async def running(tmp_path: Path, child: BrokerChild | None = None) -> AsyncIterator[Running]:
    async with (
        broker(tmp_path / "broker") as port,
        CentreHalf(tmp_path, port).running() as half,
        GatewayLike(port, gateway="XM-TA-0042") as gateway,
    ):
        journal = half.journal
        catalogue = load(catalogue_folder(tmp_path / "catalogue"))

        async def take(events: object) -> None:
            out.events.extend(events)  # type: ignore[arg-type]

        judge = Judge(
            journal,
            take,
            catalogue,
            half.clock.now_ms,
            decoded=journal.decoded,
            readings=journal.readings,
        )
        out = Running(RunningLine(child, half.intake, journal, half.recorder, judge), half, gateway)
        task = asyncio.create_task(judge.run())
        await until(lambda: judge.health()["catalogue"] == catalogue.version)
        try:
            yield out
        finally:
            await ended([task])
            await judge.flush()


async def test_every_figure_is_finite_and_has_its_type(tmp_path: Path) -> None:
    async with running(tmp_path) as all_of_it:
        assert all(isfinite(value) for value in (await all_of_it.figures()).values())
        text = exposition(await all_of_it.line.figures(all_of_it.half.clock.now_ms()))
        found = families(text)
        assert found["egret_judge_events_total"].kind == "counter"
        assert found["egret_journal_head"].kind == "gauge"
        assert found["egret_intake_commit_seconds"].kind == "histogram"
        assert all(family.help for family in found.values())


async def test_the_figures_follow_what_comes(tmp_path: Path) -> None:
    async with running(tmp_path) as all_of_it:
        gateway, now_ms = all_of_it.gateway, all_of_it.half.clock.now_ms()
        gateway.cut(1, [Reading("st0007", "wl", now_ms - 900 + n, 2.0 + n) for n in range(3)])
        gateway.cut(2, entries=[{"s": "st0007", "c": "wl", "v": 1.0}, "no entry"])
        gateway.cut(3, [Reading("st0007", "wl", now_ms - 900, 9.9)])
        await all_of_it.settled(1, 2, 3)
        await gateway.status()
        await until(lambda: all_of_it.line.gateways()["XM-TA-0042"]["held"])
        figures = await all_of_it.figures()
        assert figures["egret_intake_connected"] == 1
        assert figures["egret_recorder_readings_total"] == 3
        # The rig's catalogue gives st1 to gw1; what its recorder does not know is stored and named.
        assert figures["egret_recorder_set_aside_total"] == 2
        assert figures["egret_recorder_conflicts_total"] == 1
        assert figures["egret_judge_readings_total"] == 4
        standings = all_of_it.line.standings("st0007")
        assert [list(words.values()) for words in standings.values()] == [["ok"], []]
        assert figures['egret_judge_rules_standing{standing="ok"}'] == 1
        assert figures['egret_judge_rules_standing{standing="warming_up"}'] == 0
        assert all_of_it.line.judge.health()["standings"] == {}
        assert figures["egret_judge_events_total"] == len(all_of_it.events) > 0
        assert (figures["egret_gateways"], figures["egret_gateways_online"]) == (1, 1)
        assert figures["egret_gateways_missing_batches"] == 0
        assert figures['egret_intake_batches_total{verdict="new"}'] == 3
        assert figures['egret_recorder_asides_total{reason="bad_entry"}'] == 1
        assert figures['egret_recorder_asides_total{reason="undated"}'] == 1
        assert figures["egret_intake_acks_total"] >= 1
        assert figures['egret_gateway_online{gateway="XM-TA-0042"}'] == 1
        for consumer in ("judge", "recorder"):
            assert figures[f'egret_consumer_lag_entries{{consumer="{consumer}"}}'] == 0
            assert figures[f'egret_consumer_lag_seconds{{consumer="{consumer}"}}'] == 0
        commits = all_of_it.half.intake.commit_s
        assert commits.count == 3
        assert commits.sum_s > 0
        assert figures["egret_judge_position"] == figures["egret_recorder_position"]


async def test_instants_are_those_of_the_newest_entry_and_none_before(tmp_path: Path) -> None:
    async with running(tmp_path) as all_of_it:
        line, before_ms = all_of_it.line, all_of_it.half.clock.now_ms()
        await until(lambda: line.judged_ms() is not None)  # the catalogue's own change
        all_of_it.gateway.cut(1)
        await all_of_it.settled(1)
        judged, recorded = line.judged_ms(), line.recorded_ms()
        assert judged is not None
        assert recorded is not None
        assert before_ms <= recorded <= all_of_it.half.clock.now_ms()
        assert judged == recorded


async def test_a_gateway_is_shown_in_plain_json(tmp_path: Path) -> None:
    async with running(tmp_path) as all_of_it:
        gateway, line = all_of_it.gateway, all_of_it.line
        gateway.cut(1)
        await all_of_it.settled(1)
        await gateway.status(buses={"总线": {"ok": 3, "share": 0.5, "port": None}})
        await until(lambda: line.gateways()["XM-TA-0042"]["buses"])
        shown = line.gateways()["XM-TA-0042"]
        assert json.loads(json.dumps(shown, allow_nan=False)) == shown
        assert shown["held"] == {batches.LOG: [[1, 1]]}
        assert shown["clock"] == {"source": "none", "offset_ms": 0}
        assert (shown["online"], shown["clone"], shown["missing_batches"]) == (True, False, 0)
        assert shown["counts"] == {"new": 1}
        assert shown["last_seen"].endswith("Z")


async def test_an_embedded_broker_has_figures_of_its_own(tmp_path: Path) -> None:
    from rig.centre_half import free_port  # noqa: PLC0415

    child = BrokerChild(tmp_path / "own", "127.0.0.1", free_port())
    async with running(tmp_path, child) as all_of_it:
        assert (await all_of_it.figures())["egret_broker_up"] == 0
        await child.start()
        try:
            figures = await all_of_it.figures()
            assert (figures["egret_broker_up"], figures["egret_broker_restarts_total"]) == (1, 0)
        finally:
            await child.stop()
        assert (await all_of_it.figures())["egret_broker_up"] == 0
