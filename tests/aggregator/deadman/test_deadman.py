"""The dead man's switch at centres that live, die, come back, and lie."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import free_port
from rig.centre_process import COMMAND, PATIENCE_S, CentreProcess, command, settings_file
from rig.certificates import certificate
from rig.receiver import Receiver
from rig.service_manager import Notified

from egret_aggregator.clock import Clock
from egret_aggregator.deadman import DeadmanSettings, heartbeat, service, try_out
from egret_aggregator.deadman.heartbeat import beats
from egret_aggregator.deadman.service import Switch
from egret_aggregator.deadman.settings import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from egret_aggregator.deadman.memory import Memory

SILENCE_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "AGAIN_S", 0.05)
    monkeypatch.setattr(service, "LOOK_S", 0.05)
    monkeypatch.setattr("egret_aggregator.deadman.routes.RETRY_S", (0.05,))


def settings_for(folder: Path, centre: str, hook: str) -> DeadmanSettings:
    state = folder / "state.json"
    return DeadmanSettings(centre, state, SILENCE_S, webhook=WebhookSettings(hook))


class HandClock(Clock):
    """Time passes when a test says so: a busy machine makes no silence."""

    passed_s = 0.0

    def monotonic_s(self) -> float:
        return self.passed_s


@asynccontextmanager
async def watching(
    settings: DeadmanSettings, clock: HandClock | None = None
) -> AsyncIterator[Switch]:
    switch = Switch(settings, clock or HandClock())
    switch.listen(asyncio.get_running_loop())
    tasks = [asyncio.create_task(part) for part in (switch.run(), switch.desks[0].run())]
    try:
        yield switch
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(3 * PATIENCE_S):
        while not true():
            await asyncio.sleep(0.02)


def kinds(receiver: Receiver) -> list[str]:
    return [post["kind"] for post in receiver.posts]


async def test_one_call_when_it_dies_and_one_when_it_is_back(tmp_path: Path) -> None:
    with Receiver() as bureau:
        with Receiver() as centre:
            settings, clock = settings_for(tmp_path, centre.url, bureau.url), HandClock()
            async with watching(settings, clock) as switch:
                await until(lambda: len(centre.gets) > 5 and not switch._vigil.why)
                centre.status, centre.body = 503, {"why": ["judgement_stale"]}
                await until(lambda: switch._vigil.why)
                clock.passed_s = SILENCE_S - 0.1
                looks = switch._looks
                await until(lambda: switch._looks > looks + 2)
                assert kinds(bureau) == []
                clock.passed_s = SILENCE_S + 0.1
                await until(lambda: kinds(bureau))
                clock.passed_s *= 1000
                seen = len(centre.gets)
                await until(lambda: len(centre.gets) > seen + 20)
                assert kinds(bureau) == ["silent"], "once"
                centre.status = 200
                await until(lambda: len(bureau.posts) == 2)
        first, second = bureau.posts
        assert first["why"] == "status 503: judgement_stale"
        assert first["centre"] == settings.url
        assert second["kind"] == "back"
        assert second["since"] == first["since"], "the outage it ends"
        assert first["id"] != second["id"]


async def test_an_outage_over_our_own_restart_is_told_once(tmp_path: Path) -> None:
    with Receiver() as bureau:
        settings = settings_for(tmp_path, f"http://127.0.0.1:{free_port()}", bureau.url)
        clock = HandClock()
        async with watching(settings, clock) as switch:
            await until(lambda: switch._vigil.why.startswith("ConnectionRefused"))
            clock.passed_s = SILENCE_S
            await until(lambda: kinds(bureau) and not switch.desks[0].waiting)
        async with watching(settings, clock) as switch:
            clock.passed_s *= 10
            await until(lambda: switch._looks > 5)
            assert "SILENT" in switch.status()
        assert kinds(bureau) == ["silent"]
        with Receiver() as centre:
            async with watching(replace(settings, url=centre.url)):
                await until(lambda: kinds(bureau) == ["silent", "back"])
        assert bureau.posts[1]["since"] == bureau.posts[0]["since"]


async def test_what_could_not_be_told_before_a_restart_is_told_after_it(tmp_path: Path) -> None:
    port = free_port()
    settings = settings_for(tmp_path, f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{port}")
    clock = HandClock()
    async with watching(settings, clock) as switch:
        clock.passed_s = SILENCE_S
        await until(lambda: switch.desks[0].waiting)
        kept = json.loads(settings.state.read_text())["waiting"]["webhook"]
    with Receiver(port=port) as bureau:
        async with watching(settings):
            await until(lambda: kinds(bureau))
        assert bureau.posts == kept


async def test_a_state_that_cannot_be_written_keeps_nobody_from_being_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "full").write_text("")
    with Receiver() as bureau, Receiver() as centre:
        settings = settings_for(tmp_path, f"http://127.0.0.1:{free_port()}", bureau.url)
        settings = replace(settings, state=tmp_path / "full" / "state.json")
        clock = HandClock()
        async with watching(settings, clock) as switch:
            assert "NOT REMEMBERED" in switch.status(), "a finding from the start on"
            await until(lambda: switch._vigil.why.startswith("ConnectionRefused"))
            clock.passed_s = SILENCE_S
            await until(lambda: kinds(bureau) == ["silent"] and not switch.desks[0].waiting)
            switch._settings = replace(settings, url=centre.url)
            await until(lambda: kinds(bureau) == ["silent", "back"])
            assert caplog.text.count("event=state_unwritten") == 1, "said once"
            (tmp_path / "full").unlink()
            await until(lambda: "NOT REMEMBERED" not in switch.status())
        assert json.loads(settings.state.read_text())["silent_since_ms"] is None
    assert "event=state_written" in caplog.text


async def test_every_routes_notice_is_remembered_with_the_outage_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, f"http://127.0.0.1:{free_port()}", "http://127.0.0.1:1")
    settings = replace(settings, command=("/bin/false",))
    clock, written = HandClock(), []

    def keep(_: Path, memory: Memory) -> None:
        written.append((memory.silent_since_ms, [len(one) for one in memory.waiting.values()]))

    monkeypatch.setattr(service, "remember", keep)
    switch = Switch(settings, clock)
    clock.passed_s = SILENCE_S
    switch.heard("nothing")
    assert [(since is None, waiting) for since, waiting in written] == [
        (True, [0, 0]),
        (False, [1, 1]),
    ], "no kill can leave an outage on record that one of the routes was not told of"


def test_a_certificate_that_is_not_ours_is_silence_and_says_so(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "own.pem", from_day=-3650, to_day=36500)
    with Receiver(pem) as centre:
        settings = settings_for(tmp_path, centre.url, "http://x")
        (why,) = beats(settings)
        assert "CERTIFICATE_VERIFY_FAILED" in why
        assert list(beats(replace(settings, ca_file=pem))) == [""]


def heard(settings: DeadmanSettings) -> list[str]:
    return list(beats(settings))


def test_what_is_no_heartbeat_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "ANSWER_S", 2.0)
    with Receiver() as centre:
        settings = settings_for(tmp_path, centre.url, "http://x")
        assert heard(settings) == [""]
        centre.status = 404
        assert heard(settings) == ["status 404: Not Found"]
        centre.status, centre.body = 503, ["no object"]
        assert heard(settings) == ["status 503: Service Unavailable"]
    (why,) = heard(settings)
    assert why.startswith("ConnectionRefusedError")


def test_the_stream_beats_while_judgement_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "ANSWER_S", 1.0)
    (tmp_path / "token").write_text("swordfish\n")
    with Receiver() as centre:
        settings = settings_for(tmp_path, centre.url, "http://x")
        settings = replace(settings, token_file=tmp_path / "token")
        centre.stream = [
            "retry: 2000\nevent: hello\ndata: {}\n\n",
            'event: heartbeat\ndata: {"judgement": {"state": "current"}}\n\n',
            'id: 1\nevent: warning\ndata: {"judgement": {"state": "current"}}\n\n',
            'event: heartbeat\ndata: {"judgement": {"state": "stale"}}\n\n',
            "event: heartbeat\ndata: 7\n\n",
        ]
        said = heard(settings)
        assert said[:3] == ["", "judgement stale", "judgement unknown"]
        assert said[3].startswith("TimeoutError"), "a stream that beats no more"
        assert centre.headers[0]["Authorization"] == "Bearer swordfish"
        assert centre.gets == ["/api/v1/warnings/stream"]
        centre.stream = ["event: heartbeat\ndata: {broken\n\n"]
        assert heard(settings)[0].startswith("JSONDecodeError")
        centre.status = 401
        assert heard(settings) == ["status 401: Unauthorized"]


async def test_a_route_can_be_tried(tmp_path: Path) -> None:
    with Receiver() as bureau:
        settings = settings_for(tmp_path, "http://x", bureau.url)
        settings = replace(settings, command=("/nonexistent/x",))
        found = await try_out(settings, Clock())
        assert found["webhook"] == ""
        assert "No such file" in found["command"]
        assert kinds(bureau) == ["test"]


def written(folder: Path, centre: str, hook: str) -> Path:
    path = folder / "deadman.toml"
    path.write_text(
        f'[deadman]\nurl = "{centre}"\nstate = "state.json"\nsilence_s = 10\n'
        f'command = ["/bin/sh", "-c", "cat >> {folder / "ran"}"]\n'
        f'[deadman.webhook]\nurl = "{hook}"\n'
    )
    return path


@pytest.mark.system
@pytest.mark.long
async def test_a_real_centre_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=free_port(), api_port=port)
    with Receiver() as bureau, Notified(tmp_path, 60.0) as systemd:
        url = f"http://127.0.0.1:{port}"
        watcher = await asyncio.create_subprocess_exec(
            *(*COMMAND, "deadman", str(written(tmp_path, url, bureau.url))),
            env={**os.environ, **systemd.environment},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await systemd.until(lambda said: said)
            assert "READY" in systemd.said[0]
            # Nothing is there yet, or no longer: both are silence.
            await until(lambda: kinds(bureau) == ["silent"])
            async with CentreProcess(path) as centre:
                await until(lambda: "back" in kinds(bureau))
                centre.child.kill()
                await until(lambda: kinds(bureau)[-1] == "silent")
            # On a busy machine a centre may be silent for ten seconds more often than we mean.
            told = len(bureau.posts)
            assert kinds(bureau) == ["silent", "back"] * (told // 2) + ["silent"]
            await until(lambda: (tmp_path / "ran").read_text().count('"id"') == told)
            watcher.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                _, err = await watcher.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                watcher.kill()
        assert watcher.returncode == 0
    assert "event=notice_taken route=webhook kind=back" in err.decode()


@pytest.mark.system
async def test_a_trial_of_the_routes_exits_3_where_one_fails(tmp_path: Path) -> None:
    with Receiver() as bureau:
        path = written(tmp_path, "http://127.0.0.1:1", bureau.url)
        code, out, _ = await command("deadman", str(path), "--test", "--json")
        assert (code, json.loads(out)) == (
            0,
            {"ok": True, "routes": {"webhook": "", "command": ""}},
        )
        bureau.status = 500
        code, out, _ = await command("deadman", str(path), "--test")
        assert code == 3
        assert "webhook: status 500" in out
        assert "command: took it" in out
