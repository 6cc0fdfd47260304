"""Ptys without pacing: a pair for two programs, a bridge to it, a line whose far end is a test."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import termios
import threading
import tty
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_S = 10
STOP_S = 10


def why_no_pair() -> str:
    """Return what is missing for a `PtyPair`, "" for nothing."""
    return "" if shutil.which("socat") else "socat is not installed"


class Socat:
    """Two ends joined by socat, once it has told of them in these words."""

    def __init__(self, ends: Sequence[str], ready: bytes) -> None:
        self._ends, self._ready = ends, ready
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["socat", "-d", "-d", *self._ends], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if self._ready in line:
                return self
        raise RuntimeError("socat ended")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=STOP_S)


class PtyPair(Socat):
    """`with PtyPair(folder) as pair`: `pair.near` and `pair.far`, joined by socat."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.near = folder / "near"
        self.far = folder / "far"
        ends = [f"PTY,raw,echo=0,link={link}" for link in (self.near, self.far)]
        super().__init__(ends, b"starting data transfer loop")


class Bridge(Socat):
    """`with Bridge(port, tty)`: one TCP connection of loopback to a tty, as a serial server's."""

    def __init__(self, number: int, path: Path) -> None:
        ends = [f"TCP-LISTEN:{number},bind=127.0.0.1,reuseaddr", f"FILE:{path},raw,echo=0"]
        super().__init__(ends, b"listening on")


class FarEnd:
    """A tty whose far end is a function: whatever it returns for new bytes is sent back.

    `with FarEnd(answer) as line`: `line.path` is the tty to open.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = Path(os.ttyname(self._theirs))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        for fd in (self._stop_read, self._stop_write):
            os.close(fd)

    def send(self, data: bytes) -> None:
        """Send bytes unasked."""
        os.write(self._ours, data)

    def speed(self) -> int:
        """Return the speed that the line's user has set, as termios names it."""
        return int(termios.tcgetattr(self._theirs)[4])

    def hang_up(self) -> None:
        """Take the line away."""
        if self._theirs < 0:
            return
        os.write(self._stop_write, b".")
        self._thread.join(STOP_S)
        os.close(self._theirs)
        self._theirs = -1
        os.close(self._ours)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._ours, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            with suppress(OSError):
                back = self._answer(os.read(self._ours, 4096))
                if back:
                    os.write(self._ours, back)


@contextmanager
def saying(data: bytes, every_s: float) -> Iterator[FarEnd]:
    """Say the same again and again, from before the port is opened."""
    stop = threading.Event()
    with FarEnd(lambda _: b"") as far:

        def talk() -> None:
            while not stop.wait(every_s):
                far.send(data)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        try:
            yield far
        finally:
            stop.set()
            thread.join(STOP_S)
