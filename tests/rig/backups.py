"""Backups of a small centre, made and put back."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from egret_aggregator.backup import folder as place
from egret_aggregator.backup import making, restoring
from egret_aggregator.backup.manifest import Copy, encode

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


async def backed_up_at(level: float, centre: SmallCentre, to: Path) -> Manifest:
    """Run a centre until a level is judged and recorded, back it up, and let it end."""
    async with centre.running():
        await centre.levels(1, level)
        await centre.quiet()
        return await backed_up(centre, to)


def told_of(backup: Path, name: str) -> None:
    """Have the manifest of a backup tell of a file more, one that lies there already."""
    manifest, own = place.checked(backup, quiet), backup / name
    more = Copy(name, own.stat().st_size, place.digest(own, name, quiet))
    files = (*manifest.files, more)
    (backup / "manifest.json").write_text(encode(dataclasses.replace(manifest, files=files)))


async def put_back(centre: SmallCentre, source: Path) -> Restored:
    return await asyncio.to_thread(
        restoring.restore,
        centre.settings,
        centre.place,
        source,
        now_ms=lambda: NOW_MS,
        said=quiet,
    )
