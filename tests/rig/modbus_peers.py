"""Starting the Modbus servers that nobody here wrote; each skipped by name where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
NODE_MODULES = CACHE / "egret" / "node" / "node_modules"  # filled by tools/npm.py
PYTHON = {
    "pymodbus": "pymodbus",
    "modbus-tk": "modbus_tk",
    "modbus-tk-rtu": "modbus_tk",
    "umodbus": "umodbus",
    "umodbus-rtu": "umodbus",
}
NPM = ("modbus-serial", "jsmodbus")
STOP_S = 10


def why_no_peer(name: str) -> str:
    """Return what is missing for a peer, "" for nothing."""
    if name in PYTHON:
        return "" if find_spec(PYTHON[name]) else f"{PYTHON[name]} is not installed"
    if shutil.which("node") is None:
        return f"{name}: no Node here"
    return "" if (NODE_MODULES / name).is_dir() else f"{name} is not fetched: ./dev test does it"


class Server:
    """`with Server(command)`: a program that prints "ready" and serves until it is ended."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self._command
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=STOP_S)


def peer(name: str, place: str | int) -> Server:
    """Return a peer at a TCP port of loopback, or on a tty."""
    if name in PYTHON:
        return Server([sys.executable, str(HERE / "modbus_servers.py"), name, str(place)])
    return Server(["node", str(HERE / "modbus_servers.js"), name, str(place)])
