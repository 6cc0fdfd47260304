"""What a whole gateway takes: memory, start, flash, the uplink's volume, CPU beside its peers.

Every part runs `egret-gateway run` as its own process, with TLS to a real broker and a real
centre's first half (intake and journal) that settles what comes. Bars: `rss_mb` <= 60 with 32
units and 200 channels at 10 s, `start_s` <= 1.0 (process to first byte on the line, warm cache,
median of 5), `disk_bytes_per_reading` <= 1024 at 20 channels a minute in batches of a minute,
`uplink_mb_per_month` <= 30 for them at a metered site, `cpu_ratio_to_thingsboard` <= 0.5. `--only`
takes parts of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import _gateway_cost as cost
import _gateway_peers as peers
import _gateway_uplink as uplink
import _thingsboard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Told = dict[str, float | str]

PARTS = ("start", "memory", "disk", "uplink", "cpu")
SECONDS = 60.0  # of each measurement; `disk` and `uplink` take more, for their cuts are far apart
LONG = 2.5
MINUTE_S = 60.0


async def start(folder: Path, _: argparse.Namespace) -> Told:
    return {**await cost.starts(folder)}


async def memory(folder: Path, arguments: argparse.Namespace) -> Told:
    return {**await cost.memory(folder, arguments.seconds)}


async def disk(folder: Path, arguments: argparse.Namespace) -> Told:
    """Measure three cuts: a minute's, a metered site's, and the default of a second."""
    told: Told = {}
    for name, cut_s, share in (
        ("disk_bytes_per_reading", MINUTE_S, 1.0),
        ("disk_bytes_per_reading_cut_600s", uplink.METERED.cut_s, LONG),
        ("disk_bytes_per_reading_cut_1s", uplink.DEFAULT.cut_s, 1.0),
    ):
        found = await cost.disk(folder / name, arguments.seconds * share, cut_s)
        told[name] = round(found.bytes / max(1, found.readings), 1)
        told[name.replace("bytes_per_reading", "readings")] = found.readings
        if not found.bytes:
            told[name] = f"not counted: {folder} lies on no disk (use TMPDIR)"
    return told | {"disk_cut_s": MINUTE_S, "disk_settled_by": "a centre"}


async def uplink_part(folder: Path, arguments: argparse.Namespace) -> Told:
    why = uplink.why_not()
    if why:
        return {"uplink_mb_per_month": f"not measured: {why}"}
    told = await uplink.uplink(folder / "metered", arguments.seconds * LONG)
    usual = await uplink.uplink(folder / "default", arguments.seconds, uplink.DEFAULT)
    return {
        **told,
        "uplink_default_mb_per_month": usual["uplink_mb_per_month"],
        "watch_trip_default_s": usual["watch_trip_s"],
    }


async def cpu(folder: Path, arguments: argparse.Namespace) -> Told:
    return await peers.figures(
        folder, arguments.seconds, with_thingsboard=arguments.with_thingsboard
    )


RUN: dict[str, Callable[[Path, argparse.Namespace], Coroutine[None, None, Told]]] = dict(
    zip(PARTS, (start, memory, disk, uplink_part, cpu), strict=True)
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--with-thingsboard",
        action="store_true",
        help=f"install {_thingsboard.PACKAGES[0]} into {_thingsboard.cache()} and run it",
    )
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    told: Told = {}
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        for part in arguments.only:
            told |= asyncio.run(RUN[part](Path(folder) / part, arguments))
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
