"""The centre as one process: from a batch on the broker to a warning, and to an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import tomllib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from rig.centre_process import PATIENCE_S, CentreProcess, command, settings_file
from rig.gatewaylike import GatewayLike
from rig.sse import StreamClient

from egret_core.reading import Reading

pytestmark = pytest.mark.system

STREAMS = 128
STOP_MAX_S = 3.0  # a promise, not a measure


def broker_port(path: Path) -> int:
    return int(tomllib.loads(path.read_text())["broker"]["port"])


def now_ms(body: Any) -> int:
    from egret_aggregator.api.times import parsed  # noqa: PLC0415

    return parsed(body["as_of"])


async def test_a_rising_river_becomes_a_warning_that_outlives_kill_minus_nine(
    tmp_path: Path,
) -> None:
    path = settings_file(tmp_path)
    async with CentreProcess(path) as centre:
        start_ms = now_ms(await centre.get("/api/v1/warnings"))
        levels = [Reading("st0007", "wl", start_ms + n, 2.0 + n) for n in range(4)]
        async with (
            StreamClient(centre.url, centre.bearer) as seat,
            GatewayLike(broker_port(path), gateway="XM-TA-0042") as gateway,
        ):
            gateway.cut(1, levels)
            await gateway.send(1)
            (told, *_) = await seat.warnings(1)
            await gateway.until(lambda: gateway.settled == {1})
        id_ = told.body["id"]
        assert told.body["warning"]["subject"] == "st0007/wl"
        seen = await centre.post(f"/api/v1/warnings/{id_}/acknowledge", {"note": "seen"})
        assert seen.status_code == 200
        shown = (await centre.get("/api/v1/latest?station=st0007"))["items"]
        assert {item["channel"]: item["unit"] for item in shown} == {"rain": "mm", "wl": "m"}
        gateways = (await centre.get("/api/v1/gateways"))["items"]
        assert [g["id"] for g in gateways if g["heard"]] == ["XM-TA-0042"]
        await centre.ended(signal.SIGKILL)
    async with CentreProcess(path) as centre:
        warning = (await centre.get(f"/api/v1/warnings/{id_}"))["warning"]
        assert (warning["state"], warning["level"]) == ("acknowledged", "red")
        code, _ = await centre.ended()
        assert code == 0
    code, out, _ = await command("audit", "verify", str(path))
    assert (code, out.split(":")[0]) == (0, "ok")


async def test_sigterm_with_128_streams_and_one_that_stalls(tmp_path: Path) -> None:
    async with CentreProcess(settings_file(tmp_path)) as centre, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(StreamClient(centre.url, centre.bearer, small=n == 0))
            for n in range(STREAMS)
        ]
        await asyncio.gather(*(client.next() for client in clients))
        broker = broker_pid(centre)
        code, took_s = await centre.ended()
        assert code == 0, centre.log()
        assert took_s <= STOP_MAX_S
        ends = await asyncio.gather(*(last(client) for client in clients))
        assert ends == [None] * STREAMS
        assert not runs(broker)


async def last(client: StreamClient) -> None:
    while await client.next() is not None:
        pass


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def broker_pid(centre: CentreProcess) -> int:
    """Return the process id of the centre's child."""
    children = Path(f"/proc/{centre.child.pid}/task/{centre.child.pid}/children").read_text()
    (pid,) = children.split()
    return int(pid)


async def test_a_part_that_dies_takes_the_process_down(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    async with CentreProcess(path) as centre:
        start_ms = now_ms(await centre.get("/api/v1/warnings"))
        raw = sqlite3.connect(tmp_path / "data" / "egret.db")
        with raw:
            raw.execute("DROP TABLE ledger")
        raw.close()
        async with GatewayLike(broker_port(path), gateway="XM-TA-0042") as gateway:
            gateway.cut(1, [Reading("st0007", "wl", start_ms, 9.0)])
            await gateway.send(1)
            async with asyncio.timeout(PATIENCE_S):
                code = await centre.child.wait()
        assert code == 3
        assert "part=judge state=dead" in centre.log()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with CentreProcess(settings_file(tmp_path)) as centre:
        port = int(centre.url.rsplit(":", 1)[1])
        (tmp_path / "other").mkdir()
        other = settings_file(tmp_path / "other", api_port=port)
        code, out, err = await command("run", str(other))
        assert (code, out) == (3, "")
        assert f"127.0.0.1:{port}" in err
        assert "[api] port" in err


async def test_a_second_centre_on_the_same_data_is_refused_and_harms_the_first_in_nothing(
    tmp_path: Path,
) -> None:
    path = settings_file(tmp_path)
    async with CentreProcess(path) as centre:
        broker = broker_pid(centre)
        code, out, err = await command("run", str(path))
        assert (code, out) == (3, "")
        assert "[centre] data" in err
        assert runs(broker), "its broker is not taken for a stale one"
        assert (await centre.get("/api/v1/warnings"))["items"] == []
        code, _ = await centre.ended()
        assert code == 0


async def test_a_broker_that_is_killed_comes_back_and_is_told_in_the_figures(
    tmp_path: Path,
) -> None:
    path = settings_file(tmp_path)
    async with CentreProcess(path) as centre:
        start_ms = now_ms(await centre.get("/api/v1/warnings"))
        os.kill(broker_pid(centre), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while "egret_broker_restarts_total 1" not in await centre.text("/metrics"):
                await asyncio.sleep(0.05)
        assert "egret_broker_up 1" in await centre.text("/metrics")
        async with GatewayLike(broker_port(path), gateway="XM-TA-0042") as gateway:
            gateway.cut(1, [Reading("st0007", "wl", start_ms, 9.0)])
            async with asyncio.timeout(PATIENCE_S):
                while gateway.settled != {1}:
                    await gateway.send(1)
                    await asyncio.sleep(0.1)
        code, _ = await centre.ended()
        assert code == 0
