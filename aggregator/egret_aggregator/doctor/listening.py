"""Whether a port of this machine is listened on beyond loopback, as the kernel lists it.

`/proc/net/tcp` and `tcp6` (proc(5)): a line a socket; local address and port in hex, each 32-bit
word of the address as this machine stores it; state 0A is LISTEN.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"
_LOCAL, _STATE = 1, 3  # fields of a line


def beyond_loopback(port: int) -> bool:
    """Tell whether others than this machine's programs reach a port; False where nobody can say."""
    found = False
    for table in TABLES:
        with suppress(OSError):
            found = found or open_to_others(table.read_text("ascii", "replace"), port)
    return found


def open_to_others(table: str, port: int) -> bool:
    """Tell whether a table has a listener on a port and an address that is not loopback."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) <= _STATE or fields[_STATE] != _LISTEN:
            continue
        address, _, at = fields[_LOCAL].partition(":")
        if int(at, 16) == port and not _own(address):
            return True
    return False


def _own(address: str) -> bool:
    raw = bytes.fromhex(address)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(raw) == 4:  # noqa: PLR2004  (bytes of an IPv4 address)
        return IPv4Address(raw).is_loopback
    found = IPv6Address(raw)
    return (found.ipv4_mapped or found).is_loopback
