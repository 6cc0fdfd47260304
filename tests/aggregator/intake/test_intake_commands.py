"""What the centre sends down: a real broker, and a gateway that says what it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike

from egret_aggregator.intake import pace_orders
from egret_aggregator.intake.pace_orders import PaceAsked, PaceOrder, PaceOutcome, PaceState
from egret_core.control import decode_command, encode_command_ack
from egret_core.messages import PACE, Command, CommandAck, GatewayStatus, Outcome
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system


def ordered(centre: CentreHalf, station: str = "st1", gateway: str = "gw1") -> PaceOrder:
    asked = PaceAsked(station, PaceState.EVENT, 600, "officer:li", 0, 0)
    order = centre.intake.pace.reserve(asked, {gateway: True}, centre.clock.monotonic_s())
    order.recorded = True
    return order


@asynccontextmanager
async def field(folder: Path) -> AsyncIterator[tuple[CentreHalf, GatewayLike]]:
    async with (
        broker(folder / "broker") as port,
        CentreHalf(folder, port).running() as centre,
        GatewayLike(port) as gateway,
    ):
        gateway.obey = False  # the only command that it carries out is a resend
        yield centre, gateway


async def test_an_order_goes_to_its_gateway_again_until_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_orders, "REPEAT_S", 0.1)
    async with field(tmp_path) as (centre, gateway):
        order = ordered(centre)
        await gateway.until(lambda: len(gateway.commands) >= 3)
        assert {command.id for command in gateway.commands} == {order.id}
        command = gateway.commands[0]
        assert (command.do, command.args["station"], command.args["state"]) == (
            *(PACE, "st1"),
            "event",
        )
        assert command.now_ms < command.expires_ms
        answer = CommandAck(order.id, Outcome.DONE, detail="event for 600 s")
        await gateway.raw(encode_command_ack(answer), Leaf.CMDACK)
        await until(lambda: order.outcome is PaceOutcome.DONE)
        assert centre.intake.health()["asked"] == 0, "it is none of the lost batches' affair"


async def test_orders_made_while_others_are_sent_do_not_end_the_intake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Command] = []
    async with field(tmp_path) as (centre, gateway):
        line = centre.intake._line
        publish = line.publish

        async def slow(topic: str, payload: bytes, *, retain: bool = False) -> bool:
            if topic.endswith("/cmd"):
                sent.append(decode_command(payload))
                if len(sent) == 1:
                    ordered(centre, "st2")
            return await publish(topic, payload, retain=retain)

        monkeypatch.setattr(line, "publish", slow)
        first = ordered(centre)
        await gateway.until(lambda: len(gateway.commands) == 2)
        second = centre.intake.pace.last("st2", centre.clock.monotonic_s())
        assert second is not None
        assert [command.id for command in sent] == [first.id, second.id]


async def test_a_status_that_comes_while_batches_are_asked_for_does_not_end_the_intake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {batches.LOG: ((1, 3),), batches.OTHER_LOG: ((1, 3),)}
    async with field(tmp_path) as (centre, gateway):
        line, saw = centre.intake._line, centre.intake._antientropy.saw
        publish = line.publish

        async def slow(topic: str, payload: bytes, *, retain: bool = False) -> bool:
            if topic.endswith("/cmd"):
                # As a broker that takes nothing for a moment has it: a status is read meanwhile.
                one = {batches.LOG: both[batches.LOG]}
                saw(GatewayStatus("gw1", online=True, held=one), centre.clock.monotonic_s())
            return await publish(topic, payload, retain=retain)

        monkeypatch.setattr(line, "publish", slow)
        saw(GatewayStatus("gw1", online=True, held=both), centre.clock.monotonic_s())
        await gateway.until(lambda: len(gateway.commands) == 2)
        assert {command.args["log"] for command in gateway.commands} == both.keys()
