"""Was every reading that the gateway took stored, once and unchanged?

Pure: what the outbox holds and what the centre gives back in, a verdict out. Compared is identity
by identity (station, channel, time) and value by value, not two counts that might agree by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Identity = tuple[str, str, int]  # station, channel, ms since 1970


class Taken(NamedTuple):
    """What the gateway committed.

    Attributes:
        readings: identity -> value; undated: how many could never be dated.
        batches: how many batches of any kind.
    """

    readings: Mapping[Identity, float | None]
    undated: int
    batches: int


class Verdict(NamedTuple):
    """The comparison.

    Attributes:
        taken, stored: how many identities on either side.
        missing: taken and not stored; altered: stored with another value; foreign: never taken.
    """

    taken: int
    stored: int
    missing: tuple[Identity, ...]
    altered: tuple[Identity, ...]
    foreign: tuple[Identity, ...]

    @property
    def kept(self) -> bool:
        """Tell whether every reading taken was stored as it was, and nothing else was."""
        return self.taken > 0 and not (self.missing or self.altered or self.foreign)


def taken(payloads: Iterable[bytes], before_ms: int) -> Taken:
    """Read what batches hold of readings before a moment, as the gateway committed them."""
    readings: dict[Identity, float | None] = {}
    undated = batches = 0
    for payload in payloads:
        batches += 1
        batch = decode_batch(payload)
        if batch.kind != Kind.READINGS:
            continue
        found = read_readings(batch)
        undated += len(found.undated)
        for one in found.dated:
            if one.time_ms < before_ms:
                # The first value of an identity is the one that counts.
                readings.setdefault((one.station, one.channel, one.time_ms), one.value)
    return Taken(readings, undated, batches)


def compare(taken: Taken, stored: Mapping[Identity, float | None]) -> Verdict:
    """Hold what was taken against what the centre gives back."""
    ours = taken.readings
    return Verdict(
        len(ours),
        len(stored),
        tuple(sorted(key for key in ours if key not in stored)),
        tuple(sorted(key for key in ours if key in stored and stored[key] != ours[key])),
        tuple(sorted(key for key in stored if key not in ours)),
    )
