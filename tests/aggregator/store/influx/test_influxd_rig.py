"""The test server is what it says: a real influxd that writes as InfluxDB 1.8 does."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import httpx2
import pytest
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException
from rig.influx_alias import Fault
from rig.influxd import ADMIN, running_influxd, why_no_influxd

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd() or "complete"),
]
LINES = b"reading,station=a q=1i 1700000000000\nreading,station=b q=1i 1700000000000"


async def write(url: str, body: bytes, **more: str) -> httpx2.Response:
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    params = {"bucket": "egret", "org": "-", "precision": "ms"} | more
    async with httpx2.AsyncClient() as client:
        return await client.post(
            f"{url}/api/v2/write", params=params, content=body, headers=headers
        )


async def test_it_writes_as_1_8_does_and_forgets_nothing_when_killed(tmp_path: Path) -> None:
    async with running_influxd(tmp_path) as server:
        assert (await write(server.url, LINES)).status_code == 204
        zipped = gzip.compress(LINES.replace(b"000000 ", b"000060 ").replace(b"=a", b"=c"))
        answer = await write(server.url, zipped, bucket="egret/autogen", precision="ms")
        assert answer.status_code == 204
        assert await server.count() == 3
        bad = await write(server.url, b"reading,station=a q=x 1")
        assert (bad.status_code, "invalid boolean" in bad.text or "parse" in bad.text) == (
            400,
            True,
        )
        assert (await write(server.url, LINES, bucket="nosuch")).status_code == 404
        micros = b"reading,station=u q=1i 1700000000000000"
        assert (await write(server.url, micros, precision="us")).status_code == 204
        series = await server.ask("SELECT q FROM reading WHERE station = 'u'")
        assert series[0]["values"] == [[1_700_000_000_000, 1]]
        server.kill()
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{server.url}/health")).status_code == 503
            await server.start()
            health = await client.get(f"{server.url}/health")
        assert health.json() == {"name": "influxdb", "status": "pass", "version": "1.6.7~rc0"}
        assert await server.count() == 4


async def test_trouble_is_made_to_order(tmp_path: Path) -> None:
    async with running_influxd(tmp_path) as server:
        alias = server.faults
        alias.faults += [
            Fault(429, "slow down", {"Retry-After": "3"}),
            Fault(),
            Fault(applied=True),
        ]
        busy = await write(server.url, LINES)
        assert (busy.status_code, busy.text, busy.headers["Retry-After"]) == (429, "slow down", "3")
        for rows in (0, 2):
            with pytest.raises(httpx2.TransportError):
                await write(server.url, LINES)
            assert await server.count() == rows
        alias.standing = Fault(503)
        assert [(await write(server.url, LINES)).status_code for _ in range(2)] == [503, 503]
        alias.standing = Fault(slow_s=0.01)
        assert (await write(server.url, LINES)).status_code == 204
        assert [one.status for one in alias.writes()] == [429, 0, 0, 503, 503, 204]
        assert alias.writes()[0].query["bucket"] == "egret"


async def test_names_and_passwords_are_asked_for_where_wanted(tmp_path: Path) -> None:
    async with running_influxd(tmp_path, auth=True) as server:
        for token, status in (("rig:wrong", 401), (":".join(ADMIN), 204)):
            async with InfluxDBClientAsync(server.url, token=token, org="-") as client:
                try:
                    _, seen, _ = await client.api_client.call_api(
                        "/api/v2/write",
                        "POST",
                        query_params=[("bucket", "egret"), ("precision", "ms")],
                        header_params={"Content-Type": "text/plain; charset=utf-8"},
                        body=LINES,
                        _return_http_data_only=False,
                    )
                except ApiException as error:
                    seen = error.status
                assert seen == status
        assert await server.count() == 2


async def test_a_process_of_its_own_for_measurements(tmp_path: Path) -> None:
    async with running_influxd(tmp_path, own_process=True) as server:
        assert (await write(server.url, LINES)).status_code == 204
        assert await server.count() == 2
        assert server.cpu_s() > 0
