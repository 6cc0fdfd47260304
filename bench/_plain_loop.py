"""The loop that anybody writes first: one tag a request, one JSON object a device, QoS 1.

Arguments: broker's port, tags, period in s, ports of the devices. Prints how many it has read.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiomqtt
from pymodbus.client import AsyncModbusTcpClient


async def device(client: aiomqtt.Client, port: int, tags: int, period_s: float) -> None:
    modbus = AsyncModbusTcpClient("127.0.0.1", port=port)
    await modbus.connect()
    due = time.monotonic()
    while True:
        values = {}
        for tag in range(tags):
            reply = await modbus.read_holding_registers(tag, count=1, device_id=1)
            values[f"r{tag}"] = reply.registers[0] * 0.001
        body = json.dumps({"ts": time.time_ns() // 1_000_000, "values": values})
        await client.publish(f"plain/{port}", body, qos=1)
        COUNT[0] += tags
        due += period_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))


COUNT = [0]


async def main(broker: int, tags: int, period_s: float, ports: list[int]) -> None:
    async with aiomqtt.Client("127.0.0.1", broker) as client, asyncio.TaskGroup() as group:
        client.pending_calls_threshold = 2 * len(ports)
        for port in ports:
            group.create_task(device(client, port, tags, period_s))
        while True:
            await asyncio.sleep(0.1)
            sys.stdout.write(f"{COUNT[0]}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    words = sys.argv[1:]
    asyncio.run(main(int(words[0]), int(words[1]), float(words[2]), [int(w) for w in words[3:]]))
