from __future__ import annotations

import asyncio

import pytest

from egret_aggregator import supervision
from egret_aggregator.supervision import TaskDiedError, ended, supervise


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


class Deaf:
    """A part whose library swallows some cancellations, as `asyncio.wait_for` may on 3.11."""

    def __init__(self, swallows: int) -> None:
        self.left = swallows

    async def run(self) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.left == 0:
                    raise
                self.left -= 1


async def test_a_part_that_swallows_its_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervision, "AGAIN_S", 0.01)
    stop, deaf, other = asyncio.Event(), Deaf(3), Part()
    task = asyncio.create_task(supervise({"deaf": deaf.run(), "other": other.run()}, stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(30):
        await task
    assert (deaf.left, other.cancelled) == (0, True)


async def test_a_part_that_was_cancelled_by_somebody_else_is_a_dead_part() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    part = Part()
    with pytest.raises(TaskDiedError, match="broker ended: cancelled"):
        await supervise({"api": part.run(), "broker": cancelled()}, asyncio.Event())
    assert part.cancelled


async def test_a_part_that_fails_while_it_ends_keeps_nobody_from_ending() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("no farewell") from None

    part = Part()
    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(part.run())]
    await asyncio.sleep(0)
    await ended(tasks)
    assert part.cancelled
    assert all(task.done() for task in tasks)
    await ended([])
