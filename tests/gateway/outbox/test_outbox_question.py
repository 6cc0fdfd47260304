"""The question for the time sends the meta again and again: its answers are no marks to count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.box_file import opened, rows, until
from rig.field_box import GATEWAY, HandClock, make_outbox, samples

from egret_core.messages import Ack
from egret_gateway.clock import Clock
from egret_gateway.config import BrokerSettings
from egret_gateway.health import Health
from egret_gateway.outbox.outbox import SETTLE_WAIT_MS
from egret_gateway.uplink import Uplink

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_waits_is_told_rightly_while_the_time_is_asked_for(tmp_path: Path) -> None:
    hands = HandClock(wall=0)
    clock = Clock("none", hands=hands.hands())
    outbox = make_outbox(tmp_path, clock)
    with opened(outbox):
        health = Health(GATEWAY, outbox, clock, dict, lambda: False)
        broker = BrokerSettings("localhost", 1)
        uplink = Uplink(GATEWAY, broker, outbox, clock, health, status_s=600.0)
        outbox.emitter(0.0)(samples(1, 0, hands.mono), {})
        until(lambda: outbox.stats()["drafts"] == 1)

        async def answered_question() -> None:
            (meta,) = await outbox.reader.question()
            uplink._window.probed(meta, hands.mono)
            uplink._on_ack(Ack(meta.log, ((meta.seq, meta.hash),), (), 0, ""))

        await answered_question()
        assert outbox.stats()["unsettled"] == 1, "the meta is settled, a draft waits"
        hands.pass_ms(SETTLE_WAIT_MS)
        outbox.wake()
        until(lambda: [row[3] for row in rows(tmp_path)] == [1, 0])
        for _ in range(3):
            await answered_question()
            assert outbox.stats()["unsettled"] == 1
