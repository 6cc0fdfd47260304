"""The Debian packages that tests with real components need, and how they are got."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

INSTALL_LIMIT_S = 300  # a slow mirror is no reason to hang a test run for ever


@dataclass(frozen=True)
class Package:
    """A Debian package, and what is skipped without it."""

    name: str
    proof: tuple[str, ...]  # a command that succeeds where it is installed
    without: str


PACKAGES = (
    Package("gcc", ("gcc", "--version"), "the foreign Modbus slave in C"),
    Package("libc6-dev", ("test", "-e", "/usr/include/stdio.h"), "the foreign Modbus slave in C"),
    Package("pkg-config", ("pkg-config", "--version"), "the foreign Modbus slave in C"),
    Package(
        "libmodbus-dev", ("pkg-config", "--exists", "libmodbus"), "the foreign Modbus slave in C"
    ),
    Package("mbpoll", ("mbpoll", "-V"), "reading our slaves by a foreign master"),
    Package("socat", ("socat", "-V"), "Modbus over a bridged line"),
    Package("systemd", ("systemd-analyze", "--version"), "whether systemd takes our units"),
)


def provide(task: str) -> int:
    """Install what real components need; say what will be skipped; with CI=true that fails."""
    lacking = missing()
    if not lacking:
        return 0
    names = ", ".join(package.name for package in lacking)
    print(f"{task}: installing {names}", file=sys.stderr, flush=True)
    why = install(lacking)
    lacking = missing()
    for package in lacking:
        reason = why or "installed, but not found"
        lost = f"skipped is {package.without}"
        print(f"{task}: without {package.name} ({reason}): {lost}", file=sys.stderr, flush=True)
    if lacking and os.environ.get("CI") == "true":
        print(f"{task}: CI=true: a missing component is a failure", file=sys.stderr)
        return 1
    return 0


def missing() -> tuple[Package, ...]:
    """Return the packages whose proof fails."""
    return tuple(package for package in PACKAGES if not _proven(package))


def _proven(package: Package) -> bool:
    if shutil.which(package.proof[0]) is None:
        return False
    return subprocess.run(package.proof, capture_output=True, check=False).returncode == 0


def install(packages: tuple[Package, ...]) -> str:
    """Install packages; return "" or the reason why it could not be done."""
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("apt-get") is None:
        return "no apt-get here"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    names = [package.name for package in packages]
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *names],
    ):
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=INSTALL_LIMIT_S,
                env=quiet,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{' '.join(command[:2])} took more than {INSTALL_LIMIT_S} s"
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return f"{' '.join(command[:2])}: {last}"
    return ""
