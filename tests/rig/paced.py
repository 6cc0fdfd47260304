"""A paced pty bus as a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from rig.demo_process import ended, ready

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


class PacedLine:
    """`with PacedLine(folder, 1, 9600) as line`: `line.master`, `line.slave(1)`; replug it."""

    def __init__(self, folder: Path, count: int, baud: int, bits: int = 10) -> None:
        self.folder = folder
        self.baud = baud
        self.report: dict[str, Any] = {}
        self._arguments = [str(folder), str(count), str(baud), str(bits)]
        self._process: subprocess.Popen[str] | None = None

    @property
    def master(self) -> Path:
        return self.folder / "master"

    def slave(self, number: int) -> Path:
        return self.folder / f"s{number}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        self._process = ready("egret_demo.paced_bus", *self._arguments)

    def unplug(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        out = ended(process)
        self.report = json.loads(out) if out else {}
