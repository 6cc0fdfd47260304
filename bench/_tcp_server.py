"""A Modbus TCP server for a thousand connections: register i of any unit is i; prints its port."""

from __future__ import annotations

import asyncio
import sys


class Device(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data
        while len(self.heard) >= 12:
            request, self.heard = self.heard[:12], self.heard[12:]
            first = int.from_bytes(request[8:10], "big")
            count = int.from_bytes(request[10:12], "big")
            words = b"".join((first + k).to_bytes(2, "big") for k in range(count))
            size = (3 + len(words)).to_bytes(2, "big")
            head = request[:4] + size + request[6:8] + bytes((len(words),))
            self.transport.write(head + words)  # type: ignore[attr-defined]


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Device, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main())
