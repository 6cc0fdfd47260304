"""A stranger follows the README's production section on a bare Debian 12, line by line.

Broker: Debian's mosquitto. Store: Debian's influxd 1.6.7 behind the alias that gives it 1.8's write
path. Slave: libmodbus, a foreign program. Each service is started by its unit's own ExecStart.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from rig import bare_debian, libmodbus, pty
from rig.batches import payload
from rig.libmodbus import LibmodbusSlave
from rig.line import until
from rig.production import CENTRE_CONFIG, LINES, PATIENCE_S, Walk, walk

from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.long]

GATEWAY, OTHER = "XM-TA-0042", "XM-TA-0043"
STATION, ELSEWHERE = "st0007", "st0009"
PORT = "dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10K5J2C-if00-port0"  # as in sites/stage.toml
STAGES = list(range(1000, 3000))  # hundredths of a foot
FORGED, OWN = 66.6, 7.5
DIALOUT = 20  # Debian's number for serial ports
AS_EGRET = "runuser -u egret -- egret-aggregator"
SEND = """
import json, ssl, sys
from paho.mqtt.client import CallbackAPIVersion, Client
bundle, messages = json.load(open(sys.argv[1])), json.load(sys.stdin)
client = Client(CallbackAPIVersion.VERSION2, client_id="other")
client.username_pw_set(bundle["account"], bundle["secret"])
client.tls_set_context(ssl.create_default_context(cadata=bundle["ca"]))
client.on_connect = lambda *told: print(told[3], flush=True)
client.connect(bundle["host"], bundle["port"])
client.loop_start()
for topic, body in messages:
    client.publish(topic, bytes.fromhex(body), qos=1).wait_for_publish(30)
client.disconnect()
"""


@contextmanager
def sensor(here: Walk, folder: Path) -> Iterator[LibmodbusSlave]:
    """Give a slave at the place where the gateway looks for its adapter."""
    with pty.PtyPair(folder / "line") as line:
        device = line.near.resolve()
        os.chown(device, 0, DIALOUT)
        device.chmod(0o660)
        place = here.machine.root / PORT
        place.parent.mkdir(parents=True)
        place.symlink_to(device)
        with LibmodbusSlave(folder, line.far, 1, 9600, STAGES) as slave:
            yield slave


async def allowed(here: Walk, user: str, path: str) -> bool:
    return "yes" in await here.ask(
        f"runuser -u {user} -- cat {path} >/dev/null 2>&1 && echo yes || echo no"
    )


async def nobody_reads_more_than_they_need(here: Walk) -> None:
    folder = "/etc/egret/broker"
    for user, name, may in (
        ("egret", "ca.key", True),
        ("mosquitto", "ca.key", False),
        ("mosquitto", "accounts.json", False),
        ("mosquitto", "centre.password", False),
        ("mosquitto", "server.key", True),
        ("mosquitto", "mosquitto.passwd", True),
        ("nobody", "server.key", False),
        ("nobody", "mosquitto.passwd", False),
    ):
        assert await allowed(here, user, f"{folder}/{name}") is may, (user, name)


async def a_reading_arrives(here: Walk, slave: LibmodbusSlave) -> int:
    """Return how many readings are in InfluxDB once the newest of them is on the API, too."""
    token = json.loads(
        await here.ask(f"{AS_EGRET} token add {CENTRE_CONFIG} --role viewer --name walk --json")
    )["token"]
    assert here.said_by("token add").strip(), "the section's own line shows one"

    async def stored() -> list[list[float]]:
        rows = await here.rows(STATION)
        return rows if len(rows) >= 3 else []

    rows = await until(stored, "three readings are in InfluxDB", PATIENCE_S)
    served = {one.value for one in slave.served()}
    assert {raw for _, raw in rows} <= served
    (channel,) = [
        item
        for item in (await here.api("/api/v1/latest", token))["items"]
        if (item["station"], item["channel"]) == (STATION, "wl")
    ]
    value = channel["reading"]["value"]
    assert any(value == pytest.approx(one.value * 0.003048) for one in slave.served())
    return len(rows)


async def another_ones_word_does_not(here: Walk) -> None:
    """The other gateway's own message comes after the forged ones, and comes alone."""
    bundle = f"/var/lib/egret-aggregator/{OTHER}.enrol"
    await here.ask(f"{AS_EGRET} gateway add {CENTRE_CONFIG} {OTHER} --out {bundle}")
    await here.settled()
    now_ms = time.time_ns() // 1_000_000
    forged = payload(1, [Reading(STATION, "wl", now_ms, FORGED, FORGED)], gateway=GATEWAY)
    own = payload(2, [Reading(ELSEWHERE, "wl", now_ms, OWN, OWN)], gateway=OTHER)
    messages = [
        (f"egret/v1/{GATEWAY}/data", forged.hex()),
        (f"egret/v1/{OTHER}/data", forged.hex()),
        (f"egret/v1/{OTHER}/data", own.hex()),
    ]
    sending = (
        f"echo {shlex.quote(json.dumps(messages))} |"
        f" /opt/egret/bin/python -c {shlex.quote(SEND)} {bundle}"
    )

    async def taken() -> bool:
        return "Success" in await here.ask(sending)  # the broker may read its accounts just now

    await until(taken, "the other gateway is let in", PATIENCE_S)

    async def come() -> list[list[float]]:
        return await here.rows(ELSEWHERE)

    rows = await until(come, "the other's own reading is in InfluxDB", PATIENCE_S)
    assert {raw for _, raw in rows} == {OWN}
    assert FORGED not in {raw for _, raw in await here.rows(STATION)}


async def the_centre_renews_by_itself(here: Walk) -> None:
    """As a user that may write nothing but its own: the account of a bundle, and a certificate."""

    async def lasting() -> bool:
        told = json.loads(await here.ask(f"{AS_EGRET} gateway list {CENTRE_CONFIG} --json"))
        mine = [one for one in told["accounts"] if one["gateway"] == GATEWAY]
        return [(one["account"], one["state"]) for one in mine] == [(f"{GATEWAY}.2", "in use")]

    await until(lasting, "the bundle's account gave way to a lasting one", PATIENCE_S)
    certificate = here.machine.root / "etc/egret/broker/server.pem"
    certificate.write_text("")
    reloads = here.reloads

    async def renewed() -> bool:
        return "BEGIN CERTIFICATE" in certificate.read_text() and here.reloads > reloads

    await until(renewed, "the centre made a new certificate", PATIENCE_S)
    await here.settled()


async def a_gateway_comes_back(here: Walk) -> None:
    """Under its lasting account, and to the new certificate."""
    await here.line("systemctl restart egret-gateway")
    before = len(await here.rows(STATION))

    async def more() -> bool:
        return len(await here.rows(STATION)) > before

    await until(more, "readings arrive after a restart", PATIENCE_S)


async def test_the_section_leads_to_a_city_that_works(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    why = bare_debian.why_missing() or libmodbus.why_missing() or pty.why_no_pair()
    if why:
        pytest.skip(why)
    began_s = time.monotonic()
    async with walk() as here:
        with sensor(here, tmp_path) as slave:
            for line in LINES:
                await here.line(line)
            walked_s = time.monotonic() - began_s
            await nobody_reads_more_than_they_need(here)
            arrived = await a_reading_arrives(here, slave)
            await another_ones_word_does_not(here)
            await the_centre_renews_by_itself(here)
            await a_gateway_comes_back(here)
            names = sorted(here.services)
            assert names == ["egret-aggregator", "egret-gateway", "influxdb", "mosquitto"]
            users = {name: here.services[name].owner()[0] for name in names}
            assert 0 not in users.values()
            assert users["egret-aggregator"] == users["egret-gateway"] != users["mosquitto"]
            assert DIALOUT in here.services["egret-gateway"].owner()[1]
    told = f"{len(LINES)} lines in {walked_s:.0f} s, {arrived} readings in InfluxDB and on the API"
    record_property(
        "production walk", f"{told}, 0 forged ones, {here.reloads} reloads of mosquitto"
    )
