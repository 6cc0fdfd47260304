"""Programs of the demo as processes of their own: begun, and ended with what they report."""

from __future__ import annotations

import subprocess
import sys

STOP_S = 10  # a process that does not end by then is killed


def ready(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program and return when it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != "ready\n":
        process.kill()
        process.communicate()
        raise RuntimeError(f"{module} ended: {said}")
    return process


def ended(process: subprocess.Popen[str]) -> str:
    """End it in order and return what it said last."""
    process.terminate()
    try:
        out, _ = process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return out
