"""What brokers are told: each account its own topics, and never a secret."""

from __future__ import annotations

import re

from egret_aggregator.enrolment.accounts import Account, Book, hashed
from egret_aggregator.enrolment.render import (
    configuration,
    mosquitto_acl,
    mosquitto_passwords,
    nats_accounts,
)
from egret_aggregator.enrolment.settings import Kind, Program

WORD = "a secret word"
BOOK = (
    Book(centre=hashed("centre"))
    .added(Account("gw1", 1, "password", hashed(WORD), 0, 1))
    .added(Account("gw2", 7, "certificate", {}, 0, 1))
)


def test_nats_has_only_the_accounts_of_its_kind() -> None:
    passwords = nats_accounts(BOOK, Kind.PASSWORD)
    assert '"gw1.1"' in passwords
    assert "gw2.7" not in passwords
    certificates = nats_accounts(BOOK, Kind.CERTIFICATE)
    assert '"CN=gw2.7"' in certificates
    assert '"CN=centre"' in certificates
    assert "gw1" not in certificates
    assert "password" not in certificates


def test_nobody_but_mqtt_clients_may_use_an_account() -> None:
    text = nats_accounts(BOOK, Kind.PASSWORD)
    assert text.count("user:") == text.count('allowed_connection_types: ["MQTT"]') == 2


def test_nats_subjects_are_topics_with_dots() -> None:
    text = nats_accounts(BOOK, Kind.PASSWORD)
    assert '"egret.v1.gw1.data"' in text
    assert '"egret.v1.*.data"' in text
    subjects = re.findall(r'"((?:egret|\$MQTT)[^"]*)"', text)
    assert len(subjects) == 3 + 5 + 4 + 3
    assert not any(letter in subject for subject in subjects for letter in "/+#")


def test_mosquitto_names_each_user_with_its_topics() -> None:
    parts = dict(part.split("\n", 1) for part in mosquitto_acl(BOOK).split("user ")[1:])
    assert set(parts) == {"centre", "gw1.1", "gw2.7"}
    assert sorted(parts["gw2.7"].split("\n")[:-1] if parts["gw2.7"] else []) == sorted(
        [
            "topic read egret/v1/centre/status",
            "topic read egret/v1/gw2/ack",
            "topic read egret/v1/gw2/cmd",
            "topic write egret/v1/gw2/backlog",
            "topic write egret/v1/gw2/cmdack",
            "topic write egret/v1/gw2/data",
            "topic write egret/v1/gw2/status",
        ]
    )


def test_only_who_has_a_password_stands_in_the_password_file() -> None:
    names = [line.partition(":")[0] for line in mosquitto_passwords(BOOK).splitlines()]
    assert names == ["centre", "gw1.1"]


def test_no_secret_is_rendered() -> None:
    for text in (
        mosquitto_passwords(BOOK),
        mosquitto_acl(BOOK),
        nats_accounts(BOOK, Kind.PASSWORD),
    ):
        assert WORD not in text


def test_certificates_are_demanded_where_they_are_the_proof() -> None:
    nats = configuration(Program.NATS, Kind.CERTIFICATE, "/f", "/s", 8883)
    assert "verify_and_map: true" in nats
    assert 'ca_file: "/f/ca.pem"' in nats
    mosquitto = configuration(Program.MOSQUITTO, Kind.CERTIFICATE, "/f", "/s", 8883)
    assert "require_certificate true\nuse_identity_as_username true" in mosquitto
    assert "password_file" not in mosquitto


def test_the_lines_that_matter_are_there() -> None:
    mosquitto = configuration(Program.MOSQUITTO, Kind.PASSWORD, "/f", "/s", 8883).splitlines()
    for line in (
        "allow_anonymous false",
        "set_tcp_nodelay true",
        "max_queued_messages 10000000",  # 0 loses all with some versions, 1000 after the PUBACK
        "autosave_interval 1",
        "autosave_on_changes false",
        "persistence true",
        "listener 8883",
    ):
        assert line in mosquitto
    assert mosquitto[1] == "per_listener_settings true", "it must come before every listener"
    nats = configuration(Program.NATS, Kind.PASSWORD, "/f", "/s", 8883)
    assert 'sync_interval: "1s"' in nats
    assert 'include "accounts.conf"' in nats
