"""The demo as a newcomer runs it: it ends well, shows a red warning, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.line import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
FOR_S = 45  # the river is red after some 30
LIMIT_S = 150
ENOUGH = 40  # some 4 a second, fewer on a busy machine
# A shell's background job, as the tests may be one, hands its children a SIGINT that is ignored.
DEMO = ("env", "--default-signal=INT", sys.executable, "-u", "-m", "egret_demo")
README_BLOCK = re.compile(r"^```sh demo\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.system


class Demo:
    """One run of the demo, and what it has said so far."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [*DEMO, "--port", str(self.port), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def until(self, true: Callable[[str], object]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not true(self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def ended(self) -> int:
        code = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(LIMIT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def start(*arguments: str) -> Demo:
        demos.append(Demo(*arguments))
        return demos[-1]

    yield start
    for demo in demos:
        demo.close()


def left_behind(folder: Path) -> list[str]:
    """Command lines of live processes that name a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


def gone(folder: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while left := left_behind(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_storm_leads_to_a_red_warning_and_nothing_is_lost(
    run: Callable[..., Demo], tmp_path: Path
) -> None:
    demo = run("--for", str(FOR_S), "--data", str(tmp_path / "demo"))
    demo.until(lambda text: "officer token" in text)
    shown = re.search(r"viewer token +(\S+)", demo.text)
    assert shown
    the_readmes_commands_work(demo.port, shown[1])
    assert demo.ended() == 0, demo.text
    assert re.search(r"WARNING +RED +bridge/wl", demo.text), demo.text
    counts = re.search(r"(\d+) readings taken by the gateway, (\d+) stored", demo.text)
    assert counts, demo.text
    assert int(counts[1]) == int(counts[2]) > ENOUGH
    assert left_behind(tmp_path) == []
    # The dead sensor is told of: silence is never an all-clear.
    assert re.search(r"WARNING .*culvert/wl", demo.text), demo.text


def the_readmes_commands_work(port: int, token: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed: the README's commands cannot be tried")
    blocks = README_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert blocks
    for body in blocks:
        script = body.replace("8420", str(port)).replace("curl ", "curl -fsS ")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={**os.environ, "TOKEN": token},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_it_ends_when_told_and_leaves_no_process(
    run: Callable[..., Demo], tmp_path: Path, number: signal.Signals
) -> None:
    demo = run("--data", str(tmp_path / "demo"))
    demo.until(lambda text: "officer token" in text)
    assert len(left_behind(tmp_path)) >= 4
    demo.process.send_signal(number)
    assert demo.ended() == 0, demo.text
    assert "stopped" in demo.text
    assert left_behind(tmp_path) == []


def test_its_children_die_with_it(run: Callable[..., Demo], tmp_path: Path) -> None:
    demo = run("--data", str(tmp_path / "demo"))
    demo.until(lambda text: "officer token" in text)
    demo.process.kill()
    demo.ended()
    gone(tmp_path)


def test_a_part_that_dies_is_named_and_ends_the_rest(
    run: Callable[..., Demo], tmp_path: Path
) -> None:
    demo = run("--for", "600", "--data", str(tmp_path / "demo"))
    demo.until(lambda text: "officer token" in text)
    os.kill(pid_of(f"egret-gateway run {tmp_path}"), signal.SIGKILL)
    assert demo.ended() == 3, demo.text
    assert "gateway ended with -9" in demo.text
    gone(tmp_path)


def pid_of(command: str) -> int:
    """The process whose command line holds some words."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if command in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                    return int(entry.name)
    raise AssertionError(command)


def test_its_own_folder_goes_with_it(run: Callable[..., Demo]) -> None:
    demo = run()
    demo.until(lambda text: "officer token" in text)
    shown = re.search(r"data and logs +(\S+)", demo.text)
    assert shown
    assert Path(shown[1]).is_dir()
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 0
    assert not Path(shown[1]).exists()
