"""Lines on their way: lanes beside each other, halves where a batch is too large or partly refused.

A station's lines stay in one lane, so that they arrive in order. Writing again is harmless: equal
rows give equal bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from egret_aggregator.store.influx import line
from egret_aggregator.store.influx.answers import Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.store.influx.client import InfluxHttp
    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import StoredReading

POINTS_MAX = 5000  # of one post: about 80 kB; beyond it a server gains nothing
LANES = 4  # in flight: InfluxDB 3 answers a write after up to a second
LANE_LEAST = 2500  # points: fewer are not worth a lane of their own
PROBES_MAX = 256  # posts to find the refused lines of one batch
SLICE = 500  # lines made before the event loop gets a turn: under 1 ms


class HeldError(Exception):
    """A batch is not in, by no fault of its lines.

    Attributes:
        answer: what the server said.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.why)


class Refused(NamedTuple):
    """A row that the server will not have, and why."""

    row: StoredReading
    why: str


def shares(groups: Mapping[Key, list[StoredReading]]) -> list[dict[Key, list[StoredReading]]]:
    """Divide channels among as many lanes as their rows are worth; a station has one."""
    points = sum(map(len, groups.values()))
    lanes: list[dict[Key, list[StoredReading]]] = [
        {} for _ in range(min(LANES, 1 + points // LANE_LEAST))
    ]
    for key, rows in groups.items():
        lanes[crc32(key[0].encode()) % len(lanes)][key] = rows
    return [lane for lane in lanes if lane]


class Group(NamedTuple):
    """Rows of one channel in time order, and what their lines begin with."""

    begin: str
    rows: Sequence[StoredReading]


class _Batch(NamedTuple):
    lines: list[str]
    rows: list[StoredReading]

    def part(self, start: int, end: int) -> _Batch:
        return _Batch(self.lines[start:end], self.rows[start:end])

    def halves(self) -> tuple[_Batch, _Batch]:
        middle = (len(self.lines) + 1) // 2
        return self.part(0, middle), self.part(middle, len(self.lines))


class Lanes:
    """The way into one bucket.

    Args:
        http: the transport.
    """

    def __init__(self, http: InfluxHttp) -> None:
        self._http = http
        self._points_max = POINTS_MAX

    async def send(self, groups: Sequence[Group]) -> list[Refused]:
        """Write the rows of one lane; return those that the server refuses for good.

        Raises:
            HeldError: not everything is in; what is may be sent again.
        """
        lane = _Batch([], [])
        made = 0
        for group in groups:
            lane.lines.extend(line.lines(group.begin, group.rows))
            lane.rows.extend(group.rows)
            made += len(group.rows)
            if made >= SLICE:
                made = 0
                await asyncio.sleep(0)
        return await self._lane(lane)

    async def _lane(self, lane: _Batch) -> list[Refused]:
        refused: list[Refused] = []
        at = 0
        while at < len(lane.lines):
            batch = lane.part(at, at + self._points_max)
            answer = await self._post(batch)
            if answer.verdict is Verdict.TOO_LARGE and len(batch.lines) > 1:
                self._points_max = max(1, len(batch.lines) // 2)
                continue
            if answer.verdict is Verdict.PARTIAL:
                refused.extend(await self._search(batch, answer))
            elif answer.verdict is not Verdict.DONE:
                raise HeldError(answer)
            at += len(batch.lines)
        return refused

    async def _search(self, batch: _Batch, answer: Answer) -> list[Refused]:
        """Find the refused lines by halves; in time order, for what is too old lies together."""
        order = sorted(range(len(batch.rows)), key=lambda at: batch.rows[at].time_ms)
        whole = _Batch([batch.lines[at] for at in order], [batch.rows[at] for at in order])
        refused: list[Refused] = []
        waiting = [(whole, answer)]
        probes = 0
        while waiting:
            part, told = waiting.pop()
            if len(part.lines) == 1 or told.dropped >= len(part.lines):
                refused.extend(Refused(row, told.why) for row in part.rows)
                continue
            for half in part.halves():
                if probes == PROBES_MAX:
                    refused.extend(Refused(row, f"in doubt: {told.why}") for row in half.rows)
                    continue
                probes += 1
                said = await self._post(half)
                if said.verdict is Verdict.PARTIAL:
                    waiting.append((half, said))
                elif said.verdict is not Verdict.DONE:
                    raise HeldError(said)
        return refused

    async def _post(self, batch: _Batch) -> Answer:
        return await self._http.write(line.body(batch.lines))
