"""`[broker]` of a gateway: TLS files that are wrong are named before anything is opened."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from rig.secured import two_clients

from egret_core.errors import ConfigError
from egret_gateway.broker import BrokerSettings, read_broker
from egret_gateway.table import Table

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_795_340_000_000


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    two_clients(tmp_path, NOW_MS)
    (tmp_path / "password").write_text("hush-hush\n")
    return tmp_path


def read(pki: Path, text: str) -> BrokerSettings:
    return read_broker(Table(tomllib.loads(text.replace("@", f"{pki}/")), "gw.toml", "broker"))


def test_tls_is_spoken_where_a_ca_is_named(pki: Path) -> None:
    plain, secure = read(pki, 'host = "a"'), read(pki, 'ca_file = "@ca.pem"')
    assert (plain.port, plain.ca_file) == (1883, None)
    assert (secure.port, secure.ca_file) == (8883, pki / "ca.pem")


def test_a_dear_link_may_be_silent_for_longer(pki: Path) -> None:
    assert (read(pki, "").keepalive_s, read(pki, "keepalive_s = 300").keepalive_s) == (30.0, 300.0)


def test_a_certificate_with_its_key_is_taken(pki: Path) -> None:
    found = read(pki, 'ca_file = "@ca.pem"\ncert_file = "@one.pem"\nkey_file = "@one.key"')
    assert (found.cert_file, found.key_file) == (pki / "one.pem", pki / "one.key")


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        ('ca_file = "@none.pem"', "ca_file", "no such file"),
        ('ca_file = "@junk"', "ca_file", "PEM"),
        ('ca_file = "@one.pem"', "ca_file", "CA"),
        ('ca_file = "@ca.pem"\ncert_file = "@one.pem"', "key_file", "needs its key"),
        ('ca_file = "@ca.pem"\nkey_file = "@one.key"', "cert_file", "needs its certificate"),
        ('cert_file = "@one.pem"\nkey_file = "@one.key"', "ca_file", "whom to trust"),
        (
            'ca_file = "@ca.pem"\ncert_file = "@one.pem"\nkey_file = "@two.key"',
            "key_file",
            "not the key of",
        ),
        ('ca_file = "@ca.pem"\ncert_file = "@junk"\nkey_file = "@one.key"', "cert_file", "PEM"),
        ('ca_file = "@ca.pem"\ncert_file = "@one.pem"\nkey_file = "@junk"', "key_file", "PEM"),
        ('password_file = "@password"', "username", "needs the name"),
        ('username = "u"\npassword_file = "@none"', "password_file", "no such file"),
        ('credentials = "@"\nusername = "u"', "username", "leave this out"),
        ('credentials = "@"\npassword_file = "@password"\nusername = "u"', "username", "leave"),
        ("port = 0", "port", "whole number"),
        ("keepalive_s = 0", "keepalive_s", "from 2 to 600"),
        ("keepalive_s = 1000", "keepalive_s", "from 2 to 600"),
    ],
)
def test_what_is_wrong_is_named(pki: Path, text: str, key: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(pki, text)
    assert (caught.value.file, caught.value.key) == ("gw.toml", f"broker.{key}")
    assert word in caught.value.remedy


def test_no_secret_stands_in_the_settings(pki: Path) -> None:
    found = read(pki, 'username = "u"\npassword_file = "@password"')
    assert "hush-hush" not in repr(found)
