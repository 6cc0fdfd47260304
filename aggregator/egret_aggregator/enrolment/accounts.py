"""The broker's accounts: who may connect until when, and on which topics. Pure.

Each credential is an account of its own, `GATEWAY.N`; N counts up and is never used again. So an
overlap of two credentials is two accounts, and the end of one leaves the other untouched, with
every broker and with passwords and certificates alike.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import bcrypt

from egret_aggregator.errors import EnrolmentError
from egret_core.topics import CENTRE_STATUS, DOWNWARD, UPWARD, everyone, of

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
SECRET_B = 32  # random bytes of a password: no dictionary reaches it, so hashes may be fast
BCRYPT_COST = 4  # the least: a slow hash adds nothing to 256 bits and delays a city's return
PBKDF2_ROUNDS = 101  # mosquitto_passwd's own number, for the same reason
ACCOUNTS_MAX = 40_000  # two for each gateway that the centre shows


@dataclass(frozen=True, slots=True)
class Account:
    """One credential of one gateway, without its secret.

    Attributes:
        gateway: whose; number: counts up.
        kind: `password` or `certificate`.
        hashes: of the password by broker program; empty for a certificate.
        made_ms, ends_ms: the centre's time.
        bundle: it travels in a bundle, and is replaced at its first use.
        pending: handed out over the uplink, and not yet seen in use.
        over: its end has come, by a clock that was trusted: the broker does not know it. It stays
            in the book, so that a clock that was ahead after all costs nobody their credential.
    """

    gateway: str
    number: int
    kind: str
    hashes: Mapping[str, str]
    made_ms: int
    ends_ms: int
    bundle: bool = False
    pending: bool = False
    over: bool = False

    @property
    def name(self) -> str:
        """The user name at the broker, or the common name of the certificate."""
        return f"{self.gateway}.{self.number}"

    @property
    def form(self) -> str:
        """Its kind as a gateway names it: `password`, or `pem` for a certificate and its key."""
        return "pem" if self.kind == "certificate" else self.kind


@dataclass(frozen=True, slots=True)
class Book:
    """All accounts of one broker.

    Attributes:
        accounts: the gateways', in the order of their making.
        numbers: the last number given to each gateway.
        centre: hashes of the centre's own password.
    """

    accounts: tuple[Account, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    centre: Mapping[str, str] = field(default_factory=dict)

    @property
    def open(self) -> list[Account]:
        """Return the accounts that the broker is to know."""
        return [account for account in self.accounts if not account.over]

    def of(self, gateway: str) -> list[Account]:
        """Return a gateway's accounts, the newest last."""
        return [account for account in self.accounts if account.gateway == gateway]

    def named(self, name: str) -> Account | None:
        """Return the account of a user name."""
        return next((account for account in self.accounts if account.name == name), None)

    def added(self, account: Account) -> Book:
        """Return the book with one more account.

        Raises:
            EnrolmentError: it is full.
        """
        if len(self.accounts) >= ACCOUNTS_MAX:
            raise EnrolmentError(
                f"{ACCOUNTS_MAX} accounts are kept", "revoke gateways that are gone"
            )
        numbers = {**self.numbers, account.gateway: account.number}
        return replace(self, accounts=(*self.accounts, account), numbers=numbers)

    def without(self, *names: str) -> Book:
        """Return the book without these accounts."""
        gone = set(names)
        left = tuple(account for account in self.accounts if account.name not in gone)
        return replace(self, accounts=left)

    def put(self, *accounts: Account) -> Book:
        """Return the book with accounts changed."""
        changed = {account.name: account for account in accounts}
        return replace(
            self, accounts=tuple(changed.get(account.name, account) for account in self.accounts)
        )

    def superseded(self, now_ms: int) -> set[str]:
        """Return the names of accounts that are over, and whose gateway has a newer one in use."""
        serving: dict[str, int] = {}
        for one in self.accounts:
            if one.ends_ms > now_ms and not (one.bundle or one.pending):
                serving[one.gateway] = max(one.number, serving.get(one.gateway, 0))
        return {
            one.name
            for one in self.accounts
            if one.ends_ms <= now_ms and one.number < serving.get(one.gateway, 0)
        }

    def next_number(self, gateway: str) -> int:
        """Return a number that this gateway never had."""
        return self.numbers.get(gateway, 0) + 1


def new_secret() -> str:
    """Return a password of 256 random bits."""
    return secrets.token_urlsafe(SECRET_B)


def hashed(password: str) -> dict[str, str]:
    """Return a password's hashes as each broker program reads them."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS)
    texts = (base64.b64encode(part).decode() for part in (salt, key))
    return {
        "nats": bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST, b"2a")).decode(),
        "mosquitto": f"$7${PBKDF2_ROUNDS}${'$'.join(texts)}",
    }


def topics_of(gateway: str) -> tuple[list[str], list[str]]:
    """Return (topics it may publish to, topics it may read)."""
    up = [of(gateway, leaf) for leaf in UPWARD]
    return up, [*(of(gateway, leaf) for leaf in DOWNWARD), CENTRE_STATUS]


def topics_of_centre() -> tuple[list[str], list[str]]:
    """Return (topics the centre may publish to, topics it may read)."""
    return [*map(everyone, DOWNWARD), CENTRE_STATUS], list(map(everyone, UPWARD))


def encode(book: Book) -> str:
    """Return the text of `accounts.json`."""
    body = {
        "v": VERSION,
        "centre": dict(book.centre),
        "numbers": dict(book.numbers),
        "accounts": [asdict(account) for account in book.accounts],
    }
    return json.dumps(body, indent=1) + "\n"


def decode(text: str, file: str) -> Book:
    """Return the accounts in a text.

    Raises:
        EnrolmentError: it is none of ours.
    """
    try:
        body = json.loads(text)
        if body["v"] != VERSION:
            raise ValueError(f"version {body['v']!r}")  # noqa: TRY301  (one way out for all)
        return Book(
            tuple(Account(**entry) for entry in body["accounts"]), body["numbers"], body["centre"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EnrolmentError(
            f"{file} cannot be read: {error}", "restore it from a backup, or enrol anew"
        ) from error
