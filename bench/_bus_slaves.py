"""Slaves of one tty, as a process of its own: `python _bus_slaves.py TTY FIRST LAST TURNAROUND_MS`.

Units FIRST to LAST answer register i with 1000 + i; others are dead. A stop is SIGTERM.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tty
from typing import TYPE_CHECKING, Self

from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STOP_S = 10


class Slaves:
    """`with Slaves(tty, range(1, 30), dead) as slaves`."""

    def __init__(self, path: Path, units: Sequence[int], turnaround_ms: float = 0.0) -> None:
        self._arguments = [str(path), str(turnaround_ms), *map(str, units)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=STOP_S)


def main(argv: Sequence[str]) -> None:
    fd = os.open(argv[0], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    turnaround_s, units = float(argv[1]) / 1000, [int(unit) for unit in argv[2:]]
    print("ready", flush=True)
    pending = bytearray()
    while True:
        pending += os.read(fd, 4096)
        while request := find_request(bytes(pending), units):
            del pending[: request.end]
            time.sleep(turnaround_s)
            registers = [1000 + request.address + k for k in range(request.words)]
            os.write(fd, reply(request, registers))
        del pending[:-512]


if __name__ == "__main__":
    main(sys.argv[1:])
