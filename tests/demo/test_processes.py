"""Children of the demo end when told, when the demo dies, and tell why when they end early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egret_demo.processes import ChildError, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 20
pytestmark = pytest.mark.system

# A child that starts a child of its own, tells its pid, and heeds or ignores SIGTERM.
SCRIPT = """
import signal, subprocess, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""
PARENT = """
import sys, time
from pathlib import Path
from egret_demo.processes import Family
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
child = Family(Path(sys.argv[1])).start("child", sleeper)
print(child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    found = Family(tmp_path)
    yield found
    found.stop_all()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def told(log: Path) -> int:
    until(lambda: log.exists() and log.read_text(encoding="utf-8").endswith("\n"))
    return int(log.read_text(encoding="utf-8"))


@pytest.mark.parametrize("manner", ["heeds", "deaf"])
def test_stop_ends_a_child_and_its_children(family: Family, tmp_path: Path, manner: str) -> None:
    child = family.start("child", [sys.executable, "-c", SCRIPT, manner])
    grandchild = told(tmp_path / "child.log")
    assert alive(grandchild)
    family.stop_all()
    until(lambda: not alive(grandchild))
    expected = -signal.SIGKILL if manner == "deaf" else -signal.SIGTERM
    assert child.process.returncode == expected


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    until(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes())
    parent.kill()
    parent.wait(LIMIT_S)
    parent.stdout.close()
    until(lambda: not alive(child))


def test_a_launcher_without_its_parent_starts_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "egret_demo.processes", str(os.getpid() + 1_000_000)]
    done = subprocess.run([*command, "touch", str(tmp_path / "x")], check=False, timeout=LIMIT_S)
    assert done.returncode == 3
    assert not (tmp_path / "x").exists()


def test_a_child_that_ends_early_is_named_with_its_last_words(family: Family) -> None:
    script = "import sys; print('bus.port = x: no such port'); sys.exit(3)"
    child = family.start("gateway", [sys.executable, "-c", script])
    child.process.wait(LIMIT_S)
    with pytest.raises(ChildError, match=r"gateway ended with 3:\n    bus\.port = x"):
        family.check()


def test_what_never_comes_is_not_waited_for_for_ever(family: Family) -> None:
    with pytest.raises(ChildError, match="the centre: not within 0 s"):
        family.wait_until(lambda: False, "the centre", 0)


def test_a_child_told_to_end_is_no_failure(family: Family) -> None:
    child = family.start("child", [sys.executable, "-c", SCRIPT, "heeds"])
    assert family.stop(child) == -signal.SIGTERM
    family.check()
