"""Backups of a small centre, made and put back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator.backup import making, restoring

if TYPE_CHECKING:
    from pathlib import Path

    from rig.small_centre import SmallCentre

    from egret_aggregator.backup.manifest import Manifest
    from egret_aggregator.backup.restoring import Restored

NOW_MS = 1_503_014_400_000


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


async def backed_up(centre: SmallCentre, to: Path, *, secrets: bool = False) -> Manifest:
    return await asyncio.to_thread(
        making.make,
        centre.settings,
        centre.place,
        to,
        now_ms=NOW_MS,
        secrets=secrets,
        said=quiet,
    )


async def put_back(centre: SmallCentre, source: Path) -> Restored:
    return await asyncio.to_thread(
        restoring.restore,
        centre.settings,
        centre.place,
        source,
        now_ms=lambda: NOW_MS,
        said=quiet,
    )
