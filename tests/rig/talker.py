"""A make-believe talker as a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from rig.demo_process import ended, ready

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


class TalkerProcess:
    """`with TalkerProcess(link, "depth", 0.02, 0.5) as talker`; `report` holds what it said."""

    def __init__(self, link: Path, kind: str, every_s: float, share: float, seed: int = 1) -> None:
        self.report: dict[str, Any] = {}
        self._arguments = [str(link), kind, str(every_s), str(share), str(seed)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = ready("egret_demo.talker", *self._arguments)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        assert process is not None
        out = ended(process)
        self.report = json.loads(out)
