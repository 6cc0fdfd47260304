"""The valley as a process: `python -m egret_demo.station VALLEY.toml`.

It serves every unit of the file on one serial line until SIGTERM, then writes what it did to its
bus into `fates.json` beside the file: the truth that the gateway's own counts are held against.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from egret_core.timescale import Timescale
from egret_demo.faults import Faults
from egret_demo.instruments import Radar, RainBucket
from egret_demo.slave import Line, Unit
from egret_demo.valley import Valley

if TYPE_CHECKING:
    from egret_demo.instruments import Instrument


@dataclass(frozen=True, slots=True)
class Site:
    """What stands in a valley's file."""

    seed: int
    port: Path
    timescale: Timescale
    units: dict[int, Unit]


def load(path: Path) -> Site:
    """Read a valley's file, as `egret_demo.site` writes it."""
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    seed = int(table["seed"])
    valley = Valley(seed)
    units = {
        int(entry["unit"]): Unit(
            _instrument(entry["instrument"], valley, seed), Faults(**entry.get("faults", {}))
        )
        for entry in table["unit"]
    }
    timescale = Timescale(**table["clock"]["scaled"])
    return Site(seed, Path(table["port"]), timescale, units)


def _instrument(name: str, valley: Valley, seed: int) -> Instrument:
    return RainBucket(valley) if name == "rain" else Radar(valley, name, seed)


async def serve(site: Site) -> dict[str, int]:
    """Serve until SIGTERM or SIGINT; return how many replies met which fate."""

    def valley_s() -> float:
        scaled_ms = site.timescale.at(time.time() * 1000)
        return (scaled_ms - site.timescale.to_ms) / 1000

    line = Line(site.units, valley_s, Random(f"{site.seed}/line"))
    serving = asyncio.create_task(line.run(site.port))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()
    return {f"{unit}/{fate.value}": count for (unit, fate), count in line.fates.items()}


def main(argv: list[str]) -> int:
    """Run the valley of one file."""
    path = Path(argv[0])
    fates = asyncio.run(serve(load(path)))
    (path.parent / "fates.json").write_text(
        json.dumps(fates, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
