"""The broker of compose.yaml: who gets in, on which topics, and how it learns of another."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from rig import docker_folder as docker
from rig.broker import free_port
from rig.secured import DAY_MS, now_ms

from egret_aggregator import config
from egret_aggregator.enrolment.accounts import Account, hashed, new_secret
from egret_aggregator.enrolment.folder import BrokerFolder
from egret_aggregator.enrolment.render import configuration
from egret_aggregator.enrolment.settings import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOSQUITTO = Path("/usr/sbin/mosquitto")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not MOSQUITTO.exists(), reason="mosquitto is not here"),
]
PATIENCE_S = 60.0
ME, OTHER = "XM-TA-0042", "XM-TA-0043"


class City:
    """A broker as compose.yaml starts it, on the files that the centre of docker/ writes."""

    def __init__(self, folder: Path) -> None:
        shipped = config.load(docker.DOCKER / "aggregator/aggregator.toml").enrolment
        assert shipped is not None
        assert (shipped.broker, shipped.reload) == (Program.MOSQUITTO, ())
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._settings = replace(shipped, folder=folder / "enrolment", broker_data=str(folder))
        # Told to nobody: that the broker reads it anew is run.sh's own doing.
        self._office = BrokerFolder(self._settings, self.port, lambda: None)
        self.passwords: dict[str, str] = {}
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> Path:
        return self._settings.folder / "ca.pem"

    def found(self) -> None:
        """Be `egret-aggregator ca init`."""
        self._office.found(now_ms())
        self.passwords["centre"] = (self._settings.folder / "centre.password").read_text().strip()
        settings = self._settings
        text = configuration(
            settings.broker, settings.by, str(settings.folder), settings.broker_data, self.port
        )
        # Started by root it would become another user, who may not read this test's files.
        (settings.folder / "mosquitto.conf").write_text(f"user root\n{text}")

    def admit(self, gateway: str) -> None:
        """Be `egret-aggregator gateway add`, on all but the ledger."""
        number = self._office.book().next_number(gateway)
        secret = self.passwords[gateway] = new_secret()
        made = Account(gateway, number, "password", hashed(secret), now_ms(), now_ms() + DAY_MS)
        self._office.change(lambda book: book.added(made))

    def renew(self) -> None:
        """Be `egret-aggregator ca renew`."""
        self._office.certify(now_ms())

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [docker.DOCKER / "broker/run.sh", self._settings.folder], stdout=log, stderr=log
            )

    async def listening(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await docker.listens(self.port):
                assert self.child is not None
                assert self.child.poll() is None, self.log.read_text()
                await asyncio.sleep(0.02)

    def stop(self) -> int:
        assert self.child is not None
        self.child.terminate()
        return self.child.wait(PATIENCE_S)

    def account(self, name: str, password: str | None = None) -> aiomqtt.Client:
        return aiomqtt.Client(
            "localhost",
            self.port,
            username=name if name in ("", "centre") else f"{name}.1",
            password=self.passwords[name] if password is None else password,
            tls_context=ssl.create_default_context(cafile=str(self.ca)),
        )

    def centre(self) -> aiomqtt.Client:
        return self.account("centre")


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[City]:
    city = City(folder)
    city.found()
    for name in (ME, OTHER):
        city.admit(name)
    city.start()
    try:
        await city.listening()
        yield city
    finally:
        city.stop()


async def test_a_gateway_speaks_under_its_own_name_only(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        broker(tmp_path) as here,
        here.centre() as centre,
        here.account(ME) as gateway,
    ):
        await centre.subscribe([("egret/v1/+/data", 1), ("egret/v1/+/status", 1)])
        # What is not allowed is swallowed: the word after it shows that it does not come.
        await gateway.publish(f"egret/v1/{OTHER}/data", b"spoofed", qos=1)
        await gateway.publish(f"egret/v1/{ME}/ack", b"spoofed", qos=1)
        await gateway.publish(f"egret/v1/{ME}/data", b"own", qos=1)
        message = await anext(centre.messages)
        assert (str(message.topic), message.payload) == (f"egret/v1/{ME}/data", b"own")


async def test_the_centres_word_reaches_its_gateway_and_no_other(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        broker(tmp_path) as here,
        here.centre() as centre,
        here.account(ME) as one,
        here.account(OTHER) as two,
    ):
        for client in (one, two):
            await client.subscribe([("egret/v1/+/ack", 0), ("egret/v1/centre/status", 0)])
        await centre.publish(f"egret/v1/{ME}/ack", b"for me")
        await centre.publish("egret/v1/centre/status", b"for all")
        first, second = await anext(one.messages), await anext(one.messages)
        assert [first.payload, second.payload] == [b"for me", b"for all"]
        assert (await anext(two.messages)).payload == b"for all"


async def test_a_stranger_does_not_get_in(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), broker(tmp_path) as here:
        for name, password in ((ME, "wrong"), (ME, ""), ("XM-TA-9999", "x"), ("", "")):
            with pytest.raises(aiomqtt.MqttError):
                async with here.account(name, password):
                    pass
        # Who does not trust the city's CA does not speak to its broker.
        stranger = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("localhost", here.port, ssl=stranger)


async def test_one_who_is_enrolled_meanwhile_is_let_in_and_others_stay(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), broker(tmp_path) as here, here.account(ME) as before:
        here.admit("XM-TA-0044")
        while True:
            try:
                async with here.account("XM-TA-0044"):
                    break
            except aiomqtt.MqttError:
                await asyncio.sleep(0.1)
        await before.publish(f"egret/v1/{ME}/data", b"still here", qos=1)


async def test_a_new_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), broker(tmp_path) as here:
        first = await shown(here)
        here.renew()
        while await shown(here) == first:
            await asyncio.sleep(0.1)


async def shown(city: City) -> bytes:
    """Return the certificate that the broker shows."""
    context = ssl.create_default_context(cafile=str(city.ca))
    _, writer = await asyncio.open_connection("localhost", city.port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


async def test_the_broker_waits_for_the_centres_files_and_ends_in_order(tmp_path: Path) -> None:
    city = City(tmp_path)
    city.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while "ca init" not in city.log.read_text():
                await asyncio.sleep(0.02)
            city.found()
            await city.listening()
    finally:
        assert city.stop() == 0
    assert not await docker.listens(city.port), "mosquitto has ended with its script"


def mosquitto_below(pid: int) -> int:
    """Return the process that the script has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [int(c) for c in children if Path(f"/proc/{c}/comm").read_text() == "mosquitto\n"]
    return found


async def test_a_broker_that_dies_ends_its_container(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), broker(tmp_path) as here:
        assert here.child is not None
        os.kill(mosquitto_below(here.child.pid), signal.SIGKILL)
        code = await asyncio.to_thread(here.child.wait)
        assert code != 0, "compose starts it anew"
