"""The embedded broker: nats-server as a child that dies with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator.errors import BrokerError
from egret_aggregator.intake.nats import LOG_FILES, Nats, Secured, find_nats, look, render

if TYPE_CHECKING:
    from collections.abc import Callable

READY_S = 20.0  # from start to an open MQTT port, on a slow card
STOP_S = 2.0  # from SIGTERM to SIGKILL; all of Egret stops within 3 s
POLL_S = 0.05  # between two looks at the port
RESTART_S = (1.0, 1.0, 2.0, 5.0, 10.0)  # before a broker that died is started again
LOG, OUTPUT = "nats.log", "nats.out"  # its own log; what it prints, when it panics only
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOG_TAIL_B = 2000  # of the broker's log in an error

_log = logging.getLogger(__name__)

__all__ = ["BrokerChild", "find_nats"]


class BrokerChild:
    """nats-server on one MQTT port, started again when it dies.

    Args:
        store_dir: its folder: store, configuration, logs and pid file.
        host: listening address.
        port: MQTT port.
        secured: its TLS and accounts, None for a broker that takes everyone on loopback.
    """

    def __init__(
        self, store_dir: Path, host: str, port: int, secured: Secured | None = None
    ) -> None:
        self._secured = secured
        self._dir = store_dir
        self._host = host
        self._port = port
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._nats: Nats | None = None
        self.restarts = 0
        self.last_error = ""

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None while it is not running."""
        return self._child.pid if self._child and self._child.returncode is None else None

    async def start(self) -> None:
        """Start the broker, return when its MQTT port answers.

        Raises:
            BrokerError: no nats-server, a configuration it refuses, or a port that is taken.
        """
        await asyncio.to_thread(self._prepare)
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name="broker")

    async def stop(self) -> None:
        """Stop the broker; it is gone when this returns."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), STOP_S)
            except TimeoutError:
                child.kill()
        await child.wait()
        (self._dir / "pid").unlink(missing_ok=True)

    async def watch(self) -> None:
        """Return when nobody keeps the broker any more; call it after `start`."""
        if self._keeper is not None:
            await asyncio.shield(self._keeper)

    async def _keep(self) -> None:
        while self._child is not None:
            code = await self._child.wait()
            _log.error("event=broker_died code=%s log=%r", code, self._last_words())
            await self._revive()

    async def _revive(self) -> None:
        """Start it again, as often as it takes; the same failure is told once."""
        failures = 0
        while True:
            await asyncio.sleep(RESTART_S[min(failures, len(RESTART_S) - 1)])
            try:
                await self._spawn()
            except (BrokerError, OSError) as error:
                failures += 1
                if str(error) != self.last_error:
                    self.last_error = str(error)
                    _log.error("event=broker_restart_failed error=%r", self.last_error)
            else:
                self.restarts += 1
                self.last_error = ""
                return

    def _prepare(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        replace_stale(self._dir / "pid", self._dir)
        self._nats = look()
        config = self._dir / "nats.conf"
        config.write_text(
            render(
                self._nats.version,
                self._dir.absolute() / "store",
                self._host,
                self._port,
                self._secured,
                log=self._dir.absolute() / LOG,
            )
        )
        done = subprocess.run(  # noqa: S603  (the server we found)
            [self._nats.path, "-c", config, "-t"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BrokerError(f"nats-server refuses {config}: {done.stderr.strip()!r}")

    async def _spawn(self) -> None:
        if await self._answers():
            raise BrokerError(
                f"port {self._host}:{self._port} is taken",
                "stop the other broker or change [broker] port",
            )
        assert self._nats is not None  # noqa: S101  (prepare came first)
        self._forget_logs()
        with (self._dir / OUTPUT).open("wb") as output:
            self._child = await asyncio.create_subprocess_exec(
                self._nats.path,
                "-c",
                self._dir / "nats.conf",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        (self._dir / "pid").write_text(str(self._child.pid))
        await self._ready(self._child)

    async def _ready(self, child: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(READY_S):
                while not await self._answers():
                    if child.returncode is not None:
                        raise BrokerError(f"nats-server ended at once: {self._last_words()!r}")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            child.kill()
            await child.wait()
            raise BrokerError(f"nats-server not ready in {READY_S:.0f} s") from None

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def _last_words(self) -> str:
        """Return the end of what it printed, a panic that is, or else of its log."""
        return tail(self._dir / OUTPUT) or tail(self._dir / LOG)

    def _forget_logs(self) -> None:
        """Remove the oldest logs laid aside: before 2.11 the server itself keeps them all."""
        for old in sorted(self._dir.glob(f"{LOG}.*"))[: 1 - LOG_FILES]:
            old.unlink(missing_ok=True)


def tail(path: Path) -> str:
    """Return the end of a file, however large it is; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL_B))
            return file.read(_LOG_TAIL_B).decode(errors="replace")
    except OSError:
        return ""


def reload(folder: Path) -> None:
    """Have a running broker of this folder read its accounts and certificates anew."""
    pid = running(folder / "pid", folder)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)


def running(pid_file: Path, folder: Path) -> int | None:
    """Return the process id of a broker of ours: same folder on its command line."""
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(folder / "nats.conf").encode() in command else None


def replace_stale(pid_file: Path, folder: Path) -> None:
    """Kill a broker that an earlier run of ours left behind: same folder on its command line."""
    pid = running(pid_file, folder)
    if pid is None:
        return
    _log.warning("event=broker_stale pid=%d", pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _wait_gone(pid)


def _wait_gone(pid: int) -> None:
    """Return when a killed process is gone: its ports are then free."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([handle], [], [], STOP_S)
    finally:
        os.close(handle)


def _die_with_parent(parent: int) -> Callable[[], None]:
    """Return what the child runs before it becomes the broker."""
    libc = ctypes.CDLL(None, use_errno=True)

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)

    return before_exec
