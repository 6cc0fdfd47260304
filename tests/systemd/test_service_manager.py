"""What services say to systemd: ready, how they are, that they get further, that they stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rig.centre_half import free_port
from rig.centre_process import COMMAND, settings_file
from rig.pty import FarEnd
from rig.service_manager import PATIENCE_S, Notified, pings, stuck
from rig.site import site

from egret_aggregator import service_manager as centre_side
from egret_core.progress import Pulse
from egret_gateway import service_manager as gateway_side
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

SIDES = pytest.mark.parametrize("side", [centre_side, gateway_side], ids=["centre", "gateway"])
WELL = {"judge": Pulse(busy=False, steps=1)}
HANGS = {"judge": Pulse(busy=True, steps=1)}
WATCHDOG_S = 3.0  # looks are a second apart
DISK = """\
import time
from egret_gateway.outbox import Outbox
def slow(*_):
    time.sleep(3600)
Outbox._commit = slow
"""
HANG = "import asyncio\nasync def hang(*_, **__):\n    await asyncio.Event().wait()\n"


def manager(side: ModuleType, environment: dict[str, str]) -> Any:
    return side.ServiceManager(environment)


@SIDES
def test_both_sides_are_one_text(side: ModuleType) -> None:
    assert side.__file__ is not None
    with open(side.__file__, encoding="utf-8") as one:  # noqa: PTH123
        text = one.read()
    assert centre_side.__file__ is not None
    with open(centre_side.__file__, encoding="utf-8") as other:  # noqa: PTH123
        assert text == other.read(), "they may not import each other, and must not drift apart"


@SIDES
@pytest.mark.parametrize("abstract", [True, False])
def test_what_is_said_in_which_order(tmp_path: Path, side: ModuleType, *, abstract: bool) -> None:
    with Notified(None if abstract else tmp_path, watchdog_s=60) as systemd:
        told = manager(side, systemd.environment)
        told.ready("all is well")
        told.look(WELL, "a\nb")
        told.stopping()
        assert systemd.read() == [
            {"READY": "1", "STATUS": "all is well"},
            {"WATCHDOG": "1", "STATUS": "a b"},
            {"STOPPING": "1", "STATUS": "stopping"},
        ]


@SIDES
def test_a_part_that_hangs_stops_the_ping_and_one_that_goes_on_starts_it(
    tmp_path: Path, side: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with Notified(tmp_path, watchdog_s=60) as systemd:
        told = manager(side, systemd.environment)
        for pulses in (HANGS, HANGS, HANGS, {"judge": Pulse(busy=True, steps=2)}):
            told.look(pulses, "well")
        assert [item.get("WATCHDOG") for item in systemd.read()] == ["1", None, None, "1"]
        assert stuck(systemd.said) == [1, 2]
        assert systemd.said[1]["STATUS"] == "stuck: judge"
    assert [r.getMessage() for r in caplog.records] == ["event=stuck parts=judge"], "told once"


@SIDES
@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_of_ours_there_is_no_ping(
    tmp_path: Path, side: ModuleType, watchdog: dict[str, str]
) -> None:
    with Notified(tmp_path) as systemd:
        manager(side, systemd.environment | watchdog).look(WELL, "well")
        assert systemd.read() == [{"STATUS": "well"}]


@SIDES
async def test_without_systemd_nothing_is_said_and_nothing_fails(
    side: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    told = manager(side, {})
    told.ready("x")
    told.stopping()
    watching = asyncio.create_task(told.watch(lambda: WELL, lambda: "well"))
    await asyncio.sleep(0)
    watching.cancel()
    gone = manager(side, {"NOTIFY_SOCKET": "/nonexistent/notify"})
    gone.ready("x")
    assert ["service_manager_not_told" in r.getMessage() for r in caplog.records] == [True]


async def started(command: Sequence[str], systemd: Notified) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **systemd.environment},
        cwd=systemd.folder,  # a gateway's data are named from where it starts
        stderr=asyncio.subprocess.DEVNULL,
    )


async def ended(child: asyncio.subprocess.Process, number: int = signal.SIGTERM) -> int:
    child.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        return await child.wait()


@pytest.mark.system
async def test_a_centre_says_when_it_is_up_that_it_lives_and_that_it_stops(tmp_path: Path) -> None:
    path = settings_file(tmp_path, broker_port=free_port())
    with Notified(tmp_path, WATCHDOG_S) as systemd:
        child = await started([*COMMAND, "run", str(path)], systemd)
        said = await systemd.until(lambda said: pings(said) >= 3)
        assert said[0]["READY"] == "1"
        assert "judgement" in said[-1]["STATUS"]
        assert await ended(child) == 0
        assert systemd.read()[-1]["STOPPING"] == "1"


@pytest.mark.system
async def test_a_judge_that_hangs_is_pinged_for_no_more(tmp_path: Path) -> None:
    path = settings_file(tmp_path, broker_port=free_port())
    code = (
        f"{HANG}from egret_aggregator.judge import Judge\nJudge._judge = hang\n"
        "import sys\nfrom egret_aggregator.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    with Notified(tmp_path, WATCHDOG_S) as systemd:
        child = await started([sys.executable, "-c", code, "run", str(path)], systemd)
        said = await systemd.until(lambda said: len(stuck(said)) >= 4)
        first = stuck(said)[0]
        assert "judge" in said[first]["STATUS"]
        assert pings(said[first:]) == 0, "systemd would now start it anew"
        await ended(child, signal.SIGKILL)


def answering(data: bytes) -> bytes:
    request = find_request(data, (7,))
    return b"" if request is None else reply(request, [300] * request.words)


@pytest.mark.system
async def test_a_gateway_says_the_same(tmp_path: Path) -> None:
    with FarEnd(answering) as far, Notified(tmp_path, WATCHDOG_S) as systemd:
        path = site(tmp_path, port=far.path, baud=115200)
        child = await started([sys.executable, "-c", RUN, "run", str(path)], systemd)
        said = await systemd.until(lambda said: pings(said) >= 3)
        assert said[0]["READY"] == "1"
        assert "every bus is up" in said[-1]["STATUS"]
        assert await ended(child) == 0
        assert systemd.read()[-1]["STOPPING"] == "1"


@pytest.mark.system
async def test_a_gateway_whose_port_is_missing_is_not_started_anew_for_it(tmp_path: Path) -> None:
    with Notified(tmp_path, WATCHDOG_S) as systemd:
        child = await started([sys.executable, "-c", RUN, "run", str(site(tmp_path))], systemd)
        said = await systemd.until(lambda said: pings(said) >= 5)
        assert stuck(said) == []
        assert "bus0 missing" in said[-1]["STATUS"]
        assert await ended(child) == 0


@pytest.mark.system
@pytest.mark.parametrize(
    ("frozen", "part"),
    [
        ("from egret_gateway.bus.transaction import Transactions as T\nT.read = hang\n", "bus0"),
        ("from egret_gateway.bus.transaction import Transactions as T\nT.idle = hang\n", "bus0"),
        (DISK, "outbox"),
    ],
    ids=["read", "idle", "disk"],
)
async def test_a_gateway_that_hangs_is_pinged_for_no_more(
    tmp_path: Path, frozen: str, part: str
) -> None:
    with FarEnd(answering) as far, Notified(tmp_path, WATCHDOG_S) as systemd:
        path = site(tmp_path, port=far.path, baud=115200)
        child = await started(
            [sys.executable, "-c", HANG + frozen + RUN, "run", str(path)], systemd
        )
        said = await systemd.until(lambda said: len(stuck(said)) >= 4)
        first = stuck(said)[0]
        assert part in said[first]["STATUS"]
        assert pings(said[first:]) == 0
        await ended(child, signal.SIGKILL)


RUN = "import sys\nfrom egret_gateway.cli import main\nsys.exit(main(sys.argv[1:]))"
