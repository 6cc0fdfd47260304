"""The gateway as a process: it starts without port or broker, keeps, stops in time."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.field_box import make_outbox

from egret_core.entries import read_readings
from egret_core.messages import Kind
from egret_core.quality import Reason

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system
WAIT_S = 30.0
CONFIG = """
[gateway]
id = "XM-TA-0042"
data = "{data}"
[broker]
port = {port}
[[bus]]
name = "bus0"
port = "{data}/no-such-port"
cut_s = 0.05
[[bus.device]]
profile = "vega-vegapuls-c"
unit = 246
station = "st0007"
period_s = 0.2
[bus.device.channels.{item}]
channel = "wl"
datum = "Luoling"
"""


def written(folder: Path, port: int) -> Path:
    path = folder / "gateway.toml"
    path.write_text(CONFIG.format(data=folder / "data", port=port, item="level"))
    return path


MAIN = "import sys; from egret_gateway.cli import main; sys.exit(main())"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


async def start(config: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "run", str(config), stderr=asyncio.subprocess.PIPE
    )


def stored(folder: Path) -> int:
    path = folder / "data" / "outbox.db"
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM batch WHERE kind = 'readings'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


async def test_without_port_and_broker_it_keeps_what_is_missing_and_stops_in_time(
    tmp_path: Path,
) -> None:
    box = await start(written(tmp_path, 1))
    async with asyncio.timeout(WAIT_S):
        while stored(tmp_path) < 2:
            await asyncio.sleep(0.05)
    began = time.monotonic()
    box.send_signal(signal.SIGTERM)
    _, log = await box.communicate()
    assert box.returncode == 0, log.decode()
    assert time.monotonic() - began < WAIT_S
    assert b"Traceback" not in log


async def test_its_missing_readings_reach_the_centre_with_their_reason(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, "XM-TA-0042") as centre,
    ):
        box = await start(written(tmp_path, broker.port))
        try:
            await centre.until(lambda: len(centre.batches()) >= 2)
            assert len(centre.batches(Kind.META)) == 1
            found = [r for batch in centre.batches() for r in read_readings(batch).dated]
            assert all(reading.value is None for reading in found)
            assert all(reading.reasons & Reason.PORT for reading in found)
            await centre.until(lambda: bool(centre.statuses))
            assert "bus0" in centre.statuses[-1].buses
        finally:
            box.send_signal(signal.SIGINT)
            await box.communicate()
        assert box.returncode == 0
        await centre.until(lambda: not centre.statuses[-1].online)


def test_a_second_gateway_on_the_same_data_is_refused_by_name(tmp_path: Path) -> None:
    config = written(tmp_path, 1)
    outbox = make_outbox(tmp_path / "data")
    outbox.open()
    try:
        done = run("run", config)
    finally:
        outbox.close()
    assert done.returncode == 3
    assert "another process has this outbox" in done.stderr


def test_maintenance_is_turned_on_shown_and_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from egret_gateway.cli import main  # noqa: PLC0415  (its import needs the whole gateway)

    config = str(written(tmp_path, 1))
    assert main(["maintenance", "status", config]) == 0
    assert "readings count" in capsys.readouterr().out
    assert main(["maintenance", "on", "--for", "30m", config, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["maintenance"] is True
    assert 1790 <= told["left_s"] <= 1800
    assert main(["maintenance", "off", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"maintenance": False, "left_s": 0}
    assert main(["maintenance", "on", "--for", "25h", config]) == 1
    assert "not between" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        main(["maintenance", "on", "--for", "soon", config])
    assert wrong.value.code == 2


def test_settings_that_cannot_be_used_end_with_one(tmp_path: Path) -> None:
    config = written(tmp_path, 1)
    config.write_text(config.read_text().replace("unit = 246", "unit = 999"))
    done = run("run", config)
    assert done.returncode == 1
    assert "unit" in done.stderr
