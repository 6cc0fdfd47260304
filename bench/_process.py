"""What the kernel says of a process: its CPU time, its memory, what it has written to disks."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def proc(pid: int, name: str) -> dict[str, str]:
    """Return a file of /proc/PID that has `name: value` lines."""
    text = Path(f"/proc/{pid}/{name}").read_text()
    return {
        key: value.strip() for key, _, value in (row.partition(":") for row in text.splitlines())
    }


def written_in_all(box: subprocess.Popen[bytes]) -> int:
    """Return what a process has written when it has ended, and before it is reaped."""
    os.waitid(os.P_PID, box.pid, os.WEXITED | os.WNOWAIT)
    return written(box)


def written(box: subprocess.Popen[bytes]) -> int:
    return int(proc(box.pid, "io")["write_bytes"])


def cpu_of(pid: int) -> float:
    """Return seconds of CPU that a process and the children it has now have taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) * TICK_S
    with suppress(FileNotFoundError):
        own += sum(cpu_of(int(child)) for child in children)
    return own
