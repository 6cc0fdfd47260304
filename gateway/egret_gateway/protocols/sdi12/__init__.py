"""SDI-12, the recorder's half: commands out, replies in; pure.

SDI-12 v1.4 (2019), 4.4. A command ends with `!`, a reply with CR LF, both begin with the address
(`0-9 A-Z a-z`). `k` is 1 to 9 and left out for the first measurement.

| command | reply | meaning |
|---|---|---|
| `a!` | `a` | is it there |
| `?!` | `a` | who is there; one sensor on the line only |
| `aI!` | `allccccccccmmmmmmvvvx...` | version, maker 8, model 6, firmware 3, more up to 13 |
| `aAb!` | `b` | address changed |
| `aM!` `aMk!` `aMC!` `aMCk!` | `atttn` | n values in ttt s; then a service request `a` |
| `aC!` `aCk!` `aCC!` `aCCk!` | `atttnn` | the same while others are asked; no service request |
| `aV!` | `atttn` | verification: as M |
| `aD0!` to `aD9!` | `a<values>[CRC]` | data of the last M, C or V, in so many parts |
| `aIM_001!` `aIC1_002!` ... | `a,code,unit;[CRC]` | what M, what C1 has there; since v1.4 |
| `aR0!` to `aR9!` `aRC0!` to `aRC9!` | `a<values>[CRC]` | measured all the time: answered at once |

Values are a sign, 1 to 7 digits and at most one point, at most 35 characters of them in a reply
to M and V, 75 otherwise. A reply is taken whole or refused by name; nothing is guessed.
"""

from egret_gateway.protocols.sdi12.command import (
    ADDRESSES,
    PAGES,
    Kind,
    Measurement,
    acknowledge,
    change_address,
    describe,
    identify,
    measurement,
    query,
    send_data,
    start,
)
from egret_gateway.protocols.sdi12.crc import crc16, sealed
from egret_gateway.protocols.sdi12.lines import LINE_MAX_B, Lines
from egret_gateway.protocols.sdi12.reply import (
    CHARS_MAX,
    Identity,
    Promise,
    acknowledged,
    description,
    identity,
    promise,
    queried,
    values,
)

__all__ = [
    "ADDRESSES",
    "CHARS_MAX",
    "LINE_MAX_B",
    "PAGES",
    "Identity",
    "Kind",
    "Lines",
    "Measurement",
    "Promise",
    "acknowledge",
    "acknowledged",
    "change_address",
    "crc16",
    "describe",
    "description",
    "identify",
    "identity",
    "measurement",
    "promise",
    "queried",
    "query",
    "sealed",
    "send_data",
    "start",
    "values",
]
