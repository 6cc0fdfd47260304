"""A city enrols its gateways: bundle, first use, rotation, revocation; and kills in between."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from rig.broker import without
from rig.enrolled import PATIENCE_S, City
from rig.line import until

from egret_aggregator.enrolment.settings import Kind, Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.line import Program as Process

pytestmark = pytest.mark.system
# What every pair of broker and credential permits is in test_secured_brokers.
CITIES = [
    (Program.NATS, Kind.PASSWORD),
    pytest.param(Program.MOSQUITTO, Kind.CERTIFICATE, marks=pytest.mark.long),
]


@asynccontextmanager
async def running_city(folder: Path, broker: Program, by: Kind) -> AsyncIterator[City]:
    city = City(folder, broker, by)
    await city.office_does("ca", "init")
    city.start_broker()
    await city.centre.start()
    try:
        await city.until_logged(city.centre, "event=broker_connected")
        yield city
    finally:
        await city.stop()


async def enrolled(city: City, gateway: str) -> Process:
    bundle = city.folder / f"{gateway}.enrol"
    await city.office_does("gateway", "add", gateway, "--out", str(bundle))
    await city.enrol(gateway, bundle)
    return city.box(gateway)


def lines(city: City) -> list[tuple[str, str, str]]:
    """Return (actor, kind, why) of every line about credentials."""
    with closing(sqlite3.connect(city.data / "egret.db", timeout=30)) as db:
        rows = db.execute(
            "SELECT actor, kind, body FROM ledger WHERE kind LIKE 'credential%' ORDER BY seq"
        )
        return [(actor, kind, json.loads(body)["why"]) for actor, kind, body in rows]


def secrets_of(city: City, *bundles: str) -> set[str]:
    """Return every secret there is: passwords, and a line of every private key."""
    found = [json.loads(text)["secret"] for text in bundles]
    found += [
        path.read_text() for folder in city.folder.rglob("credentials") for path in folder.iterdir()
    ]
    found += [path.read_text() for path in city.office.glob("*.password")]
    found += [path.read_text() for path in city.office.glob("*.key")]
    keys = {text.partition("PRIVATE KEY-----\n")[2].partition("\n")[0] for text in found}
    return {word.strip() for word in (*keys, *found) if word.strip() and "\n" not in word.strip()}


def no_secret_shows(city: City, words: set[str]) -> None:
    """Neither what was logged or printed nor what the centre keeps holds a secret."""
    assert len(words) >= 4
    logs = "".join(path.read_text(errors="replace") for path in city.folder.rglob("*.log"))
    kept = [path.read_bytes() for path in city.data.rglob("*.db*")]
    kept.append((city.office / "accounts.json").read_bytes())
    assert "gw1.2" in logs
    for word in words:
        assert word not in logs
        assert word not in city.said
        assert not any(word.encode() in file for file in kept)


@pytest.mark.parametrize(("broker", "by"), CITIES)
async def test_a_gateway_from_its_bundle_to_its_end(
    tmp_path: Path, broker: Program, by: Kind
) -> None:
    if without(broker):
        pytest.skip(without(broker))
    async with running_city(tmp_path, broker, by) as city:
        first = tmp_path / "gw1.enrol"
        await city.office_does("gateway", "add", "gw1", "--out", str(first))
        assert first.stat().st_mode & 0o777 == 0o600
        copy = shutil.copy(first, tmp_path / "copy.enrol")
        told = await city.enrol("gw1", first)
        assert (told["ok"], told["account"]) == (True, "gw1.1")
        assert "the centre takes all" in told["detail"][-3]
        assert not first.exists()
        box = city.box("gw1")
        await box.start()
        try:
            # Its first use hands out a lasting credential and ends the bundle's account.
            await city.until_accounts({"gw1.2": "in use"})
            await city.until_logged(box, "connected", 2)
            assert city.held("gw1") == {"gw1.1", "gw1.2"}
            texts = (copy.read_text(), await rotated(city, box))
            await city.until_accounts({"gw1.2": "in use", "gw1.4": "in use"})
            ended = await city.office_does("gateway", "revoke", "gw1")
            assert ended == {"ended": ["gw1.2", "gw1.4"]}
            await thrown_out(city, box, copy)
            assert city.accounts() == {}
        finally:
            await box.stop()
        assert lines(city) == [
            ("console", "credential_added", "add"),
            ("centre", "credential_added", "renewal"),
            ("centre", "credential_ended", "over"),
            ("console", "credential_added", "rotate"),
            ("centre", "credential_added", "renewal"),
            ("centre", "credential_ended", "over"),
            ("console", "credential_ended", "revoke"),
        ]
        no_secret_shows(city, secrets_of(city, *texts))


async def rotated(city: City, box: Process) -> str:
    """Give the box a new bundle by hand; return the bundle. The former stays good beside it."""
    second = city.folder / "second.enrol"
    await city.office_does("gateway", "rotate", "gw1", "--out", str(second))
    assert city.accounts() == {"gw1.2": "in use", "gw1.3": "bundle"}
    text = second.read_text()
    await city.enrol("gw1", second)
    await box.stop()
    await box.start()
    return text


async def thrown_out(city: City, box: Process, copy: Path) -> None:
    """Neither the box nor a copy of its first bundle gets in any more."""
    if city.broker is Program.MOSQUITTO and city.by is Kind.CERTIFICATE:
        # It lets any certificate of the CA in, and lets it do nothing: see broker.md.
        told = await city.enrol("elsewhere", copy, code=3)
        assert "no word of the centre" in told["detail"][-1]
        assert copy in list(city.folder.iterdir())
        return
    await city.until_logged(box, "does not know our credential")
    told = await city.enrol("elsewhere", copy, code=1)
    assert "refuses the bundle" in told["detail"][-1]
    assert city.held("elsewhere") == set(), "a credential that opens nothing is not kept"


@pytest.mark.parametrize("victim", ["gateway", "centre"])
async def test_a_kill_in_the_midst_of_a_renewal_strands_nobody(tmp_path: Path, victim: str) -> None:
    async with running_city(tmp_path, Program.NATS, Kind.PASSWORD) as city:
        box = await enrolled(city, "gw1")
        await box.start()
        try:
            await city.until_logged(city.centre, "event=renewal_offered")
            await (box if victim == "gateway" else city.centre).kill()
            await (box if victim == "gateway" else city.centre).start()

            async def settled() -> bool:
                states = city.accounts()
                return list(states.values()) == ["in use"] and set(states) <= city.held("gw1")

            await until(settled, f"one account is left, and the box has it ({box.log})", PATIENCE_S)
        finally:
            await box.stop()
        assert lines(city)[0] == ("console", "credential_added", "add")
