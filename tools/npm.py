"""The Modbus servers of npm that tests talk to, where Node is; elsewhere they are skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("modbus-serial@8.0.25", "jsmodbus@5.0.0")
INSTALL_LIMIT_S = 120
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = CACHE / "egret" / "node"  # tests/rig/modbus_peers.py looks here too


def provide(task: str) -> None:
    """Fetch what is missing; say what will be skipped; never a failure, they are optional."""
    if not missing():
        return
    why = install()
    if why:
        print(f"{task}: without Modbus servers of npm ({why}): they are skipped", file=sys.stderr)


def missing() -> list[str]:
    """Return the packages that are not there in the wanted version."""
    return [package for package in PACKAGES if not (FOLDER / package / "done").exists()]


def install() -> str:
    """Install the packages; return "" or why it could not be done."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "no Node here"
    FOLDER.mkdir(parents=True, exist_ok=True)
    # Their scripts would build drivers of serial lines, which nothing here needs.
    options = ["--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts"]
    command = ["npm", "install", *options, "--prefix", str(FOLDER), *PACKAGES]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm install took more than {INSTALL_LIMIT_S} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["npm install failed"])[-1]
    for package in PACKAGES:
        (FOLDER / package).mkdir(exist_ok=True)
        (FOLDER / package / "done").touch()
    return ""
