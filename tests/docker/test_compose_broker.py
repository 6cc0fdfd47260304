"""The broker with the shipped mosquitto.conf: who gets in, and on which topics."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiomqtt
import pytest
from rig import docker_folder as docker
from rig.broker import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOSQUITTO = Path("/usr/sbin/mosquitto")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not MOSQUITTO.exists(), reason="mosquitto is not here"),
]
PATIENCE_S = 60.0
ME, OTHER = "XM-TA-0042", "XM-TA-0043"


class Broker(NamedTuple):
    """Where it listens, and the passwords of its accounts."""

    port: int
    ca: Path
    passwords: dict[str, str]

    def account(self, name: str, password: str | None = None) -> aiomqtt.Client:
        return aiomqtt.Client(
            "localhost",
            self.port,
            username=name,
            password=self.passwords[name] if password is None else password,
            tls_context=ssl.create_default_context(cafile=str(self.ca)),
        )

    def centre(self) -> aiomqtt.Client:
        return self.account("centre")


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[Broker]:
    made = docker.prepared(folder)
    passwords = {"centre": (made / "secrets/broker_centre_password").read_text()}
    for name in (ME, OTHER):
        passwords[name] = docker.run(made / "secrets.sh", "account", name).stdout.strip()
    text = (made / "broker/mosquitto.conf").read_text("utf-8")
    port = free_port()
    for there, here in (
        ("/run/secrets/", f"{made}/secrets/"),
        ("/mosquitto/config/", f"{made}/broker/"),
        ("/mosquitto/data/", f"{folder}/"),
        ("listener 8883", f"listener {port} 127.0.0.1"),
    ):
        assert there in text
        text = text.replace(there, here)
    # Started by root it would become another user, who may not read this test's files.
    (folder / "mosquitto.conf").write_text(f"user root\n{text}")
    with (folder / "mosquitto.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: ASYNC220  (it must outlive this call)
            [MOSQUITTO, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _listens(port):
                assert child.poll() is None, (folder / "mosquitto.log").read_text()
                await asyncio.sleep(0.02)
        yield Broker(port, made / "ca/ca.pem", passwords)
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


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
