"""The Debian packages that tests with real components need, and how they are got."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSTALL_LIMIT_S = 300  # a slow mirror is no reason to hang a test run for ever
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
POLICY = Path("/usr/sbin/policy-rc.d")
UNPACKED = CACHE / "egret" / "debian"  # tests/rig/influxd.py looks here too


@dataclass(frozen=True)
class Package:
    """A Debian package, and what is skipped without it."""

    name: str
    proof: tuple[str, ...]  # a command that succeeds where it is installed
    without: str
    unpack: bool = False  # only its files, under UNPACKED: installing would start its service


PACKAGES = (
    Package("gcc", ("gcc", "--version"), "the foreign Modbus slave in C"),
    Package("libc6-dev", ("test", "-e", "/usr/include/stdio.h"), "the foreign Modbus slave in C"),
    Package("pkg-config", ("pkg-config", "--version"), "the foreign Modbus slave in C"),
    Package(
        "libmodbus-dev", ("pkg-config", "--exists", "libmodbus"), "the foreign Modbus slave in C"
    ),
    Package("mbpoll", ("mbpoll", "-V"), "reading our slaves by a foreign master"),
    Package("mosquitto", ("test", "-x", "/usr/sbin/mosquitto"), "the line over mosquitto"),
    Package(
        "postgresql",
        ("sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"),
        "ledger and accounts on PostgreSQL",
    ),
    Package("socat", ("socat", "-V"), "Modbus over a bridged line"),
    Package("influxdb", ("influxd", "version"), "the InfluxDB store on a real server", unpack=True),
    Package("openssl", ("openssl", "version"), "the local CA of docker/"),
    Package("nginx-light", ("test", "-x", "/usr/sbin/nginx"), "the front of docker/"),
    Package("docker-compose", ("docker-compose", "version"), "reading docker/compose.yaml"),
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
    places = os.pathsep.join([os.environ.get("PATH", ""), str(UNPACKED / package.name / "usr/bin")])
    program = shutil.which(package.proof[0], path=places)
    if program is None:
        return False
    command = [program, *package.proof[1:]]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install(packages: tuple[Package, ...]) -> str:
    """Install or unpack packages; return "" or the reasons why it could not be done."""
    if shutil.which("apt-get") is None:
        return "no apt-get here"
    reasons = []
    if os.geteuid() == 0:
        reasons.append(_run(["apt-get", "update", "-q"]))
    names = [package.name for package in packages if not package.unpack]
    if names and os.geteuid() != 0:
        reasons.append("not root")
    elif names:
        with services_left_off():
            command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *names]
            reasons.append(_run(command))
    reasons += [_unpack(package.name) for package in packages if package.unpack]
    return "; ".join(reason for reason in reasons if reason)


@contextmanager
def services_left_off(policy: Path = POLICY) -> Iterator[None]:
    """Let no package start its service: tests start servers of their own, on free ports.

    101 is Debian's word for "action not allowed" (invoke-rc.d, policy-rc.d specification); a policy
    that the machine has already stands.
    """
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _unpack(name: str) -> str:
    """Fetch a package and lay its files under UNPACKED; no right of root is needed."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED, prefix=f"{name}-") as folder:
        why = _run(["apt-get", "download", "-q", name], folder)
        found = next(Path(folder).glob("*.deb"), None)
        if why or found is None:
            return why or f"apt-get download {name}: nothing came"
        why = _run(["dpkg-deb", "-x", str(found), str(Path(folder) / "files")])
        if why:
            return why
        shutil.rmtree(UNPACKED / name, ignore_errors=True)
        (Path(folder) / "files").rename(UNPACKED / name)
    return ""


def _run(command: list[str], folder: str | None = None) -> str:
    """Run one command; return "" or why it failed."""
    told = " ".join(command[:2])
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{told} took more than {INSTALL_LIMIT_S} s"
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"{told}: {last}"
