"""Backtests of the API: one at a time, in a process that comes last, bounded and ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.history import Past, lived
from rig.rulebook import START_MS

from egret_aggregator import catalogue
from egret_aggregator.api import examples
from egret_aggregator.backtest import Span, jobs, request
from egret_aggregator.backtest.jobs import Backtests, BusyError, Job, State
from egret_aggregator.backtest.observed import Observed
from egret_aggregator.backtest.request import Request
from egret_core.rules.event import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_S = 60
HOUR_MS = 3_600_000
SPAN = Span(START_MS + HOUR_MS, START_MS + 6 * HOUR_MS)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return asyncio.run(lived(tmp_path_factory.mktemp("lived")))


@pytest.fixture
async def real(past: Past) -> AsyncIterator[Backtests]:
    office = Backtests.over(past.config, lambda: START_MS)
    yield office
    await office.close()


def asked(past: Past, **more: object) -> Request:
    places = catalogue.load(past.config.parent / "catalogue")
    return Request(places, SPAN, **more)  # type: ignore[arg-type]


async def ended(job: Job) -> Job:
    async with asyncio.timeout(LIMIT_S):
        while job.state is State.RUNNING:
            await asyncio.sleep(0.01)
    return job


def said(*lines: object, sleep_s: float = 0, code: int = 0) -> tuple[str, ...]:
    """Return a command that says these lines and lives on for a while."""
    script = (
        "import sys, time\nsys.stdin.readline()\n"
        f"for line in {[json.dumps(line) for line in lines]!r}:\n    print(line, flush=True)\n"
        f"time.sleep({sleep_s})\nsys.exit({code})"
    )
    return (sys.executable, "-c", script)


def office(*lines: object, sleep_s: float = 0, code: int = 0) -> Backtests:
    return Backtests(said(*lines, sleep_s=sleep_s, code=code), lambda: START_MS)


async def test_a_real_one_gives_what_was_lived(past: Past, real: Backtests) -> None:
    job = await ended(real.start(asked(past), "officer:li", {}))
    assert (job.state, job.why) == (State.DONE, "")
    assert job.result is not None
    settled = {
        one.id
        for one in past.live.values()
        if one.phase is Phase.SETTLED and SPAN.from_ms <= one.time_ms < SPAN.to_ms
    }
    assert {event["id"] for event in job.result["events"]} == settled
    assert job.progress["share"] == 1.0
    assert job.progress["readings"] > 100


async def test_its_result_has_the_fields_of_the_description(past: Past, real: Backtests) -> None:
    happened = [Observed(SPAN.from_ms + HOUR_MS, SPAN.from_ms + HOUR_MS, "st1")]
    job = await ended(real.start(asked(past, observed=happened), "officer:li", {}))
    example = examples.ANSWERS["get", "/api/v1/backtests/{backtest}"]["result"]
    assert job.result is not None
    assert job.result.keys() == example.keys()
    assert job.result["events"][0].keys() == example["events"][0].keys()
    assert job.result["scores"][0].keys() == example["scores"][0].keys()
    assert {row["rule"].split("@")[0] for row in job.result["scores"]} == {"river", "storm"}


async def test_the_process_comes_last_and_may_use_so_much_memory(
    past: Past,
) -> None:
    script = Path(request.__file__).with_name("child.py").read_text(encoding="utf-8")
    shown = script.replace(
        '    _say({"result": body})',
        "    limit = resource.getrlimit(resource.RLIMIT_AS)\n"
        '    _say({"result": [os.nice(0), *limit]})',
    )
    assert shown != script
    own = Backtests((sys.executable, "-c", shown, str(past.config)), lambda: START_MS)
    job = await ended(own.start(asked(past), "officer:li", {}))
    assert job.result == [request.NICE, request.MEMORY_MAX_B, request.MEMORY_MAX_B]


async def test_it_says_why_it_failed(past: Past, tmp_path: Path) -> None:
    own = Backtests.over(tmp_path / "no.toml", lambda: START_MS)
    job = await ended(own.start(asked(past), "officer:li", {}))
    assert job.state is State.FAILED
    assert "no.toml" in job.why


async def test_one_runs_at_a_time(past: Past) -> None:
    own = office(sleep_s=60)
    first = own.start(asked(past), "officer:li", {})
    with pytest.raises(BusyError, match=first.id):
        own.start(asked(past), "officer:wu", {})
    await own.cancel(first)
    second = own.start(asked(past), "officer:wu", {})
    assert [job.state for job in own.newest_first()] == [State.RUNNING, State.CANCELLED]
    await own.cancel(second)


def children() -> set[int]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(word) for word in path.read_text().split()}


@pytest.mark.parametrize("way", ["cancel", "close"])
async def test_a_cancelled_one_leaves_no_process(past: Past, way: str) -> None:
    before = children()
    own = office({"progress": {"share": 0.5, "to_ms": 1, "readings": 2, "events": 3}}, sleep_s=60)
    job = own.start(asked(past), "officer:li", {})
    async with asyncio.timeout(LIMIT_S):
        while job.progress["share"] != 0.5:
            await asyncio.sleep(0.01)
    assert children() - before
    await (own.cancel(job) if way == "cancel" else own.close())
    assert not children() - before
    assert (job.state, job.ended_ms) == (State.CANCELLED, START_MS)
    await own.cancel(job)  # again: it stays as it is
    assert job.state is State.CANCELLED


async def test_one_that_heeds_no_signal_is_made_to_end(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STOP_S", 0.2)
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('{\"progress\": {}}', flush=True)\ntime.sleep(60)"
    )
    own = Backtests((sys.executable, "-c", deaf), lambda: START_MS)
    before = children()
    job = own.start(asked(past), "officer:li", {})
    async with asyncio.timeout(LIMIT_S):
        while job.progress:
            await asyncio.sleep(0.01)
        await own.cancel(job)
    assert not children() - before


async def test_one_that_takes_too_long_fails(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RUN_MAX_S", 0.3)
    own = office(sleep_s=60)
    job = await ended(own.start(asked(past), "officer:li", {}))
    assert (job.state, job.why) == (State.FAILED, "it took more than 0.3 s")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (said(code=7), "ended with 7 and no result"),
        (said({"failed": "no room"}, code=1), "no room"),
        (("/nowhere/no-such-program",), "No such file"),
        ((sys.executable, "-c", "print('not json')"), "Expecting value"),
    ],
)
async def test_every_other_end_is_a_failure_with_its_reason(
    past: Past, command: tuple[str, ...], why: str
) -> None:
    own = Backtests(command, lambda: START_MS)
    job = await ended(own.start(asked(past), "officer:li", {}))
    assert job.state is State.FAILED
    assert why in job.why


async def test_a_line_beyond_the_limit_is_a_failure(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "LINE_MAX_B", 1000)
    own = office({"result": "x" * 5000}, sleep_s=0)
    job = await ended(own.start(asked(past), "officer:li", {}))
    assert job.state is State.FAILED


async def test_only_the_newest_are_kept(past: Past) -> None:
    own = office({"result": {}})
    made = [await ended(own.start(asked(past), "officer:li", {})) for _ in range(jobs.KEPT_MAX + 2)]
    assert own.get(made[1].id) is None
    assert [job.id for job in own.newest_first()] == [job.id for job in made[:1:-1]]


def test_a_request_is_read_as_it_was_asked(past: Past) -> None:
    one = asked(past, observed=[Observed(1, 2, "st1")])
    read = Request.read(one.line())
    assert (read.span, read.observed, read.windows) == (one.span, one.observed, one.windows)
    assert read.catalogue.version == one.catalogue.version
    assert len(one.line()) < request.REQUEST_MAX_B
