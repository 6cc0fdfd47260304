"""A whole gateway told by the centre to read faster, over a real broker, and its word on it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.field_box import GATEWAY
from rig.pty import FarEnd
from rig.scripted import ScriptedDevice
from rig.site import site, stage

from egret_core.entries import read_metas, read_readings
from egret_core.messages import PACE, Command, Kind, Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system
MAIN = "import sys; from egret_gateway.cli import main; sys.exit(main())"


async def test_the_centre_s_order_is_carried_out_and_shown(tmp_path: Path) -> None:
    device = stage(7, "wl", 600).replace("period_s", "event_s = 0.1\nperiod_s")
    with FarEnd(ScriptedDevice()) as far:
        async with (
            running_broker(tmp_path / "broker") as broker,
            running_centre(broker.host, broker.port, GATEWAY) as centre,
        ):
            link = f'port = {broker.port}\nhost = "{broker.host}"\n'
            path = site(tmp_path, port=far.path, baud=115200, bus="cut_s = 0.05", devices=device)
            data = f'data = "{tmp_path / "data"}"\n[broker]\n{link}'
            path.write_text(path.read_text().replace('data = "data"\n', data))
            box = await asyncio.create_subprocess_exec(
                sys.executable, "-c", MAIN, "run", str(path), stderr=asyncio.subprocess.PIPE
            )
            try:
                await centre.until(lambda: len(centre.batches(Kind.READINGS)) >= 1)
                now = time.time_ns() // 1_000_000
                args = {"station": "st0007", "state": "event", "for_s": 3600}
                await centre.order(Command("p1", now + 60_000, PACE, args, now))
                await centre.until(lambda: len(centre.answers) >= 1)
                assert centre.answers[0].outcome == Outcome.DONE
                await centre.until(lambda: len(centre.batches(Kind.READINGS)) >= 8)
                told = {"st0007": "event"}
                await centre.until(lambda: centre.statuses[-1].extra.get("pace") == told)
            finally:
                box.send_signal(signal.SIGINT)
                _, log = await box.communicate()
            assert box.returncode == 0
            (meta,) = read_metas(centre.batches(Kind.META)[0]).channels
            assert meta.period_s == 600.0, "what absence is judged by stays the normal period"
            readings = [r for b in centre.batches(Kind.READINGS) for r in read_readings(b).dated]
            assert all(reading.reasons == 0 for reading in readings)
    assert b"event=pace station=st0007 was=normal now=event why=order" in log
