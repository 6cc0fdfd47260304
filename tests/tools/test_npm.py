"""Optional servers of npm: fetched once where Node is, named where they are skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig import modbus_peers

if TYPE_CHECKING:
    from types import ModuleType

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    sys.modules.pop("npm", None)
    module: ModuleType = __import__("npm")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "node")
    return module


def ran(monkeypatch: pytest.MonkeyPatch, npm: Any, code: int, told: str = "") -> list[list[str]]:
    """Let npm end with a code; return the commands that are run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, code, "", told)

    monkeypatch.setattr(npm.subprocess, "run", run)
    monkeypatch.setattr(npm.shutil, "which", lambda name: f"/usr/bin/{name}")
    return commands


def test_they_are_fetched_once_and_run_no_scripts(
    npm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = ran(monkeypatch, npm, 0)
    npm.provide("test")
    npm.provide("test")
    (command,) = commands
    assert "--ignore-scripts" in command
    assert set(npm.PACKAGES) <= set(command)
    assert npm.missing() == []


def test_another_version_is_fetched_anew(npm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = ran(monkeypatch, npm, 0)
    npm.provide("test")
    monkeypatch.setattr(npm, "PACKAGES", ("modbus-serial@9.9.9",))
    npm.provide("test")
    assert len(commands) == 2


@pytest.mark.parametrize("told", ["", "npm ERR! network"])
def test_what_cannot_be_fetched_is_named_and_no_failure(
    npm: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    ran(monkeypatch, npm, 1, told)
    npm.provide("test")
    assert (told or "npm install failed") in capsys.readouterr().err
    assert npm.missing()


def test_without_node_they_are_skipped_by_name(
    npm: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    npm.provide("test")
    assert "no Node here" in capsys.readouterr().err
    monkeypatch.setattr(modbus_peers.shutil, "which", lambda _: None)
    assert modbus_peers.why_no_peer("jsmodbus") == "jsmodbus: no Node here"


def test_the_tests_look_where_the_tool_puts_them(npm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.modules.pop("npm", None)
    fresh = __import__("npm")
    assert fresh.FOLDER / "node_modules" == modbus_peers.NODE_MODULES
    assert {name.rpartition("@")[0] for name in fresh.PACKAGES} == set(modbus_peers.NPM)
