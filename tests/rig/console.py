"""The commands as a person types them: real processes, their words and exit codes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
GATEWAY, CENTRE = "egret-gateway", "egret-aggregator"
PATIENCE_S = 60.0


class Said(NamedTuple):
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


async def typed(program: str, *words: object) -> Said:
    """Run a command to its end; one that does not end is killed and fails."""
    child = await asyncio.create_subprocess_exec(
        str(BIN / program),
        *(str(word) for word in words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.communicate()
        raise
    assert child.returncode is not None
    return Said(child.returncode, out.decode(), err.decode())
