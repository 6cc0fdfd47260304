"""The folder `docker/` as an operator would have it, with its files at places of this test."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
LIMIT_S = 120
_STEP = re.compile(r"^(FROM|RUN|COPY|USER|ENV|HEALTHCHECK|CMD|ENTRYPOINT|VOLUME|EXPOSE|WORKDIR) ")


def compose() -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
    return body


def steps(name: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, each with its text on one line."""
    text = (DOCKER / name).read_text("utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    assert all(_STEP.match(line) for line in lines if line), lines
    return [tuple(line.split(" ", 1)) for line in lines if line]  # type: ignore[misc]


def own_copy(folder: Path) -> Path:
    """Return a copy that a test may fill with secrets."""
    made = folder / "docker"
    shutil.copytree(DOCKER, made, ignore=shutil.ignore_patterns("ca", "secrets", ".env"))
    return made


def run(
    *command: str | Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "EGRET_GID": str(os.getgid()), **env},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def prepared(folder: Path) -> Path:
    """Return a copy with its CA, certificates and secrets."""
    made = own_copy(folder)
    for script in ("local-ca.sh", "secrets.sh"):
        done = run(made / script)
        assert done.returncode == 0, done.stderr
    return made


async def listens(port: int) -> bool:
    """Tell whether somebody answers at a port of this machine."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
