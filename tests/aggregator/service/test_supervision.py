from __future__ import annotations

import asyncio

import pytest

from egret_aggregator.supervision import TaskDiedError, supervise


class Part:
    def __init__(self) -> None:
        self.cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_all_end_when_asked_to() -> None:
    stop, a, b = asyncio.Event(), Part(), Part()
    task = asyncio.create_task(supervise({"a": a.run(), "b": b.run()}, stop))
    await asyncio.sleep(0)
    stop.set()
    await task
    assert a.cancelled
    assert b.cancelled


async def fails() -> None:
    raise ValueError("the disk is gone")


async def ends() -> None:
    await asyncio.sleep(0)


async def test_a_part_that_fails_is_named_and_ends_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    part = Part()
    with pytest.raises(TaskDiedError, match="judge ended: ValueError") as caught:
        await supervise({"api": part.run(), "judge": fails()}, asyncio.Event())
    assert caught.value.name == "judge"
    assert isinstance(caught.value.__cause__, ValueError)
    assert part.cancelled
    assert "part=judge state=dead" in caplog.text


async def test_a_part_that_simply_ends_is_no_orderly_end() -> None:
    part = Part()
    with pytest.raises(TaskDiedError, match="recorder ended: without an error"):
        await supervise({"api": part.run(), "recorder": ends()}, asyncio.Event())
    assert part.cancelled


async def test_cancelling_the_supervisor_cancels_all() -> None:
    part = Part()
    task = asyncio.create_task(supervise({"api": part.run()}, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert part.cancelled
