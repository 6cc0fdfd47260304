"""Which of the 64 partitions a gateway's entries belong to: FNV-1a, 32 bit, modulo 64."""

from __future__ import annotations

PARTITIONS = 64  # fixed for ever: changing it means moving every position
ALL = -1  # an entry for every partition: a tick, a change of rules

_OFFSET = 0x811C9DC5
_PRIME = 0x01000193


def fnv1a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of the UTF-8 bytes (draft-eastlake-fnv, section 2)."""
    value = _OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _PRIME) & 0xFFFFFFFF
    return value


def partition_of(gateway: str) -> int:
    """Return the partition of a gateway, 0 to 63."""
    return fnv1a(gateway) % PARTITIONS
