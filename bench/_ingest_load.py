"""The load of `bench/ingest.py`, and the process that publishes it.

Stations of 20 channels, 18 levels and 2 rain totals; a batch holds ten instants of one station.
As a program: `_ingest_load.py PORT BATCHES START_MS` prepares every batch, prints `ready`, waits
for a line, publishes with a window, and ends when all are acknowledged.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import threading
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from egret_core.codec import encode_batch
from egret_core.control import decode_ack
from egret_core.entries import entries_of
from egret_core.messages import Batch, ClockSource, ClockStamp, Kind
from egret_core.reading import Reading
from egret_core.topics import Leaf, everyone, of

if TYPE_CHECKING:
    from collections.abc import Iterator

STATIONS = 100
CHANNELS = 20
RAIN = 2  # of the 20 channels: a tenth
FLOODS = 10  # of the 100 stations: their first level passes every rung and falls again
INSTANTS = 10  # of one batch: 200 readings, the most a gateway cuts
PERIOD_MS = 1000
WINDOW = 256  # unacknowledged batches
LOG = "{:032x}"


def station(number: int) -> str:
    return f"st{number:04d}"


def channel(number: int) -> tuple[str, str]:
    """Return (id, quantity)."""
    if number < RAIN:
        return f"rt{number}", "rain_total"
    return f"wl{number}", "water_level"


def gateway(number: int) -> str:
    return f"gw{number:04d}"


def readings(number: int, start_ms: int) -> list[Reading]:
    """Return one batch's readings, instant by instant."""
    name = station(number)
    ids = [channel(n) for n in range(CHANNELS)]
    rows = []
    for instant in range(INSTANTS):
        time_ms = start_ms + instant * PERIOD_MS
        for at, (ident, quantity) in enumerate(ids):
            if quantity == "rain_total":
                value = round((time_ms % 10**9) / 1000 * 0.0002, 1)
            elif number % (STATIONS // FLOODS) == 0 and at == RAIN:
                value = round(4.5 + 3.5 * math.sin(time_ms / 2e4), 3)
            else:
                value = round(1.5 + math.sin(time_ms / 1e6 + at + number), 3)
            rows.append(Reading(name, ident, time_ms, value))
    return rows


def batches(count: int, start_ms: int) -> Iterator[tuple[str, int, list[Reading]]]:
    """Yield (gateway, seq, readings), stations in turn."""
    for n in range(count):
        seq, number = divmod(n, STATIONS)
        at_ms = start_ms + seq * INSTANTS * PERIOD_MS
        yield gateway(number), seq + 1, readings(number, at_ms)


def payload(owner: str, seq: int, rows: list[Reading]) -> bytes:
    base_ms = rows[0].time_ms
    return encode_batch(
        Batch(
            owner,
            LOG.format(int(owner[2:]) + 1),
            seq,
            Kind.READINGS,
            "m1",
            rows[-1].time_ms,
            base_ms,
            ClockStamp(ClockSource.NTP, 0),
            entries_of(rows, base_ms),
        )
    )


def main(port: int, count: int, start_ms: int) -> int:
    ready = [
        (of(owner, Leaf.DATA), payload(owner, seq, rows))
        for owner, seq, rows in batches(count, start_ms)
    ]
    room = threading.Semaphore(WINDOW)
    done = threading.Semaphore(0)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-load")
    client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )
    client.max_inflight_messages_set(WINDOW)

    def acked(_c: object, _u: object, message: mqtt.MQTTMessage) -> None:
        for _ in decode_ack(message.payload).got:
            room.release()
            done.release()

    subscribed = threading.Event()
    client.on_message = acked
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(everyone(Leaf.ACK), 0)
    subscribed.wait(30)
    total = sum(len(body) for _, body in ready)
    sys.stdout.write(json.dumps({"ready": len(ready), "bytes": total}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for topic, body in ready:
        room.acquire()
        client.publish(topic, body, 1)
    for _ in ready:
        done.acquire()
    client.disconnect()
    client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
