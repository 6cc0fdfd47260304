"""What is too large for a backtest's pipes, and processes that are slow to end."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from rig.catalogues import RIVER, STATIONS

from egret_aggregator import catalogue
from egret_aggregator.backtest import Span, jobs, request
from egret_aggregator.backtest.jobs import Backtests, BusyError, Job, TooLargeError
from egret_aggregator.backtest.request import Request

ASKED = Request(catalogue.of_texts(STATIONS, RIVER, "f"), Span(0, 1))
LIMIT_S = 30
DEAF = (
    "import json, os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(json.dumps({'progress': {'pid': os.getpid()}}), flush=True)\ntime.sleep(60)"
)


def test_a_result_that_is_too_large_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "LINE_MAX_B", request._ROOM_B + 20_000)
    event = {"evidence": "x" * 100}
    whole = {"standing": [event] * 10, "events": [event] * 100, "truncated": False, "settled": 100}
    assert request.cut(whole) == whole
    cut = request.cut({**whole, "events": [event] * 1000})
    assert (cut["truncated"], cut["settled"]) == (True, 100)
    assert 0 < len(cut["events"]) < 1000
    assert len(json.dumps(cut)) <= 20_000


def test_a_request_that_is_too_large_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "REQUEST_MAX_B", len(ASKED.line()) - 1)
    office = Backtests((sys.executable, "-c", DEAF), lambda: 0)
    with pytest.raises(TooLargeError, match="fewer stations"):
        office.start(ASKED, "officer:li", {})
    assert office.newest_first() == []


def alive(job: Job) -> bool:
    try:
        os.kill(job.progress["pid"], 0)
    except ProcessLookupError:
        return False
    return True


async def begun(office: Backtests) -> Job:
    job = office.start(ASKED, "officer:li", {})
    async with asyncio.timeout(LIMIT_S):
        while "pid" not in job.progress:
            await asyncio.sleep(0.01)
    return job


async def test_a_process_that_is_being_ended_still_counts_and_is_gone_at_the_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "STOP_S", 0.5)
    office = Backtests((sys.executable, "-c", DEAF), lambda: 0)
    job = await begun(office)
    ending = asyncio.create_task(office.cancel(job))
    await asyncio.sleep(0.05)
    with pytest.raises(BusyError, match=job.id):
        office.start(ASKED, "officer:wu", {})
    await office.close()  # the second word to end it must not leave it alive
    await ending
    assert not alive(job)
    again = await begun(office)
    await office.close()
    assert not alive(again)
