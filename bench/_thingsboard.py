"""ThingsBoard IoT Gateway on the devices of `_field`: a peer, in an environment of its own.

It is installed into a cache folder, never into ours. Its broker is a bare one in which we answer
what its platform would: the limits of its session; without them it publishes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HERE = Path(__file__).resolve().parent
VERSION = "3.8.5"
PACKAGES = (
    f"thingsboard-gateway=={VERSION}",
    "pymodbus==3.9.2",  # what it would fetch by itself at its first start
    "pyserial",
    "pyserial-asyncio",
)
ASKED = "v1/devices/me/rpc/request/+"
ANSWER = "v1/devices/me/rpc/response/"
TELEMETRY = "v1/gateway/telemetry"
UNLIMITED = {"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""}
LIMITS = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 1000,
    "rateLimits": UNLIMITED,
    "gatewayRateLimits": UNLIMITED,
}
START = "from thingsboard_gateway.tb_gateway import main; main()"


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "egret" / f"thingsboard-{VERSION}"


def provide() -> Path:
    """Return the Python that has it, installed at the first call."""
    python = cache() / "bin" / "python"
    if (cache() / "whole").exists():
        return python
    uv = shutil.which("uv") or str(HERE.parent / ".uv" / "bin" / "uv")
    shutil.rmtree(cache(), ignore_errors=True)
    for words in (
        ("venv", "--quiet", "--python", "3.11", str(cache())),
        ("pip", "install", "--quiet", "--python", str(python), *PACKAGES),
    ):
        subprocess.run([uv, *words], check=True, stdout=sys.stderr)
    (cache() / "whole").touch()  # an install that was broken off is done again
    return python


def write_config(folder: Path, ports: Sequence[int], tags: int, period_s: float, port: int) -> None:
    """Write its files: one slave for each port, so many tags of one register each."""
    folder.mkdir(parents=True, exist_ok=True)
    slaves = [
        {
            "host": "127.0.0.1", "port": number, "type": "tcp", "method": "socket", "unitId": 1,
            "deviceName": f"device{number}", "deviceType": "default", "timeout": 5,
            "byteOrder": "BIG", "wordOrder": "BIG", "retries": 1, "pollPeriod": period_s * 1000,
            "connectAttemptTimeMs": 1000, "connectAttemptCount": 5,
            "waitAfterFailedAttemptsMs": 1000, "attributes": [],
            "timeseries": [
                {
                    "tag": f"r{k}", "type": "16uint", "functionCode": 3, "objectsCount": 1,
                    "address": k,
                }
                for k in range(tags)
            ],
            "attributeUpdates": [], "rpc": [],
        }
        for number in ports
    ]  # fmt: skip
    gateway: dict[str, Any] = {
        "thingsboard": {
            "host": "127.0.0.1", "port": port, "remoteShell": False, "remoteConfiguration": False,
            "statistics": {"enable": False}, "checkConnectorsConfigurationInSeconds": 60,
            "security": {"type": "accessToken", "accessToken": "bench"}, "qos": 1,
            "checkingDeviceActivity": {"checkDeviceInactivity": False},
        },
        "storage": {"type": "memory", "read_records_count": 100, "max_records_count": 100_000},
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "modbus", "configuration": "modbus.json"}],
    }  # fmt: skip
    logs = {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
    }
    for name, body in (
        ("tb_gateway", gateway),
        ("modbus", {"master": {"slaves": slaves}}),
        ("logs", logs),
    ):
        (folder / f"{name}.json").write_text(json.dumps(body))


@asynccontextmanager
async def platform(port: int) -> AsyncIterator[list[int]]:
    """Answer for the platform; yield a list whose one number counts what was published."""
    count = [0]

    async def answer(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            body = json.loads(bytes(message.payload))
            topic = str(message.topic)
            if topic == TELEMETRY:
                count[0] += sum(
                    len(row["values"]) if "values" in row else len(row)
                    for rows in body.values()
                    for row in rows
                )
            elif body.get("method") == "getSessionLimits":
                number = topic.rpartition("/")[2]
                await client.publish(ANSWER + number, json.dumps(LIMITS), qos=1)

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe([(ASKED, 1), (TELEMETRY, 1)])
        task = asyncio.create_task(answer(client))
        try:
            yield count
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def start(python: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start it; end it by its process."""
    with (folder / "thingsboard.log").open("ab") as log:
        return subprocess.Popen(
            [str(python), "-c", START],
            env={**os.environ, "TB_GW_CONFIG_DIR": f"{folder}/"},
            cwd=folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
