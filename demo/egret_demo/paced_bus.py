"""A shared pair of wires made of ptys: every character takes its time, everyone hears everyone.

`python -m egret_demo.paced_bus DIR N BAUD [BITS]` makes DIR/master and DIR/s1 .. DIR/sN, prints
"ready", and at SIGTERM one JSON line: seconds the wire was busy, seconds in all, characters, and
the character time as it was really kept. BITS per character: 10 for 8N1, 11 for 8E1 or 8N2 (ptys
themselves know no parity). Collisions are not modelled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios
import time
import tty
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BITS = 10  # 8N1
STALE_B = 512  # two frames: whoever leaves more unread is not there
_CHUNK_B = 4096
_IDLE_S = 0.5  # how soon a stop is noticed
_USAGE = "usage: python -m egret_demo.paced_bus DIR N BAUD [BITS]\n"


@dataclass(slots=True)
class _End:
    """One end of the wire: our side of a pty, and the bytes it has sent that are still under way.

    Attributes:
        ours, theirs: file descriptors; theirs stays open so that a user may come and go.
        queue: (due time, byte); last_s: when the last queued one is due.
        written_s: when the last one was really written, within a burst.
    """

    ours: int
    theirs: int
    queue: deque[tuple[float, int]] = field(default_factory=deque)
    last_s: float = 0.0
    written_s: float | None = None


class PacedBus:
    """The wire; `turn` moves it on."""

    def __init__(self, folder: Path, count: int, baud: int, bits: int = BITS) -> None:
        """Make the ptys and their links.

        Args:
            folder: where the links go.
            count: slaves.
            baud: bits per second.
            bits: bits per character.
        """
        self.char_s = bits / baud
        self.chars = 0
        self._interval_s = 0.0
        self._intervals = 0
        self._links = [folder / name for name in ("master", *(f"s{n + 1}" for n in range(count)))]
        self._ends = [_open(link) for link in self._links]
        self._by_fd = {end.ours: end for end in self._ends}

    @property
    def measured_char_s(self) -> float:
        """Mean time between neighbouring characters of a burst, as written."""
        return self._interval_s / self._intervals if self._intervals else self.char_s

    def turn(self, most_s: float = _IDLE_S) -> None:
        """Wait for the next event, at most `most_s`, and move bytes."""
        now = time.monotonic()
        due = min((end.queue[0][0] for end in self._ends if end.queue), default=now + most_s)
        # select, not epoll: its time-out is in microseconds.
        ready, _, _ = select.select(list(self._by_fd), [], [], max(0.0, min(due - now, most_s)))
        now = time.monotonic()
        for fd in ready:
            self._take(self._by_fd[fd], now)
        for end in self._ends:
            self._release(end, now)

    def close(self) -> None:
        """Take the wire away: whoever holds an end sees it hang up."""
        for link, end in zip(self._links, self._ends, strict=True):
            link.unlink(missing_ok=True)
            os.close(end.ours)
            os.close(end.theirs)

    def _take(self, end: _End, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            for byte in os.read(end.ours, _CHUNK_B):
                end.last_s = max(now, end.last_s) + self.char_s
                end.queue.append((end.last_s, byte))

    def _release(self, end: _End, now: float) -> None:
        data = bytearray()
        while end.queue and end.queue[0][0] <= now:
            data.append(end.queue.popleft()[1])
        if not data:
            return
        self.chars += len(data)
        if end.written_s is not None:
            self._interval_s += now - end.written_s
            self._intervals += len(data)
        elif len(data) > 1:
            self._intervals += len(data) - 1
        end.written_s = now if end.queue else None
        for other in self._ends:
            if other is not end:
                _give(other, bytes(data))


def _open(link: Path) -> _End:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    return _End(ours, theirs)


def _give(end: _End, data: bytes) -> None:
    unread = struct.unpack("i", fcntl.ioctl(end.theirs, termios.FIONREAD, b"\0\0\0\0"))[0]
    if unread > STALE_B:
        # Nobody listens here; whoever comes later must not find an old conversation.
        termios.tcflush(end.theirs, termios.TCIFLUSH)
    with contextlib.suppress(BlockingIOError):
        os.write(end.ours, data)


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT, then report."""
    try:
        folder, count, baud = Path(argv[0]), int(argv[1]), int(argv[2])
        bits = int(argv[3]) if len(argv) > 3 else BITS  # noqa: PLR2004  (the fourth argument)
    except (IndexError, ValueError):
        sys.stderr.write(_USAGE)
        return 2
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopped.append(signum))
    bus = PacedBus(folder, count, baud, bits)
    began = time.monotonic()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stopped:
        bus.turn()
    report = {
        "busy_s": round(bus.chars * bus.measured_char_s, 3),
        "wall_s": round(time.monotonic() - began, 3),
        "chars": bus.chars,
        "char_ms": round(bus.measured_char_s * 1000, 4),
    }
    bus.close()
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
