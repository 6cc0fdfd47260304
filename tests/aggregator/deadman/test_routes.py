"""Telling somebody: tried until it is taken, remembered over a restart, never more than is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.certificates import certificate
from rig.receiver import Receiver

from egret_aggregator.deadman import routes
from egret_aggregator.deadman.memory import Memory, recall, remember
from egret_aggregator.deadman.routes import WAITING_MAX, Command, Desk, RouteError, Webhook
from egret_aggregator.deadman.settings import WebhookSettings
from egret_aggregator.errors import DataFolderError

if TYPE_CHECKING:
    from collections.abc import Callable

NOTICE = {"id": "7", "kind": "silent", "centre": "http://c"}


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_webhook_is_posted_json_with_its_id_and_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("swordfish\n")
    with Receiver() as receiver:
        receiver.status, receiver.body = 202, {"ticket": 5}
        hook = Webhook(WebhookSettings(f"{receiver.url}/hook?x=1", tmp_path / "token"))
        assert await hook.tell(NOTICE) == 'status 202: {"ticket": 5}'
        assert receiver.posts == [NOTICE]
        assert receiver.headers[0]["Idempotency-Key"] == "7"
        assert receiver.headers[0]["Authorization"] == "Bearer swordfish"


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_any_other_answer_is_no_receipt(status: int) -> None:
    with Receiver() as receiver:
        receiver.status = status
        with pytest.raises(RouteError, match=f"status {status}"):
            await Webhook(WebhookSettings(receiver.url)).tell(NOTICE)


async def test_a_certificate_nobody_vouches_for_is_refused_and_one_we_name_is_not(
    tmp_path: Path,
) -> None:
    pem = certificate(tmp_path / "own.pem", from_day=-3650, to_day=36500)
    with Receiver(pem) as receiver:
        with pytest.raises(RouteError, match="CERTIFICATE_VERIFY_FAILED"):
            await Webhook(WebhookSettings(receiver.url)).tell(NOTICE)
        named = Webhook(WebhookSettings(receiver.url, ca_file=pem))
        assert (await named.tell(NOTICE)).startswith("status 200")


async def test_a_command_is_given_the_notice_and_its_exit_code_is_the_receipt() -> None:
    echo = "import sys, json; print('got', json.load(sys.stdin)['id'])"
    assert await python(echo).tell(NOTICE) == "got 7"
    with pytest.raises(RouteError, match="exit code 3: why"):
        await python("import sys; print('why'); sys.exit(3)").tell(NOTICE)
    with pytest.raises(RouteError, match="No such file"):
        await Command(("/nonexistent/x",)).tell(NOTICE)


async def test_a_command_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "COMMAND_S", 0.5)
    with pytest.raises(RouteError, match="still running"):
        await python("import time; time.sleep(3600)").tell(NOTICE)


def gone(pid_file: Path) -> bool:
    """Whether a process has ended, or is only a zombie that nobody has fetched yet."""
    try:
        stat = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def leaving(pid_file: Path, then: str) -> Command:
    """A script that leaves a sleeper behind, which holds the script's output."""
    return Command(("/bin/sh", "-c", f"sleep 600 & echo $! > {pid_file}; echo told; {then}"))


async def test_what_a_command_leaves_running_delays_no_receipt(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    try:
        assert await leaving(pid_file, "exit 0").tell(NOTICE) == "told"
        assert not gone(pid_file), "a siren that was started goes on"
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


async def test_what_a_failed_command_left_running_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(RouteError, match="exit code 3: told"):
        await leaving(pid_file, "exit 3").tell(NOTICE)
    await until(lambda: gone(pid_file))


async def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "COMMAND_S", 0.5)
    pid_file = tmp_path / "pid"
    with pytest.raises(RouteError, match="still running"):
        await leaving(pid_file, "wait").tell(NOTICE)
    await until(lambda: gone(pid_file))


async def test_a_process_that_may_open_no_more_files_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", full)
        with pytest.raises(RouteError, match="Too many open files"):
            await python("print('told')").tell(NOTICE)
    assert await python("print('told')").tell(NOTICE) == "told"


async def test_a_command_that_says_much_is_read_and_its_beginning_kept() -> None:
    said = await python("print('x' * 5_000_000)").tell(NOTICE)
    assert said == "x" * routes.RECEIPT_MAX


async def test_what_is_refused_is_told_again_with_the_same_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(routes, "RETRY_S", (0.01,))
    caplog.set_level("INFO")
    saved: list[int] = []
    with Receiver() as receiver:
        receiver.statuses = [500, 429, 503]
        desk = Desk(Webhook(WebhookSettings(receiver.url)), [], lambda: saved.append(1))
        running = asyncio.create_task(desk.run())
        desk.put(NOTICE)
        desk.put({**NOTICE, "id": "8", "kind": "back"})
        await until(lambda: not desk.waiting)
        running.cancel()
        assert [post["id"] for post in receiver.posts] == ["7", "7", "7", "7", "8"]
    assert len(saved) == 2, "saved at each receipt; who puts them saves once for all desks"
    assert "event=notice_taken route=webhook kind=silent receipt='status 200: {}'" in caplog.text


async def test_one_that_nobody_takes_gives_way_at_last(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(routes, "RETRY_S", (0.0,))
    monkeypatch.setattr(routes, "ATTEMPTS_MAX", 3)
    with Receiver() as receiver:
        receiver.statuses = [500, 500, 500]
        desk = Desk(Webhook(WebhookSettings(receiver.url)), [], lambda: None)
        running = asyncio.create_task(desk.run())
        desk.put(NOTICE)
        await until(lambda: not desk.waiting)
        running.cancel()
        assert len(receiver.posts) == 3
    assert "event=notice_given_up route=webhook kind=silent" in caplog.text


async def test_what_waits_is_bounded_and_the_oldest_gives_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(python(""), [], lambda: None)
    for number in range(WAITING_MAX + 2):
        desk.put({**NOTICE, "id": str(number)})
    assert [notice["id"] for notice in desk.waiting] == [str(n + 2) for n in range(WAITING_MAX)]
    assert caplog.text.count("event=notice_dropped") == 2


async def test_what_a_former_process_left_is_told_first() -> None:
    with Receiver() as receiver:
        waiting: list[Any] = [NOTICE]
        desk = Desk(Webhook(WebhookSettings(receiver.url)), waiting, lambda: None)
        running = asyncio.create_task(desk.run())
        await until(lambda: not waiting)
        running.cancel()
        assert receiver.posts == [NOTICE]


def test_memory_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    assert recall(path) == Memory()
    memory = Memory(1_800_000_000_000, {"webhook": [NOTICE]})
    remember(path, memory)
    assert recall(path) == memory
    assert [item.name for item in path.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"silent_since_ms": null}',
        '{"silent_since_ms": "x", "waiting": {}}',
        json.dumps({"silent_since_ms": None, "waiting": {"webhook": [{"kind": "silent"}]}}),
        json.dumps({"silent_since_ms": None, "waiting": {"webhook": [7]}}),
        json.dumps({"silent_since_ms": None, "waiting": 7}),
    ],
)
def test_a_memory_that_is_damaged_is_said_and_forgotten(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "s").write_text(text)
    assert recall(tmp_path / "s") == Memory()
    assert "event=state_unreadable" in caplog.text


def test_a_memory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match=r"\[deadman\] state"):
        remember(tmp_path / "file" / "state.json", Memory())
