"""A talker behind a serial server: its lines come in packets, and the connection may go."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.talk import bus, device, talking

from egret_demo.talker import depth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def server(
    talk: Callable[[asyncio.StreamWriter, int], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve on a free port; `talk` has the connection's writer and its number."""
    talks: list[asyncio.Task[None]] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        try:
            await talk(writer, len(talks))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    try:
        yield f"tcp://{host}:{port}"
    finally:
        listening.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks)
        await asyncio.sleep(0.05)  # what was closed goes with the loop's next turn


async def test_lines_cut_by_packets_are_whole_and_no_line_spans_two_connections() -> None:
    async def talk(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            for part in (depth(1)[:7], depth(1)[7:] + depth(2)[:9], depth(2)[9:] + depth(3)[:11]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
            return  # in the middle of its third line
        writer.write(depth(3)[11:])
        for n in range(4, 1000):
            writer.write(depth(n))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server(talk) as port:
        settings = bus(port, device("nmea-echo-sounder", "depth", period_s=0.05))
        async with talking(settings) as (running, sink):
            await sink.until(lambda: max(sink.values("depth"), default=0) >= 0.04)
            await sink.until(lambda: len(sink.values("depth")) >= 5)
            unit = running.health()["units"]["nmea-echo-sounder"]
            assert unit["strange"] == {"beginning not heard": 1}
    values = sink.values("depth")
    assert 0.03 not in values
    assert values == sorted(values)


async def test_a_serial_server_that_is_not_there_is_told() -> None:
    settings = bus("tcp://127.0.0.1:9", device("nmea-echo-sounder", "depth", period_s=0.05))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0), talking(settings) as _:
            pytest.fail("it cannot be open")
