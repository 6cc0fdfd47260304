"""The devices of `_field` by Modbus TCP: prints so many ports as it is told, and serves them."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from typing import TYPE_CHECKING

from _field import level
from rig.tcp_device import Peer, modbus_tcp

if TYPE_CHECKING:
    from egret_gateway.protocols.modbus_rtu_slave import Request


def answer(request: Request) -> list[int]:
    return [level(request.address + k) for k in range(request.words)]


async def main(count: int) -> None:
    peers = [Peer(modbus_tcp(answer)) for _ in range(count)]
    for peer in peers:
        await peer.start()
    sys.stdout.write(" ".join(str(peer.endpoint.port) for peer in peers) + "\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
