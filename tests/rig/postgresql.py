"""A real PostgreSQL for tests: a cluster of its own, as a user of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from rig.broker import free_port

from egret_aggregator.config import DatabaseSettings

UP_S = 60.0
STEP_S = 0.05
USER = "egret"
PASSWORD = "a secret of the tests"  # noqa: S105  (of a cluster that lives for one run)
_FOLDERS = ("/usr/lib/postgresql", "/usr/local/lib/postgresql")


def program(name: str) -> str:
    """Return the path of a server program; Debian keeps them out of PATH, by version."""
    found = [path for folder in _FOLDERS for path in Path(folder).glob(f"*/bin/{name}")]
    return str(max(found, default="")) or shutil.which(name) or ""


def why_missing() -> str:
    """Return what is missing to start a cluster, "" for nothing."""
    return "" if program("initdb") and program("postgres") else "postgresql is not installed"


def _owner() -> str | None:
    """Return the user the server runs as: it refuses root."""
    return "postgres" if os.geteuid() == 0 else None


class Cluster:
    """`with Cluster() as cluster:` serves an empty cluster; databases are made by name."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = free_port()
        # Not in a test's own folder: that one is closed to the server's user.
        self.folder = Path(tempfile.mkdtemp(prefix="egret-postgresql-"))
        self.password_file = self.folder / "password"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.password_file.write_text(PASSWORD)
        owner = _owner()
        if owner is not None:
            entry = pwd.getpwnam(owner)
            for path in (self.folder, self.password_file):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        self._run(
            *(program("initdb"), "-D", self.folder / "data", "-U", USER, "-E", "UTF8"),
            *("--locale=C.UTF-8", "-A", "scram-sha-256", f"--pwfile={self.password_file}"),
            "--no-sync",
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *settings: str) -> None:
        """Start the server and wait until it answers."""
        options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "fsync=off",  # a killed process loses nothing by it, and the disk is shared
            *settings,
        ]
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    *(program("postgres"), "-D", str(self.folder / "data")),
                    *(word for option in options for word in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=_owner(),
                group=_owner(),
                extra_groups=[] if _owner() else None,
                start_new_session=True,
            )
        end = time.monotonic() + UP_S
        while not self._answers():
            assert self._process.poll() is None, self.log()[-2000:]
            assert time.monotonic() < end, self.log()[-2000:]
            time.sleep(STEP_S)

    def stop(self) -> None:
        """End it at once: connections are cut, what is committed stays."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """As a crash would end it; its children notice and go."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Return what the server said."""
        return (self.folder / "server.log").read_text(errors="replace")

    def create(self, name: str, *options: str) -> DatabaseSettings:
        """Make an empty database; return settings that reach it."""
        self.sql(f'CREATE DATABASE "{name}" {" ".join(options)}')
        return self.settings(name)

    def settings(self, name: str, port: int | None = None) -> DatabaseSettings:
        """Return settings for a database, through another port where one is given."""
        url = f"postgresql://{USER}@{self.host}:{port or self.port}/{name}"
        return DatabaseSettings(url, self.password_file)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as an administrator would; return its rows, unaligned."""
        url = f"postgresql://{USER}@{self.host}:{self.port}/{database}"
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement)

    def _answers(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.sql("SELECT 1").strip() == "1"
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(UP_S)

    def _run(self, *command: object) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            user=_owner(),
            check=True,
        )
        return done.stdout
