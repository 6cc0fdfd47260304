"""A centre is never half alive: whichever part ends, all of it ends, and says which."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.centre_half import until
from rig.centre_process import CentreProcess, command, settings_file

from egret_aggregator import catalogue, config, service
from egret_aggregator.api import hub as hub_module
from egret_aggregator.api.observations import Observations
from egret_aggregator.api.server import ApiServer
from egret_aggregator.cli import main as cli
from egret_aggregator.intake import Intake
from egret_aggregator.judge import Judge
from egret_aggregator.recorder import Recorder
from egret_aggregator.supervision import TaskDiedError, supervise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60.0
PARTS: dict[str, tuple[type, str]] = {
    "intake": (Intake, "run"),
    "recorder": (Recorder, "run"),
    "judge": (Judge, "run"),
    "observations": (Observations, "run"),
    "api": (ApiServer, "serve"),
}


async def refuses(*_: object, **__: object) -> None:
    await asyncio.sleep(0)
    raise OSError(28, "No space left on device")


async def ends(*_: object, **__: object) -> None:
    await asyncio.sleep(0)


async def cancels_itself(*_: object, **__: object) -> None:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def run(path: Path, ready: Callable[[str, int], None] = lambda *_: None) -> int:
    settings = config.load(path)
    async with asyncio.timeout(PATIENCE_S):
        return await service.run(settings, catalogue.load(settings.catalogue), ready)


def nobody_listens(path: Path) -> bool:
    """Whether broker and API of the settings are gone."""
    return not any((path.parent / "data").glob("*.db-wal"))


@pytest.mark.system
@pytest.mark.parametrize("how", [refuses, ends, cancels_itself], ids=lambda how: how.__name__)
@pytest.mark.parametrize("name", PARTS)
async def test_whichever_part_ends_the_centre_ends_and_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    how: Callable[..., Any],
) -> None:
    path = settings_file(tmp_path)
    monkeypatch.setattr(*PARTS[name], how)
    with pytest.raises(TaskDiedError) as caught:
        await run(path)
    assert caught.value.name == name
    assert f"part={name} state=dead" in caplog.text
    assert nobody_listens(path), "a file was left open"


@pytest.mark.system
async def test_a_heart_that_stops_beating_is_a_part_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "beat", refuses)
    with pytest.raises(TaskDiedError, match="heartbeat ended: OSError"):
        await run(settings_file(tmp_path))
    assert hub_module.beat is not refuses


@pytest.mark.system
def test_at_the_command_line_a_dead_part_is_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings_file(tmp_path)
    monkeypatch.setattr(Recorder, "run", refuses)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    assert cli(["run", str(path), "--json"]) == 3
    captured = capsys.readouterr()
    assert "recorder ended: OSError" in captured.err
    assert '"error": "peer"' in captured.out


async def waits(seen: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        seen.append(name)


async def test_a_part_that_is_cancelled_from_within_is_named_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []
    with pytest.raises(TaskDiedError, match="judge ended: cancelled") as caught:
        await supervise({"api": waits(seen, "api"), "judge": cancels_itself()}, asyncio.Event())
    assert (caught.value.name, seen) == ("judge", ["api"])
    assert "part=judge state=dead" in caplog.text


async def test_two_that_die_at_once_are_one_end() -> None:
    seen: list[str] = []
    with pytest.raises(TaskDiedError) as caught:
        await supervise(
            {"api": waits(seen, "api"), "judge": refuses(), "recorder": refuses()}, asyncio.Event()
        )
    assert caught.value.name in ("judge", "recorder")
    assert seen == ["api"]


async def test_parts_that_take_their_time_to_end_are_waited_for() -> None:
    seen: list[str] = []

    async def tidies() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append("tidied")

    with pytest.raises(TaskDiedError):
        await supervise({"outbox": tidies(), "judge": refuses()}, asyncio.Event())
    assert seen == ["tidied"]


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_orderly_end_is_0_whichever_signal_asks(tmp_path: Path, number: int) -> None:
    path = settings_file(tmp_path)
    async with CentreProcess(path) as centre:
        code, _ = await centre.ended(number)
        assert code == 0, centre.log()
        assert "state=stopped" in centre.log()
        assert "Traceback" not in centre.log()
    assert nobody_listens(path)
    assert (await command("audit", "verify", str(path)))[0] == 0


@pytest.mark.system
async def test_readiness_follows_the_broker(tmp_path: Path) -> None:
    """Started without its broker the centre answers, and does not say that all is well."""
    path = settings_file(tmp_path)
    path.write_text(path.read_text().replace("[broker]\n", "[broker]\nembedded = false\n"))
    async with CentreProcess(path) as centre, httpx2.AsyncClient(base_url=centre.url) as client:
        answer = await client.get("/readyz")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (503, "not_ready")
        assert {"judgement_never", "intake_disconnected"} <= set(body["why"])
        figures = (await client.get("/metrics")).text.splitlines()
        assert "egret_intake_connected 0" in figures
        assert "egret_judgement_current 0" in figures
        assert (await centre.get("/api/v1/warnings"))["judgement"]["state"] == "never"
        assert centre.child.returncode is None
    await until(lambda: centre.child.returncode is not None)
