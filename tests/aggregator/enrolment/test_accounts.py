"""Accounts: numbers never come again, hashes are the brokers' own, the file is whole or refused."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.enrolment import accounts
from egret_aggregator.enrolment.accounts import (
    Account,
    Book,
    decode,
    encode,
    hashed,
    new_secret,
    topics_of,
    topics_of_centre,
)
from egret_aggregator.errors import EnrolmentError

ONE = Account("gw1", 1, "password", {"nats": "h", "mosquitto": "h"}, 1, 2, bundle=True)
TWO = replace(ONE, number=2, bundle=False, pending=True)


def test_a_number_is_never_given_again() -> None:
    book = Book().added(ONE).added(TWO)
    assert book.next_number("gw1") == 3
    assert book.without("gw1.1", "gw1.2").next_number("gw1") == 3
    assert book.next_number("gw2") == 1


def test_accounts_are_found_by_gateway_and_by_name() -> None:
    other = replace(ONE, gateway="gw11")
    book = Book().added(ONE).added(other).added(TWO)
    assert book.of("gw1") == [ONE, TWO]
    assert book.named("gw11.1") == other
    assert book.named("gw1.9") is None
    assert book.put(replace(TWO, pending=False)).named("gw1.2") == replace(TWO, pending=False)


def test_a_full_book_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ACCOUNTS_MAX", 1)
    with pytest.raises(EnrolmentError, match="revoke"):
        Book().added(ONE).added(TWO)


def test_a_password_is_long_and_each_is_another() -> None:
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) >= 43  # 256 bits in base64


def test_hashes_are_those_that_the_brokers_check() -> None:
    found = hashed("pass word")
    assert bcrypt.checkpw(b"pass word", found["nats"].encode())
    assert not bcrypt.checkpw(b"another", found["nats"].encode())
    kind, rounds, salt, key = found["mosquitto"][1:].split("$")
    assert kind == "7"
    again = hashlib.pbkdf2_hmac("sha512", b"pass word", base64.b64decode(salt), int(rounds))
    assert base64.b64decode(key) == again
    assert "pass word" not in str(found)


def test_topics_mirror_each_other() -> None:
    up, down = topics_of("gw1")
    down_of_centre, up_of_centre = topics_of_centre()
    assert {topic.replace("gw1", "+") for topic in up} == set(up_of_centre)
    assert {topic.replace("gw1", "+") for topic in down} == set(down_of_centre)
    assert all("gw1" in topic for topic in up)
    assert "egret/v1/centre/status" in down


@pytest.mark.parametrize("gateway", ["centre", "a/b", "+", "#", "", "a.b", "x" * 49])
def test_no_other_id_gets_topics(gateway: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        topics_of(gateway)


ACCOUNT = st.builds(
    Account,
    gateway=st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    number=st.integers(1, 99),
    kind=st.sampled_from(["password", "certificate"]),
    hashes=st.dictionaries(st.sampled_from(["nats", "mosquitto"]), st.text(max_size=9)),
    made_ms=st.integers(0, 2**53),
    ends_ms=st.integers(0, 2**53),
    bundle=st.booleans(),
    pending=st.booleans(),
)


@given(st.lists(ACCOUNT, max_size=4))
def test_what_is_written_is_read_again(found: list[Account]) -> None:
    book = Book(centre={"nats": "x"})
    for account in found:
        book = book.added(account)
    assert decode(encode(book), "f") == book


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"v": 2, "accounts": [], "numbers": {}, "centre": {}}', encode(Book())[:-9]],
)
def test_a_file_that_is_none_is_named_with_a_remedy(text: str) -> None:
    with pytest.raises(EnrolmentError, match=r"accounts\.json cannot be read.*backup"):
        decode(text, "accounts.json")


def test_a_large_book_is_swept_in_one_pass() -> None:
    many = 5000
    book = Book(
        tuple(
            Account(f"g{number % many}", 1 + number // many, "password", {}, 0, ends)
            for ends, first in ((10, 0), (30, many))
            for number in range(first, first + many)
        )
    )
    assert book.superseded(20) == {f"g{number}.1" for number in range(many)}
    assert book.superseded(5) == set()
    assert book.superseded(40) == set(), "where none is in use all stay"
