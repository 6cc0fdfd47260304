"""What SQLite reads without a word and no start could go on with: bent numbers and names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.codec import is_log
from egret_core.messages import INTEGER_MAX
from egret_gateway.outbox.model import IDS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.seqranges import Ranges
    from egret_gateway.outbox.model import LogRow


def flaw(logs: Mapping[int, LogRow], ranges: Mapping[int, Ranges], next_id: int) -> str:
    """Return what is wrong with a file's summary, nothing where it can be used.

    Args:
        logs: its logs by number.
        ranges: the seqs it holds, by the log's number.
        next_id: the id that the next batch would get.
    """
    strange = [row.no for row in logs.values() if not _is_sound(row)]
    strange += [number for number in ranges if number not in logs]
    if strange:
        return f"log {strange[0]!r}"
    ends = (end for told in ranges.values() for pair in told for end in pair)
    if not all(isinstance(end, int) and 0 < end < INTEGER_MAX for end in ends):
        return "a seq out of bounds"
    return "" if 0 < next_id < IDS_MAX else f"ids up to {next_id}"


def _is_sound(row: LogRow) -> bool:
    counts = isinstance(row.next_seq, int) and 0 < row.next_seq < INTEGER_MAX
    return counts and row.no > 0 and is_log(row.id) and isinstance(row.meta, str)
