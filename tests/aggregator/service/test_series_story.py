"""One centre as a user starts it: readings come in by HTTP and by file, and go out again."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.api_centre import FED, STATIONS, catalogue_folder
from rig.centre_process import PATIENCE_S, CentreProcess, command, settings_file

from egret_aggregator.api.times import rfc3339

if TYPE_CHECKING:
    from pathlib import Path

WL = "/api/v1/stations/st0009/channels/wl"


async def token(path: Path, role: str) -> str:
    _, out, _ = await command(
        "token", "add", str(path), "--role", role, "--name", f"{role}1", "--json"
    )
    return str(json.loads(out)["token"])


async def until_stored(client: httpx2.AsyncClient, span: str, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            items: list[Any] = (await client.get(f"{WL}/readings?{span}&limit=999")).json()["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.1)


@pytest.mark.system
async def test_readings_come_in_twice_over_and_go_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings_file(tmp_path)
    catalogue_folder(tmp_path / "catalogue", STATIONS + FED)
    now_ms = time.time_ns() // 1_000_000 // 3_600_000 * 3_600_000
    span = f"from={rfc3339(now_ms - 7_200_000)}&to={rfc3339(now_ms)}"
    feeder, admin = await token(path, "feeder"), await token(path, "admin")
    async with CentreProcess(path) as centre, httpx2.AsyncClient(base_url=centre.url) as client:
        fresh = {"station": "st0009", "channel": "wl", "unit": "cm", "datum": "Bureau"}
        times = [now_ms - 60_000 * n for n in range(1, 31)]
        rows = [{**fresh, "time": rfc3339(at), "value": 300 + n} for n, at in enumerate(times)]
        for _ in range(2):
            answer = await client.post(
                "/api/v1/readings",
                json={"batch": "b1", "readings": rows},
                headers={"Authorization": f"Bearer {feeder}"},
            )
            assert answer.json()["accepted"] == 30, answer.text
        client.headers["Authorization"] = f"Bearer {admin}"
        # The file has the first thirty again, and thirty older ones.
        older = [*times, *(now_ms - 60_000 * n for n in range(31, 61))]
        lines = [f"st0009,wl,{rfc3339(at)},{3 + n / 100},m,Bureau\n" for n, at in enumerate(older)]
        file = tmp_path / "old.csv"
        file.write_text("station,channel,time,value,unit,datum\n" + "".join(lines))
        monkeypatch.setenv("EGRET_TOKEN", admin)
        code, out, err = await command("import", str(path), str(file), "--url", centre.url)
        assert (code, "60 readings brought in" in out) == (0, True), err
        items = await until_stored(client, span, 60)
        assert len(items) == 60
        assert sum("IMPORTED" in item["notes"] for item in items) == 30
        chart = (await client.get(f"{WL}/buckets?{span}&width_s=3600")).json()
        (bucket,) = [item for item in chart["items"] if item["count"]]
        left = (chart["rollups"]["pending"], chart["rollups"]["unmarked"])
        assert (bucket["n"], bucket["max"], left) == (60, 3.59, (0, 0))
        target = tmp_path / "out.csv"
        words = span.replace("from=", "").replace("to=", "").split("&")
        code, _, err = await command(
            "export", str(path), "--from", words[0], "--to", words[1], "--out", str(target)
        )
        assert code == 0, err
        with target.open(newline="") as found:
            values = [float(row["value"]) for row in csv.DictReader(found)]
        assert sorted(values) == pytest.approx([3 + n / 100 for n in range(60)])
