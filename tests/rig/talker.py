"""A make-believe talker as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

STOP_S = 10  # a process that does not end by then is killed


class TalkerProcess:
    """`with TalkerProcess(link, "depth", 0.02, 0.5) as talker`; `report` holds what it said."""

    def __init__(self, link: Path, kind: str, every_s: float, share: float, seed: int = 1) -> None:
        self.report: dict[str, Any] = {}
        self._arguments = [str(link), kind, str(every_s), str(share), str(seed)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "egret_demo.talker", *self._arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            out, _ = process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        self.report = json.loads(out)
