"""The broker's files as text: configuration, accounts and topic permissions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.enrolment.accounts import topics_of, topics_of_centre
from egret_aggregator.enrolment.settings import Kind, Program
from egret_core.topics import CENTRE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.enrolment.accounts import Book

_MOSQUITTO = """\
# Written by egret-aggregator; what is changed here is lost at the next `ca init` or `ca renew`.
per_listener_settings true
listener {port}
allow_anonymous false
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
tls_version tlsv1.2
acl_file {folder}/mosquitto.acl
{who}
persistence true
persistence_location {store}/
autosave_interval 1
autosave_on_changes false
max_inflight_messages 1000
max_queued_messages 10000000
message_size_limit 1048576
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
"""
_BY = {
    Kind.PASSWORD: "password_file {folder}/mosquitto.passwd",
    Kind.CERTIFICATE: "require_certificate true\nuse_identity_as_username true",
}
_NATS = """\
# Written by egret-aggregator; what is changed here is lost at the next `ca init` or `ca renew`.
server_name: egret
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{store}", max_file_store: 4GB, sync_interval: "1s" }}
mqtt {{ listen: "0.0.0.0:{port}", ack_wait: "10s", max_ack_pending: 5000, {tls} }}
include "accounts.conf"
"""
# Where a subscription of QoS 1 is kept by the server itself.
_NATS_OWN = "$MQTT.sub.>"


def configuration(program: Program, by: Kind, folder: str, store: str, port: int) -> str:
    """Return a broker's main file.

    Args:
        program: whose.
        by: what proves a gateway.
        folder: where its certificate and accounts are, as the broker sees it.
        store: its own data folder.
        port: its TLS port.
    """
    if program is Program.NATS:
        return _NATS.format(store=store, port=port, tls=nats_tls(folder, by))
    who = _BY[by].format(folder=folder)
    return _MOSQUITTO.format(folder=folder, store=store, port=port, who=who)


def nats_tls(folder: str, by: Kind) -> str:
    """Return the `tls` block of NATS."""
    lines = [f'cert_file: "{folder}/server.pem"', f'key_file: "{folder}/server.key"']
    if by is Kind.CERTIFICATE:
        lines += [f'ca_file: "{folder}/ca.pem"', "verify_and_map: true"]
    return f"tls {{ {', '.join(lines)} }}"


def nats_accounts(book: Book, by: Kind) -> str:
    """Return `accounts.conf`: users, password hashes and permissions."""
    publish, subscribe = topics_of_centre()
    users = [_nats_user(CENTRE, by, book.centre, publish, [*subscribe, ""])]
    users += [
        _nats_user(account.name, by, account.hashes, *topics_of(account.gateway))
        for account in book.open
        if account.kind == by
    ]
    return "authorization { users: [\n" + "".join(users) + "] }\n"


def _nats_user(
    name: str, by: Kind, hashes: object, publish: Sequence[str], subscribe: Sequence[str]
) -> str:
    who = f'user: "CN={name}"'
    if by is Kind.PASSWORD:
        assert isinstance(hashes, dict)  # noqa: S101  (of `accounts.hashed`)
        who = f'user: "{name}", password: "{hashes[Program.NATS]}"'
    return (
        f'  {{ {who}, allowed_connection_types: ["MQTT"], permissions: {{\n'
        f"    publish: [{_subjects(publish)}]\n    subscribe: [{_subjects(subscribe)}] }} }}\n"
    )


def _subjects(topics: Sequence[str]) -> str:
    words = (topic.replace("/", ".").replace("+", "*") or _NATS_OWN for topic in topics)
    return ", ".join(f'"{word}"' for word in words)


def mosquitto_passwords(book: Book) -> str:
    """Return `mosquitto.passwd`."""
    ours = Program.MOSQUITTO
    rows = [(CENTRE, book.centre), *((one.name, one.hashes) for one in book.open)]
    return "".join(f"{name}:{hashes[ours]}\n" for name, hashes in rows if ours in hashes)


def mosquitto_acl(book: Book) -> str:
    """Return `mosquitto.acl`: who is not named may do nothing."""
    parts = [_mosquitto_user(CENTRE, *topics_of_centre())]
    parts += [_mosquitto_user(one.name, *topics_of(one.gateway)) for one in book.open]
    return "\n".join(parts)


def _mosquitto_user(name: str, publish: Sequence[str], subscribe: Sequence[str]) -> str:
    lines = [f"user {name}"]
    lines += [f"topic write {topic}" for topic in publish]
    lines += [f"topic read {topic}" for topic in subscribe]
    return "\n".join(lines) + "\n"
