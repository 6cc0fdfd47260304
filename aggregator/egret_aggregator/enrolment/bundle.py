"""A bundle: the one file that carries a gateway's first credential into the field. Pure.

| key | what |
|---|---|
| v | 1 |
| gateway, host, port | its id, and where its broker is |
| ca | PEM: whom to trust |
| account, kind, secret | its credential: a password, or a certificate and its key in PEM |
| ends_ms | ms since 1970: afterwards the broker does not know the account any more |

It can be used once: when the centre first hears of the account it hands out a lasting one and ends
this, so that a copy left on a laptop opens nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egret_aggregator.enrolment.accounts import Account
    from egret_aggregator.enrolment.settings import EnrolmentSettings

VERSION = 1


def encode(
    settings: EnrolmentSettings, port: int, ca_pem: str, account: Account, secret: str
) -> str:
    """Return the text of a bundle."""
    body = {
        "v": VERSION,
        "gateway": account.gateway,
        "host": settings.host,
        "port": port,
        "ca": ca_pem,
        "account": account.name,
        "kind": account.form,
        "secret": secret,
        "ends_ms": account.ends_ms,
    }
    return json.dumps(body, indent=1) + "\n"
