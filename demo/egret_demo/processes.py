"""Child processes of the demo: started under our death, stopped as a whole, never left behind.

`python -m egret_demo.processes PARENT COMMAND ...` is the launcher: it asks the kernel for a
SIGTERM at its parent's death (Linux, prctl(2) PR_SET_PDEATHSIG) and becomes the command.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_LIMIT_S = 2.0  # Ctrl-C promises 3 s for everything
POLL_S = 0.05
LOG_TAIL_LINES = 12  # enough to see why a child died


class ChildError(Exception):
    """A child ended by itself, or never became ready; the message says what it logged last."""


@dataclass(slots=True)
class Child:
    """One running process and where it logs.

    Attributes:
        name: for people; process: its handle; log: its stdout and stderr.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def died(self) -> bool:
        """Tell whether it has ended."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])


class Family:
    """All children of the demo, in the order they were started."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a command; it logs to NAME.log and dies with us."""
        path = self._logs / f"{name}.log"
        with path.open("ab") as log:
            child = Child(name, _launch(command, log), path)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raise ChildError when a child has ended that was not told to."""
        for child in self._children:
            if child.died():
                code = child.process.returncode
                raise ChildError(f"{child.name} ended with {code}:\n{child.last_words()}")

    def wait_until(self, ready: Callable[[], bool], what: str, limit_s: float) -> None:
        """Wait for something the children bring about.

        Raises:
            ChildError: one of them died, or it did not come about in time.
        """
        deadline = time.monotonic() + limit_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildError(
                    f"{what}: not within {limit_s:.0f} s; see the logs in {self._logs}"
                )
            time.sleep(POLL_S)

    def stop(self, child: Child) -> int:
        """Stop one child and all it started; return its exit code."""
        self.stop_all([child])
        return child.process.returncode

    def stop_all(self, children: Sequence[Child] | None = None) -> None:
        """Ask all to end, together; after 2 s end them with all that they started.

        Asked is each child, not its group: it ends its own children in its own order.
        """
        going = list(self._children if children is None else children)
        for child in going:
            child.process.terminate()
        deadline = time.monotonic() + STOP_LIMIT_S
        for child in going:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(deadline - time.monotonic(), 0))
            # The whole group: a child of a child must not outlive it either.
            _kill(child)
            child.process.wait()
        self._children = [child for child in self._children if child not in going]


def _launch(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    launcher = [sys.executable, "-m", "egret_demo.processes", str(os.getpid())]
    return subprocess.Popen(  # noqa: S603  (our own commands, no shell)
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C on the terminal is ours to pass on
    )


def _kill(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)


def main(argv: list[str]) -> int:
    """Become the command, bound to the parent's life."""
    parent, command = int(argv[0]), argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.stderr.write(f"prctl: {os.strerror(ctypes.get_errno())}\n")
        return 3
    if os.getppid() != parent:  # it died before we asked
        return 3
    os.execvp(command[0], command)  # noqa: S606  (no shell is wanted)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
