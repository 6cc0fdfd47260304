"""A bare Debian 12 in a folder: made by debootstrap once, copied for each use, entered by chroot.

The machine's settings of package clients come along, for its mirrors and proxies; nothing else
does: no installed package, no cache, no environment. Mounts are made in a namespace of each
command's own and vanish with it. No systemd runs within.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
# What the installer gives every Debian 12 beyond the least that debootstrap knows.
INCLUDED = "ca-certificates,procps,systemd,systemd-sysv,tzdata"
CACHE = Path(os.environ.get("EGRET_BARE_DEBIAN", "/var/tmp/egret-bare-debian-12"))  # noqa: S108  (root's, and large)
CHECKOUT = "/srv/egret"
MAKE_S = 900
LINE_S = 900
NEEDED = ("debootstrap", "unshare", "nsenter", "ip", "chroot", "git")
CLIENTS = (
    *("/etc/apt/sources.list.d", "/etc/apt/apt.conf.d", "/etc/pip.conf", "/etc/hosts"),
    *("/etc/ssl/certs", "/usr/local/share/ca-certificates", "/etc/resolv.conf"),
)
SETTINGS = re.compile(r"(PIP|SSL|REQUESTS)_\w+|(https?|no)_proxy", re.IGNORECASE)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Arguments: the root, how it is seen ("open" or "closed"), what stays writable, "--", a command.
ENTER = """
root=$1 how=$2
shift 2
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev/pts "$root/dev/pts"
while [ "$1" != -- ]; do
    mount --bind "$root$1" "$root$1"
    shift
done
shift
if [ "$how" = closed ]; then
    mount -o remount,bind,ro "$root"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fi
exec chroot "$root" "$@"
"""


def why_missing() -> str:
    """Return what is missing to make and enter one, "" for nothing."""
    if os.geteuid() != 0:
        return "only root may make and enter a chroot"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)}: not installed"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return "this machine does not let us mount" if tried.returncode else _built()


def _built() -> str:
    """Make the system that is copied, where there is none yet; return why not, "" if it is."""
    ready = CACHE / ".ready"
    if ready.exists():
        return ""
    shutil.rmtree(CACHE, ignore_errors=True)
    # What it mounts in there goes with it, however it ends.
    own = ["unshare", "--mount", "--propagation", "private"]
    command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(CACHE)]
    done = subprocess.run(
        [*own, *command, *_mirror()], capture_output=True, text=True, timeout=MAKE_S, check=False
    )
    if done.returncode:
        return f"debootstrap: {(done.stdout + done.stderr).strip()[-300:]!r}"
    _furnish()
    ready.touch()
    return ""


def _furnish() -> None:
    """Bring this machine's settings of package clients; let no package start its service."""
    if Path("/etc/apt/sources.list.d/debian.sources").exists():
        (CACHE / "etc/apt/sources.list").unlink(missing_ok=True)
    for name in CLIENTS:
        if Path(name).exists():
            target = (CACHE / name[1:]).parent
            target.mkdir(parents=True, exist_ok=True)
            # A link there may lead out of the folder: it is replaced, never written through.
            copy = ["cp", "-rL", "--remove-destination", name, str(target)]
            subprocess.run(copy, check=True, timeout=MAKE_S)
    # A package's own script would start its service the old way where no systemd runs.
    policy = CACHE / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def _mirror() -> list[str]:
    """Return where this machine's own packages come from."""
    for path in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        text = path.read_text() if path.exists() else ""
        found = re.search(r"^(?:URIs: *|deb +(?:\[[^]]*\] *)?)(\S+)", text, re.MULTILINE)
        if found:
            return [found[1]]
    return []


class BareDebian:
    """A copy with this checkout in it, and a network of its own: every port is free there.

    Attributes:
        root: its folder on this machine.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._network = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._network.stdout is not None
        assert self._network.stdout.readline() == "up\n"

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return how this machine runs a command of its own in that network."""
        return ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", *command]

    def entering(
        self,
        command: Sequence[str],
        *,
        outside: bool = False,
        writable: Sequence[str] | None = None,
    ) -> list[str]:
        """Return how a command is run within.

        Args:
            command: as seen from within.
            outside: on this machine's network.
            writable: None for all; else what is left of a root that is read-only.
        """
        how = ["open"] if writable is None else ["closed", *writable]
        enter = [
            *("unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER, "enter"),
            *(str(self.root), *how, "--", *command),
        ]
        return enter if outside else self.inside(enter)

    def run(self, script: str, *, outside: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a script by `sh -e` as root in the checkout."""
        return subprocess.run(
            self.entering(["sh", "-ec", f"cd {CHECKOUT}\n{script}"], outside=outside),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def close(self) -> None:
        self._network.kill()
        self._network.communicate()


def environment() -> Mapping[str, str]:
    """Return what root's shell has within."""
    told = {name: value for name, value in os.environ.items() if SETTINGS.fullmatch(name)}
    plain = {"HOME": "/root", "PATH": PATH, "LANG": "C.UTF-8", "TERM": "dumb"}
    return {**told, **plain, "DEBIAN_FRONTEND": "noninteractive"}


def _checkout(root: Path) -> None:
    """Lay the files of this working tree into a root: those that git has or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, root / CHECKOUT[1:] / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


@contextmanager
def bare_debian() -> Iterator[BareDebian]:
    """Give a machine that has had nothing done to it; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="egret-", dir="/var/tmp"))
    machine = None
    try:
        root = folder / "root"
        subprocess.run(["cp", "-a", str(CACHE), str(root)], check=True, timeout=MAKE_S)
        _checkout(root)
        machine = BareDebian(root)
        yield machine
    finally:
        if machine is not None:
            machine.close()
        shutil.rmtree(folder)
