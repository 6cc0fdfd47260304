"""The centre's way to its broker: wrong files and failed handshakes in plain words."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
from rig.secured import DAY_MS, mute_server, now_ms, two_clients

from egret_aggregator.config import BrokerSettings, load
from egret_aggregator.enrolment.authority import Authority
from egret_aggregator.intake.inbox import Inbox
from egret_aggregator.intake.mqtt import Line
from egret_aggregator.intake.tls import context
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NOW = now_ms()


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    return two_clients(tmp_path, NOW)


def settings(pki: Path, ca: str, cert: str | None = None, key: str | None = None) -> BrokerSettings:
    return BrokerSettings(
        ca_file=pki / ca,
        cert_file=pki / cert if cert else None,
        key_file=pki / key if key else None,
    )


def test_tls_is_spoken_only_where_a_ca_is_named(pki: Path) -> None:
    assert context(BrokerSettings()) is None
    made = context(settings(pki, "ca.pem", "one.pem", "one.key"))
    assert made is not None
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("ca", "cert", "key", "named"),
    [
        ("none", None, None, "ca_file"),
        ("junk", None, None, "ca_file"),
        ("ca.pem", "none", "one.key", "cert_file"),
        ("ca.pem", "one.pem", "none", "key_file"),
        ("ca.pem", "one.pem", "two.key", "cert_file"),
        ("ca.pem", "junk", "one.key", "cert_file"),
        ("ca.pem", "one.pem", "junk", "cert_file"),
    ],
)
def test_a_wrong_file_is_named(
    pki: Path, ca: str, cert: str | None, key: str | None, named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        context(settings(pki, ca, cert, key), "centre.toml")
    assert (caught.value.file, caught.value.key) == ("centre.toml", f"broker.{named}")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("made_days", "name", "trusts", "words"),
    [
        (-40, "localhost", "ca.pem", "has expired"),
        (40, "localhost", "ca.pem", "not valid yet"),
        (0, "mqtt.city", "ca.pem", "does not bear the name 'localhost'"),
        (0, "localhost", "other/ca.pem", "foreign CA"),
    ],
)
async def test_a_broker_that_cannot_be_believed_is_told_in_health(
    pki: Path, made_days: int, name: str, trusts: str, words: str
) -> None:
    Authority.made(pki / "other", "elsewhere", NOW)
    pair = Authority.load(pki).server([name], NOW + made_days * DAY_MS, 30)
    async with mute_server(pki, pair) as port:

        async def never() -> None:
            raise AssertionError("it was believed")

        believed = BrokerSettings(False, "localhost", port, ca_file=pki / trusts)
        line = Line(believed, Inbox(), run="r", now_ms=now_ms, up=never)
        task = asyncio.create_task(line.run())
        try:
            async with asyncio.timeout(30):
                while words not in line.last_error:
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


HEAD = '[centre]\ndata = "data"\ncatalogue = "c"\n'


def loaded(tmp_path: Path, text: str) -> BrokerSettings:
    (tmp_path / "centre.toml").write_text(HEAD + text)
    return load(tmp_path / "centre.toml").broker


def test_enrolment_alone_secures_the_centres_own_way(tmp_path: Path) -> None:
    found = loaded(tmp_path, '[enrolment]\nhost = "mqtt.city"\n')
    folder = tmp_path / "data" / "broker"
    assert (found.port, found.username) == (8883, "centre")
    assert (found.ca_file, found.password_file) == (folder / "ca.pem", folder / "centre.password")
    found = loaded(tmp_path, '[enrolment]\nhost = "mqtt.city"\nby = "certificate"\n')
    assert (found.cert_file, found.key_file) == (folder / "centre.pem", folder / "centre.key")
    assert found.password_file is None


def test_what_the_operator_names_stands(tmp_path: Path) -> None:
    text = '[broker]\nport = 9000\nca_file = "mine.pem"\nusername = "me"\n'
    found = loaded(tmp_path, text + '[enrolment]\nhost = "mqtt.city"\n')
    assert (found.port, found.ca_file, found.username) == (9000, tmp_path / "mine.pem", "me")
    found = loaded(tmp_path, '[broker]\nport = 9000\n[enrolment]\nhost = "mqtt.city"\n')
    assert (found.port, found.username) == (9000, "centre")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[broker]\nca_file = "a"\ncert_file = "b"\n', "broker.key_file"),
        ('[broker]\nca_file = "a"\nkey_file = "b"\n', "broker.cert_file"),
        ('[broker]\ncert_file = "a"\nkey_file = "b"\n', "broker.ca_file"),
        ("[enrolment]\n", "enrolment.host"),
        ('[enrolment]\nhost = "a"\nbroker = "mosquitto"\n', "enrolment.broker"),  # it is embedded
    ],
)
def test_what_does_not_go_together_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert caught.value.key == key
