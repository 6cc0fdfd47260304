"""A whole centre on PostgreSQL: the server goes, readings are taken, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import httpx2
import pytest
from rig.centre_process import PATIENCE_S, CentreProcess, command, settings_file
from rig.gatewaylike import GatewayLike
from rig.postgresql import PASSWORD, why_missing

from egret_aggregator.api.times import parsed
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rig.postgresql import Cluster

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]
GATEWAY = "XM-TA-0042"


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await ask():
            await asyncio.sleep(0.05)


async def asked(centre: CentreProcess, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=centre.url, timeout=PATIENCE_S) as client:
        return await client.get(path, headers=centre.bearer)


async def test_warnings_wait_for_the_server_and_are_all_there(
    tmp_path: Path, cluster: Cluster
) -> None:
    path = settings_file(tmp_path)
    port = int(path.read_text().split("port = ")[1].split("\n")[0])
    where = cluster.create("centre")
    database = f'[database]\nurl = "{where.url}"\npassword_file = "{where.password_file}"\n'
    path.write_text(path.read_text() + database)
    async with CentreProcess(path) as centre, GatewayLike(port, gateway=GATEWAY) as gateway:
        now_ms = parsed((await centre.get("/api/v1/warnings"))["as_of"])

        async def send(seq: int, value: float) -> None:
            gateway.cut(seq, [Reading("st0007", "wl", now_ms + seq, value)])
            await gateway.send(seq)
            await gateway.until(lambda: seq in gateway.settled)  # journalled and acknowledged

        await send(1, 3.5)
        await until(lambda: _shows(centre, "level", "blue"))
        cluster.kill()
        try:
            await send(2, 9.0)
            await until(lambda: _named(centre))
            refused = await asked(centre, "/api/v1/warnings")
            body = refused.json()
            assert (refused.status_code, body["code"]) == (503, "database_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert "egret_database_up 0" in (await centre.text("/metrics")).splitlines()
            assert centre.child.returncode is None
        finally:
            cluster.start()
        await until(lambda: _shows(centre, "level", "red"))
        await until(lambda: _ready(centre))
        cluster.kill()
        await send(3, 2.0)
        assert (await centre.ended(signal.SIGTERM))[0] == 0, centre.log()
        cluster.start()
    async with CentreProcess(path) as centre:
        await until(lambda: _shows(centre, "condition", "returned"))
        assert PASSWORD not in centre.log()
        assert not list((tmp_path / "data").glob("egret.db*"))
    code, out, _ = await command("audit", "verify", str(path))
    assert (code, "ok: " in out) == (0, True)


async def test_a_server_that_is_not_there_ends_the_start_with_code_3(
    tmp_path: Path, cluster: Cluster
) -> None:
    path = settings_file(tmp_path)
    where = cluster.settings("centre", 1)
    path.write_text(
        path.read_text()
        + f'[database]\nurl = "{where.url}"\npassword_file = "{where.password_file}"\n'
    )
    code, _, err = await command("run", str(path))
    assert (code, "127.0.0.1:1/centre: " in err, "Traceback" in err) == (3, True, False)
    assert PASSWORD not in err


async def _ready(centre: CentreProcess) -> bool:
    return (await asked(centre, "/readyz")).status_code == 200


async def _named(centre: CentreProcess) -> bool:
    ready = await asked(centre, "/readyz")
    return ready.status_code == 503 and "database_unavailable" in ready.json()["why"]


async def _shows(centre: CentreProcess, key: str, wanted: str) -> bool:
    items = (await centre.get("/api/v1/warnings"))["items"]
    return [item[key] for item in items] == [wanted]
