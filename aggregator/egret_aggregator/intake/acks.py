"""What is told to whom after a commit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.journal.receipt import Incoming, Verdict
from egret_core.messages import ACK_GOT_MAX, Ack, Reject, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egret_aggregator.intake.verdict import Refused


class _Told(NamedTuple):
    got: list[tuple[int, str]]
    refused: list[Rejected]


def acks(
    taken: Iterable[tuple[Incoming, Verdict]],
    refused: Iterable[Refused],
    now_ms: int,
    run: str,
) -> Iterator[tuple[str, Ack]]:
    """Yield (gateway, ack): per gateway and log, at most `ACK_GOT_MAX` items each.

    What is held back for want of room is not mentioned: the gateway keeps it and sends again.
    """
    told: dict[tuple[str, str], _Told] = {}
    for item, verdict in taken:
        if verdict is Verdict.HELD:
            continue
        line = told.setdefault((item.gateway, item.log), _Told([], []))
        if verdict.got:
            line.got.append((item.seq, item.hash))
        else:
            line.refused.append(Rejected(item.hash, Reject.CONFLICT, item.seq))
    for no in refused:
        line = told.setdefault((no.gateway, no.log), _Told([], []))
        line.refused.append(Rejected(no.hash, no.why, no.seq))
    for (gateway, log), line in told.items():
        for got, rejected in _pieces(line):
            yield gateway, Ack(log, tuple(got), tuple(rejected), now_ms, run)


def _pieces(line: _Told) -> Iterator[tuple[Sequence[tuple[int, str]], Sequence[Rejected]]]:
    half = ACK_GOT_MAX // 2  # a refusal is twice as long as a `got`
    for at in range(0, len(line.got), ACK_GOT_MAX):
        yield line.got[at : at + ACK_GOT_MAX], ()
    for at in range(0, len(line.refused), half):
        yield (), line.refused[at : at + half]
