"""Tasks that live and die together: a centre is never half alive."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from egret_aggregator.errors import AggregatorError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from typing import Any

AGAIN_S = 1.0  # between two cancellations of a task that goes on; a stop has 3 s

_LOG = logging.getLogger(__name__)


class TaskDiedError(AggregatorError):
    """A part of the centre ended by itself; the centre stops, so that it is started whole.

    Attributes:
        name: of the part.
    """

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name} ended: {why}")


async def supervise(parts: Mapping[str, Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run parts until `stop` is set, then cancel them.

    Raises:
        TaskDiedError: a part ended by itself, with or without an error; the others are cancelled.
    """
    tasks = {asyncio.create_task(part, name=name): name for name, part in parts.items()}
    stopping = asyncio.create_task(_set(stop), name="stop")
    try:
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended([*tasks, stopping])
    if stopping in done:
        return
    dead = next(iter(done))
    error = None if dead.cancelled() else dead.exception()
    why = "cancelled" if dead.cancelled() else repr(error) if error else "without an error"
    _LOG.critical("part=%s state=dead error=%s", tasks[dead], why, exc_info=error)
    raise TaskDiedError(tasks[dead], why) from error


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended.

    Cancelled again where that is not enough: on Python 3.11 `asyncio.wait_for`, which libraries
    use, can swallow a cancellation that meets its event, and a stop would never end.
    """
    left = everybody = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    # What failed while it ended is of no further interest, but asyncio wants it to be looked at.
    await asyncio.gather(*everybody, return_exceptions=True)


async def _set(stop: asyncio.Event) -> None:
    await stop.wait()
