"""A slave that nobody here wrote the protocol of: slave.c on libmodbus, compiled once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SOURCE = Path(__file__).with_name("slave.c")
COMPILE_S = 60
STOP_S = 10
LOG_S = 10


class Served(NamedTuple):
    """One whole reply: index of the sample, its value, and whether it was written late."""

    index: int
    value: int
    late: bool


def why_missing() -> str:
    """Return what is missing to build and run the slave, "" for nothing."""
    for program in ("gcc", "pkg-config"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    found = subprocess.run(["pkg-config", "--exists", "libmodbus"], check=False)
    return "" if found.returncode == 0 else "libmodbus-dev is not installed"


def compiled() -> Path:
    """Return the program, compiled once per version of its source."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"egret-rig-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / f"slave-{digest}"
    if not program.exists():
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libmodbus"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        own = folder / f"slave-{digest}.{os.getpid()}"
        command = ["gcc", "-O1", "-Wall", "-Werror", str(SOURCE), "-o", str(own), *flags]
        subprocess.run(command, check=True, timeout=COMPILE_S)
        own.rename(program)  # two test workers may both compile; either result serves
    return program


class LibmodbusSlave:
    """`with LibmodbusSlave(folder, device, unit, baud, samples) as slave`: serves them in turn.

    `device` is a tty, or ``tcp:PORT``. Without samples, holding register i is 1000 + i and input
    register i is 20000 + i. With an `image` (function code, address, number) nothing else is
    served, and a request that runs over anything else is refused.
    """

    def __init__(
        self,
        folder: Path,
        device: Path | str,
        unit: int,
        baud: int,
        samples: Sequence[int] = (),
        *,
        image: Iterable[tuple[int, int, int]] = (),
        late_every: int = 0,
        late_ms: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"served-{unit}.log"
        source = "-"
        if samples:
            path = folder / f"samples-{unit}.txt"
            path.write_text("".join(f"{value}\n" for value in samples))
            source = str(path)
        rows = [f"{fc} {address} {number}\n" for fc, address, number in image]
        if rows:
            path = folder / f"image-{unit}.txt"
            path.write_text("".join(rows))
            source = f"@{path}"
        late = [str(late_every), str(late_ms)]
        self._arguments = [str(device), str(unit), str(baud), str(self.log), source, *late]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [str(compiled()), *self._arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def served(self, at_least: int = 0) -> list[Served]:
        """Return what was served so far; a line still being written is left for the next call.

        A reply is read a moment before it is logged: `at_least` waits for that many lines.
        """
        deadline_s = time.monotonic() + LOG_S
        pause = threading.Event()
        while len(rows := self._rows()) < at_least and time.monotonic() < deadline_s:
            pause.wait(0.01)
        return rows

    def _rows(self) -> list[Served]:
        text = self.log.read_text() if self.log.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        rows = [line.split() for line in whole.splitlines()]
        return [Served(int(index), int(value), late == "1") for index, value, late in rows]

    def stop(self) -> None:
        """End the slave."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=STOP_S)
