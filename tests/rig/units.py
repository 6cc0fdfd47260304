"""What systemd does with a unit, as far as a chroot without systemd lets a test do it.

Played: ExecStartPre, ExecStart, User, Group, SupplementaryGroups, UMask, Environment and its file,
Type=notify, WatchdogSec, StateDirectory, ProtectSystem=strict with ReadWritePaths and a /tmp of its
own, an empty CapabilityBoundingSet, NoNewPrivileges, drop-ins. Not played: system call filters,
user namespaces, limits of devices and memory.
"""

from __future__ import annotations

import asyncio
import grp
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from rig.bare_debian import PATH
from rig.service_manager import Notified

if TYPE_CHECKING:
    from rig.bare_debian import BareDebian

FOLDERS = ("etc/systemd/system", "lib/systemd/system")
STOP_S = 30.0
NOTIFY = "/run/notify"


class Unit:
    """A unit's file with its drop-ins; an empty value forgets those before it."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        found = [root / folder / name for folder in FOLDERS if (root / folder / name).exists()]
        assert found, f"{name} is not installed"
        drop_ins = [path for folder in FOLDERS for path in (root / folder).glob(f"{name}.d/*.conf")]
        self._values: dict[str, list[str]] = {}
        for path in (found[0], *sorted(drop_ins, key=lambda path: path.name)):
            for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
                key, equals, value = line.strip().partition("=")
                if not equals or key.startswith(("#", ";")):
                    continue
                self._values[key] = [*self.all(key), value] if value else []

    def all(self, key: str) -> list[str]:
        return self._values.get(key, [])

    def one(self, key: str, default: str = "") -> str:
        return (self.all(key) or [default])[-1]

    def forgotten(self, key: str) -> bool:
        """Tell whether a key is there, and empty."""
        return self._values.get(key) == []

    def words(self, key: str) -> list[str]:
        return [word for value in self.all(key) for word in shlex.split(value)]


class Service:
    """One service, started as its unit says.

    Attributes:
        said: what it told the service manager.
    """

    def __init__(self, machine: BareDebian, name: str) -> None:
        self._machine = machine
        self.unit = Unit(machine.root, f"{name}.service")
        self.name = name
        self.log = machine.root.parent / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._notified: Notified | None = None

    async def start(self) -> None:
        """Start it; with Type=notify this returns once it says READY=1."""
        self._folders()
        for command in self.unit.all("ExecStartPre"):
            done = self._machine.run(command.lstrip("-+!@"))
            assert done.returncode == 0 or command.startswith("-"), f"{command}: {done.stderr}"
        (command,) = self.unit.all("ExecStart")
        environment = self._environment()
        if self.unit.one("Type") == "notify":
            environment |= self._listening()
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: ASYNC220  (it must outlive this call)
                self._machine.entering(
                    [*self._as_user(), *shlex.split(self._expanded(command))],
                    writable=self._writable(),
                ),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        if self._notified is not None:
            await self._notified.until(self._ready)

    async def stop(self) -> int:
        """End it by SIGTERM; returns the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end within {STOP_S} s") from None
        if self._notified is not None:
            self._notified.__exit__()
            (self._machine.root / NOTIFY[1:] / self.name / "notify").unlink()
            self._notified = None
        return code

    def reload(self) -> None:
        """Run its ExecReload; a service that does not run is left alone."""
        if self._process is None or self._process.poll() is not None:
            return
        for command in self.unit.all("ExecReload"):
            done = self._machine.run(command.replace("$MAINPID", str(self._process.pid)))
            assert done.returncode == 0, done.stderr

    def owner(self) -> tuple[int, list[int]]:
        """Return user and groups of the running process, as the kernel has them."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        return int(told["Uid"].split()[0]), [int(word) for word in told["Groups"].split()]

    def _ready(self, said: list[dict[str, str]]) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        return any(item.get("READY") == "1" for item in said)

    def _folders(self) -> None:
        """Make StateDirectory; what is somebody else's is handed over, as systemd does."""
        for name in self.unit.words("StateDirectory"):
            path, user = f"/var/lib/{name}", self.unit.one("User", "root")
            mode = self.unit.one("StateDirectoryMode", "0755")
            done = self._machine.run(
                f"mkdir -p {path}; [ $(stat -c %U {path}) = {user} ] || chown -R {user}: {path};"
                f" chmod {mode} {path}"
            )
            assert done.returncode == 0, done.stderr

    def _writable(self) -> list[str] | None:
        if self.unit.one("ProtectSystem") != "strict":
            return None
        paths = [f"/var/lib/{name}" for name in self.unit.words("StateDirectory")]
        for word in self.unit.words("ReadWritePaths"):
            path = word.removeprefix("-")
            if path == word or (self._machine.root / path[1:]).exists():
                paths.append(path)
        return paths

    def _as_user(self) -> list[str]:
        user = self.unit.one("User")
        umask = ["sh", "-c", f'umask {self.unit.one("UMask", "0022")}; exec "$@"', "sh"]
        if not user:
            return umask
        groups = [self.unit.one("Group", user), *self.unit.words("SupplementaryGroups")]
        numbers = [str(self._gid(name)) for name in groups]
        setpriv = [
            *("setpriv", f"--reuid={user}", f"--regid={numbers[0]}"),
            f"--groups={','.join(numbers[1:] or numbers)}",
        ]
        return [*umask, *setpriv, *self._bounds()]

    def _bounds(self) -> list[str]:
        none = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
        bounds = none if self.unit.forgotten("CapabilityBoundingSet") else []
        return bounds + ["--no-new-privs"] * (self.unit.one("NoNewPrivileges") == "yes")

    def _gid(self, name: str) -> int:
        for line in (self._machine.root / "etc/group").read_text().splitlines():
            entry = grp.struct_group(line.split(":"))
            if entry.gr_name == name:
                return int(entry.gr_gid)
        raise AssertionError(f"no group {name} for {self.name}")

    def _environment(self) -> dict[str, str]:
        told = dict(pair.split("=", 1) for pair in self.unit.words("Environment"))
        for word in self.unit.words("EnvironmentFile"):
            path = self._machine.root / word.removeprefix("-")[1:]
            if path.exists() or not word.startswith("-"):
                told |= dict(pair.split("=", 1) for pair in shlex.split(path.read_text(), True))
        names = self.unit.words("StateDirectory")
        if names:
            told["STATE_DIRECTORY"] = ":".join(f"/var/lib/{name}" for name in names)
        return {"PATH": PATH, "LANG": "C.UTF-8", **told}

    def _listening(self) -> dict[str, str]:
        folder = self._machine.root / NOTIFY[1:] / self.name
        folder.mkdir(parents=True, exist_ok=True)
        watchdog = self.unit.one("WatchdogSec")
        self._notified = Notified(folder, float(watchdog) if watchdog else None)
        self._notified.__enter__()
        os.chmod(folder / "notify", 0o777)  # noqa: PTH101, S103  (as systemd's own: anybody may speak)
        return {**self._notified.environment, "NOTIFY_SOCKET": f"{NOTIFY}/{self.name}/notify"}

    def _expanded(self, command: str) -> str:
        told = self._environment()
        return re.sub(r"\$\{?(\w+)\}?", lambda match: told.get(match[1], ""), command)
