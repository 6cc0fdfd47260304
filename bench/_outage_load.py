"""The load of `bench/outage.py`, a process of its own: so many readings a second, each once.

`_outage_load.py PORT RATE`: prints `ready`, publishes at an even pace after a line on its standard
input, stops at the next, and prints how many readings were sent once all are acknowledged.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

import _ingest_load as load
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from egret_core.control import decode_ack
from egret_core.reading import Reading
from egret_core.topics import Leaf, everyone, of

PER_BATCH = load.CHANNELS * load.INSTANTS


def rows(number: int, time_ms: int, step_ms: int) -> list[Reading]:
    """Return one batch of a station, its instants up to now; no level is reached."""
    return [
        Reading(load.station(number), load.channel(at)[0], time_ms - step_ms * back, 1.0 + at / 64)
        for back in reversed(range(load.INSTANTS))
        for at in range(load.CHANNELS)
    ]


def main(port: int, rate: int) -> int:
    acked = threading.Semaphore(0)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-outage")
    client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )

    def heard(_c: object, _u: object, message: mqtt.MQTTMessage) -> None:
        for _ in decode_ack(message.payload).got:
            acked.release()

    subscribed = threading.Event()
    client.on_message = heard
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe([(everyone(Leaf.ACK), 0)])
    subscribed.wait(60)
    stop = threading.Event()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    pause_s = PER_BATCH / rate
    step_ms = max(1, int(1000 * pause_s * load.STATIONS / load.INSTANTS))
    sent, due_s = 0, time.monotonic()
    while not stop.is_set():
        seq, number = divmod(sent, load.STATIONS)
        body = load.payload(
            load.gateway(number), seq + 1, rows(number, int(time.time() * 1000), step_ms)
        )
        client.publish(of(load.gateway(number), Leaf.DATA), body, 1)
        sent += 1
        due_s += pause_s
        stop.wait(max(0.0, due_s - time.monotonic()))
    for _ in range(sent):
        acked.acquire()
    sys.stdout.write(f"{sent * PER_BATCH}\n")
    sys.stdout.flush()
    client.disconnect()
    client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
