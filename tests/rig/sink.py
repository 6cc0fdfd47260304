"""A bus that runs in a test, where its samples go, and how to wait for them without a clock."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from egret_gateway.bus.poll import Bus
    from egret_gateway.sample import Sample

LIMIT_S = 30.0  # generous: a loaded machine is no failure


class Sink:
    """`emit` for a `Bus`; `until` waits for what has come."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.memory: dict[str, str] = {}
        self._news = asyncio.Event()

    def emit(self, samples: Sequence[Sample], memory: Mapping[str, str]) -> None:
        self.samples.extend(samples)
        self.memory.update(memory)
        self._news.set()

    def values(self, channel: str = "wl") -> list[float]:
        """Return the values of one channel so far, without the missing ones."""
        return [s.value for s in self.samples if s.channel == channel and s.value is not None]

    async def until(self, enough: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Return when `enough()` is true; asked again after each emit."""
        async with asyncio.timeout(limit_s):
            while not enough():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def polling(bus: Bus) -> AsyncIterator[None]:
    """Run a bus; it must not end by itself before the block does."""
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
