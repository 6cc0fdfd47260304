"""The gateway process of `bench/uplink.py`: service's parts without a bus, fed by a fast channel.

Arguments: data folder, broker port, fresh batches, their period in ms. It prints `log ID` once,
`cut SEQ MONOTONIC_NS` for every fresh batch after its commit returned, and `rss KIB` now and then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from egret_gateway import service
from egret_gateway.clock import Clock
from egret_gateway.config import BrokerSettings, OutboxSettings
from egret_gateway.health import Health
from egret_gateway.outbox import Outbox
from egret_gateway.sample import Sample
from egret_gateway.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.outbox import Parcel

LOOK_S = 0.25
STATUS = Path("/proc/self/status")
GATEWAY = "bench-uplink"


async def run(folder: Path, port: int, fresh: int, period_ms: int) -> None:
    clock = Clock()
    outbox = Outbox(folder, GATEWAY, clock, (), OutboxSettings())
    outbox.open()
    health = Health(GATEWAY, outbox, clock, dict, lambda: False)
    broker = BrokerSettings("127.0.0.1", port)
    uplink = Uplink(GATEWAY, broker, outbox, clock, health, status_s=120.0)
    listen = outbox.listen
    cut: list[int] = []

    def listen_too(committed, rewound) -> None:  # noqa: ANN001
        def heard(parcels: Sequence[Parcel]) -> None:
            for parcel in parcels:
                say(f"cut {parcel.seq} {time.monotonic_ns()}")
                cut.append(parcel.seq)
            committed(parcels)

        listen(heard, rewound)

    outbox.listen = listen_too  # type: ignore[method-assign]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    task = asyncio.create_task(uplink.run())
    say(f"log {outbox.current_log}")
    emit = outbox.emitter(0.0)
    try:
        number = 0
        while len(cut) < fresh:  # not so many readings: a slow commit takes two into one batch
            emit([Sample("bench", "fast", clock.mono_ms(), float(number))], {})
            if number % 50 == 0:
                tell_rss()
            number += 1
            await asyncio.sleep(period_ms / 1000)
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            tell_rss()
            await asyncio.wait([stopping], timeout=LOOK_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(outbox.close)


def say(line: str) -> None:
    """Write one whole line: two threads speak."""
    os.write(1, f"{line}\n".encode())


def tell_rss() -> None:
    assert service.Service  # the bus's modules are in memory too, as in a real gateway
    # The peak of this program; getrusage would also count the parent it was forked from.
    peak = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    say(f"rss {peak.split()[1]}")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), *(int(word) for word in sys.argv[2:5])))
