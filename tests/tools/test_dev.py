"""`./dev` says what it can do, and an unknown task is a usage error."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("demo", "test", "check", "bench", "fmt")


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "dev"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [(), ("nonsense",)], ids=["none", "unknown"])
def test_what_it_does_not_know_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = dev(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(f"\n  {task}" in done.stderr for task in TASKS)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_no_error(flag: str) -> None:
    done = dev(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ./dev TASK")


def test_every_task_has_its_tool() -> None:
    tasks = runpy.run_path(str(ROOT / "dev"))["TASKS"]
    assert tuple(tasks) == TASKS
    for command in tasks.values():
        assert command[0] == "python"
        assert command[1] == "-m" or (ROOT / command[1]).is_file()


def test_bench_names_what_there_is() -> None:
    command = [sys.executable, str(ROOT / "tools" / "bench.py"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    for path in (ROOT / "bench").glob("[!_]*.py"):
        assert path.stem in done.stderr
