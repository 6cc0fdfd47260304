"""`egret-gateway read` while the service holds the port: it is the service that asks."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.broker import running_broker
from rig.pty import FarEnd
from rig.site import site, stage

from egret_gateway.cli import main
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply
from egret_gateway.status import FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WAIT_S = 60.0
CODE = "import sys; from egret_gateway.cli import main; sys.exit(main())"


class Gauges:
    """Unit 7 answers 300, unit 9 nothing."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def __call__(self, data: bytes) -> bytes:
        self._pending += data
        request = find_request(bytes(self._pending), (7, 9))
        if request is None:
            return b""
        del self._pending[: request.end]
        return reply(request, [300] * request.words) if request.unit == 7 else b""


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[None]:
    box = await asyncio.create_subprocess_exec(sys.executable, "-c", CODE, "run", str(path))
    try:
        async with asyncio.timeout(WAIT_S):
            while not (path.parent / "data" / FILE).exists():
                await asyncio.sleep(0.05)
        yield
    finally:
        box.send_signal(signal.SIGTERM)
        await box.communicate()


async def read(path: Path, capsys: pytest.CaptureFixture[str], unit: int) -> dict[str, Any]:
    capsys.readouterr()
    code = await asyncio.to_thread(main, ["read", str(path), "--unit", str(unit), "--json"])
    return {**json.loads(capsys.readouterr().out), "code": code}


@pytest.mark.system
async def test_a_device_is_read_while_the_service_holds_its_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_broker(tmp_path / "broker") as broker:
        with FarEnd(Gauges()) as far:
            devices = stage(7, period_s=0.5) + stage(9, "far", 0.5)
            data = ('"data"', f'"{tmp_path}/data"')
            path = site(tmp_path, port=far.path, baud=115200, devices=devices, swap=data)
            path.write_text(f"{path.read_text()}\n[broker]\nport = {broker.port}\n")
            assert (await read(path, capsys, 7))["by"] == "here"
            async with running(path):
                told: dict[str, Any] = {"code": 3}
                async with asyncio.timeout(WAIT_S):
                    while told["code"] != 0:  # the port may not be open yet
                        told = await read(path, capsys, 7)
                assert told["by"] == "service"
                (shown,) = told["reads"]
                assert shown["sent"].startswith("07 03 00 00")
                assert shown["got"].startswith("07 03")
                assert shown["values"][0]["raw"] == 300
                assert await asyncio.to_thread(main, ["read", str(path), "--unit", "7"]) == 0
                assert "(asked by the running service)" in capsys.readouterr().out
                dead = await read(path, capsys, 9)
                assert dead["code"] == 3
                assert dead["reads"][0]["fault"] in ("timeout", "quarantined")
            again = await read(path, capsys, 7)
            assert (again["by"], again["code"]) == ("here", 0)
