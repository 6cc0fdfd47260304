"""Lines on their way: lanes beside each other, halves where a batch is too large or partly refused.

A station's lines stay in one lane, so that they arrive in order. Writing again is harmless: equal
rows give equal bytes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from egret_aggregator.store.influx import answers, line
from egret_aggregator.store.influx.answers import Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.store.influx.client import InfluxHttp
    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import StoredReading

POINTS_MAX = 5000  # of one post: about 80 kB; beyond it a server gains nothing
LANES = 4  # in flight: InfluxDB 3 answers a write after up to a second
LANE_LEAST = 2500  # points: fewer are not worth a lane of their own
PROBES_MAX = 256  # posts in a row that find no line the server takes: then it is the server
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


@dataclass(slots=True)
class _Found:
    """What a search came to: lines proved bad, and those that only the server's word is against.

    `taken` tells whether it took any line, `fruitless` how many posts in a row it took none of.
    """

    refused: list[Refused]
    suspects: list[Refused]
    taken: bool = False
    fruitless: int = 0


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
        """Find the refused lines by halves; in time order, for what is too old lies together.

        A line is refused for good where the server names or counts it, or takes others beside it.
        One that takes nothing may be at fault itself.

        Raises:
            HeldError: nothing proves that it is the lines.
        """
        order = sorted(range(len(batch.rows)), key=lambda at: batch.rows[at].time_ms)
        whole = _Batch([batch.lines[at] for at in order], [batch.rows[at] for at in order])
        found = _Found([], [])
        waiting = [(whole, answer)]
        while waiting:
            part, told = waiting.pop()
            if told.dropped >= len(part.lines):
                found.refused.extend(Refused(row, told.why) for row in part.rows)
                found.fruitless = 0
            elif len(part.lines) == 1:
                found.suspects.append(Refused(part.rows[0], told.why))
            else:
                waiting += await self._halves(part, told, found)
        if found.suspects and not found.taken:
            raise HeldError(answer._replace(pause_s=answers.SLOW_S))
        return found.refused + found.suspects

    async def _halves(
        self, part: _Batch, told: Answer, found: _Found
    ) -> list[tuple[_Batch, Answer]]:
        """Write both halves; return those that are not wholly in."""
        left: list[tuple[_Batch, Answer]] = []
        for half in part.halves():
            if found.fruitless == PROBES_MAX:
                raise HeldError(told._replace(pause_s=answers.SLOW_S))
            said = await self._post(half)
            found.fruitless += 1
            if said.verdict is Verdict.PARTIAL:
                left.append((half, said))
            elif said.verdict is Verdict.DONE:
                found.taken, found.fruitless = True, 0
            else:
                raise HeldError(said)
        return left

    async def _post(self, batch: _Batch) -> Answer:
        return await self._http.write(line.body(batch.lines))
