"""An orderly stop ends at whatever moment it comes, and says so to the gateways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike

from egret_core.messages import Taking

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system
ROUNDS = 12


async def test_a_cancellation_that_meets_what_the_intake_waits_for_still_ends_it(
    tmp_path: Path,
) -> None:
    async with broker(tmp_path / "broker") as port:
        for _ in range(ROUNDS):
            async with CentreHalf(tmp_path, port).running() as centre:
                # The event is set and the stop comes in the same turn of the loop.
                centre.intake._wake.set()
                await asyncio.sleep(0)
                centre.intake._wake.set()
        # The fixture waits for the end: it is here, so every round ended.


async def test_a_stop_between_two_connections_ends_at_once(tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as port:
        half = CentreHalf(tmp_path, port)
        async with half.running() as centre:
            assert centre.intake.health()["connected"]
        await until(lambda: not half.intake.health()["connected"])


async def test_gateways_hear_of_a_stop_in_the_midst_of_their_statuses(tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        for seq in range(1, 20):
            gateway.cut(seq)
        for _ in range(3):
            async with CentreHalf(tmp_path, port).running():
                for _ in range(5):
                    await gateway.status()
                await gateway.send(*gateway.outbox)
            await gateway.until(
                lambda: gateway.centre is not None and gateway.centre.taking == Taking.NONE
            )
            gateway.centre = None
