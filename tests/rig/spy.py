"""An ear on the broker: which batches came, on which lane, in the order they were published."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import aiomqtt

from egret_core.codec import decode_batch
from egret_core.topics import Leaf, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from egret_core.messages import Batch

PATIENCE_S = 30.0
BATCHES = (Leaf.DATA, Leaf.BACKLOG)


class Heard(NamedTuple):
    """A batch and the lane it came on."""

    lane: Leaf
    batch: Batch


@asynccontextmanager
async def overheard(port: int, gateway: str) -> AsyncIterator[list[Heard]]:
    """Yield the list that grows with every batch of a gateway; one subscription, one order."""
    heard: list[Heard] = []
    ready = asyncio.Event()

    async def listen() -> None:
        async with aiomqtt.Client("127.0.0.1", port, identifier=f"spy-{id(heard)}") as client:
            await client.subscribe(f"egret/v1/{gateway}/+", qos=0)
            ready.set()
            async for message in client.messages:
                where = parse(str(message.topic))
                if where is not None and where[1] in BATCHES:
                    assert isinstance(message.payload, bytes)
                    heard.append(Heard(where[1], decode_batch(message.payload)))

    task = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        yield heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
