"""Links and brokers that fail: dropped, frozen, killed, deaf; and what the gateway says of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from rig.broker import Broker, running_broker
from rig.centre import running_centre
from rig.field_box import GATEWAY, running_box
from rig.proxy import running_proxy

from egret_core import topics
from egret_core.control import decode_status
from egret_core.messages import CONTROL_MAX_B, Taking
from egret_core.topics import Leaf
from egret_gateway.broker import BrokerSettings
from egret_gateway.clock import Vouched
from egret_gateway.credentials import logins
from egret_gateway.errors import UplinkError
from egret_gateway.uplink import mqtt, uplink, window
from egret_gateway.uplink.mqtt import Will, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.centre import Centre
    from rig.field_box import Box
    from rig.proxy import Proxy

KNOWN = Vouched(None, 0, own=False)

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(uplink, "BACKOFF_MAX_S", 0.2)


@asynccontextmanager
async def linked(folder: Path, delay_s: float = 0.0) -> AsyncIterator[tuple[Centre, Proxy, Box]]:
    """A centre and a box on one broker; the box reaches it through a link that a test harms."""
    async with (
        running_broker(folder / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
        running_proxy(broker.host, broker.port, delay_s) as link,
        running_box(folder / "box", link.host, link.port) as box,
    ):
        yield centre, link, box


async def test_a_link_that_drops_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    async with linked(tmp_path, 0.005) as (centre, link, box):
        for round_ in range(8):
            box.feed(150)
            await centre.until(lambda wanted=round_: len(centre.values()) > wanted * 150)
            link.drop()
        await centre.until(lambda: len(centre.values()) == 1200)
        await box.settled()
        assert centre.values() == [float(i) for i in range(1200)]
        assert link.connections >= 8


async def test_a_frozen_link_holds_everything_until_it_thaws(tmp_path: Path) -> None:
    async with linked(tmp_path) as (centre, link, box):
        await box.settled()
        link.freeze()
        box.feed(50)
        while box.outbox.stats()["unsettled"] == 0:
            await asyncio.sleep(0.01)
        assert centre.values() == []
        link.thaw()
        await centre.until(lambda: len(centre.values()) == 50)
        await box.settled()


async def test_silence_of_the_centre_gives_the_connection_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_gateway.uplink.window.SILENCE_MS", 300)
    monkeypatch.setattr(uplink, "SILENCE_MS", 300)
    async with linked(tmp_path) as (centre, link, box):
        await box.settled()
        before = link.connections
        centre.mute = True
        box.feed(1)
        await centre.until(lambda: link.connections > before and len(centre.came) >= 3)
        centre.mute = False
        await box.settled()


async def test_a_broker_killed_and_started_again_is_found_again(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    try:
        async with running_box(tmp_path / "box", broker.host, broker.port) as box:
            box.feed(100)
            broker.kill()
            box.feed(100)
            await broker.start()
            async with running_centre(broker.host, broker.port, GATEWAY) as centre:
                await centre.until(lambda: len(centre.values()) == 200)
                await box.settled()
                assert centre.values() == [float(i) for i in range(200)]
    finally:
        broker.stop()


async def test_a_new_run_of_the_centre_gets_what_was_in_flight(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_box(tmp_path / "box", broker.host, broker.port) as box,
    ):
        async with running_centre(broker.host, broker.port, GATEWAY) as first:
            await box.settled()
            first.mute = True
            box.feed(3)
            await first.until(lambda: len(first.came) >= 2)
        async with running_centre(broker.host, broker.port, GATEWAY) as second:
            box.feed(1)
            await second.until(lambda: second.values() == [0.0, 1.0, 2.0, 3.0])


async def test_what_went_before_any_centre_listened_goes_again_when_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("RESEND_MIN_MS", "RESEND_MAX_MS"):
        monkeypatch.setattr(window, limit, 600_000)
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_box(tmp_path / "box", broker.host, broker.port) as box,
    ):
        box.feed(3)
        async with asyncio.timeout(30):
            while len(box.uplink._window.flights) < 2:  # the meta and the readings
                await asyncio.sleep(0.02)
        async with running_centre(broker.host, broker.port, GATEWAY) as centre:
            await centre.say(Taking.ALL)
            await centre.until(lambda: centre.values() == [0.0, 1.0, 2.0])


async def test_the_status_tells_what_is_held_and_changes_at_once(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
        running_box(tmp_path / "box", broker.host, broker.port) as box,
    ):
        await centre.until(lambda: bool(centre.statuses))
        assert centre.statuses[-1].current_log == box.outbox.current_log
        assert centre.statuses[-1].held == {box.outbox.current_log: ((1, 1),)}
        assert centre.statuses[-1].clock.source == "rtc"
        assert centre.statuses[-1].outbox["bytes"] > 0
        box.buses["bus0"] = {"fault": "vanished"}
        await centre.until(lambda: "bus0" in centre.statuses[-1].buses)


async def test_a_status_never_outgrows_its_limit(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
        running_box(tmp_path / "box", broker.host, broker.port) as box,
    ):
        await centre.until(lambda: bool(centre.statuses))
        box.buses["bus0"] = {"fault": "x" * CONTROL_MAX_B}
        await centre.until(lambda: centre.statuses[-1].extra.get("buses_omitted") == 1)
        assert centre.statuses[-1].held


async def test_vanishing_leaves_a_retained_offline_status(tmp_path: Path) -> None:
    async with running_broker(tmp_path / "broker") as broker:
        async with (
            running_proxy(broker.host, broker.port) as link,
            running_centre(broker.host, broker.port, GATEWAY) as centre,
            running_box(tmp_path / "box", link.host, link.port),
        ):
            await centre.until(lambda: bool(centre.statuses) and centre.statuses[-1].online)
            link.refuse = True
            link.drop()
            await centre.until(lambda: not centre.statuses[-1].online)
        async with aiomqtt.Client(broker.host, broker.port) as later:
            await later.subscribe(topics.of(GATEWAY, Leaf.STATUS))
            message = await anext(aiter(later.messages))
            assert isinstance(message.payload, bytes)
            assert not decode_status(message.payload).online
            assert message.retain


async def test_a_refused_subscription_is_no_connection(tmp_path: Path) -> None:
    async with running_broker(tmp_path / "broker") as broker:
        settings = BrokerSettings(broker.host, broker.port)
        will = Will(topics.of(GATEWAY, Leaf.STATUS), b"{}")
        async with connect(settings, logins(settings)[0], "deaf", KNOWN, will) as connection:

            async def refuse(*_: object, **__: object) -> tuple[int, ...]:
                return (0, mqtt.REFUSED)

            connection._client.subscribe = refuse  # type: ignore[method-assign]
            with pytest.raises(UplinkError, match="refused subscriptions"):
                await connection.subscribe(["a", "b"])


async def test_no_broker_and_no_password_file_are_told_as_uplink_errors(tmp_path: Path) -> None:
    will = Will(topics.of(GATEWAY, Leaf.STATUS), b"{}")
    for settings in (
        BrokerSettings("127.0.0.1", 1),
        BrokerSettings("127.0.0.1", 1, "me", tmp_path / "missing"),
    ):
        with pytest.raises(UplinkError):
            async with connect(settings, logins(settings)[0], "nobody", KNOWN, will):
                pass
