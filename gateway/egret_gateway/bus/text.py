"""A line of text: devices that speak by themselves, or that answer a command with one line.

A talker's turn takes its newest line since the last turn. It waits where there is none yet, and
is missing when no line came for two of its periods: a talker that is a little slower than its
period, or has another phase, misses nothing.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled, Turn
from egret_gateway.bus.understanding import Understanding, understandings
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.profiles.talk import ADDRESS, POLL
from egret_gateway.protocols.text_line import Flaw, Framing, Heard, Lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.ports.serial_port import SerialPort
    from egret_gateway.ports.tcp_port import TcpPort

MISS_PERIODS = 2.0  # of silence: then a line is missing, and not only late by its phase
HEARD_MAX = 1024  # lines not looked at yet: more than a tty's buffer holds
SHOWN_MAX = 64  # lines kept for people
NAP_CHARS = 8  # of a line that has begun: a wakeup for each character costs more than it tells
NAP_MAX_S = 0.02  # and so much later a line may seem to end, however slow its characters
_COUNTED = ("ok", "timeout", "crc", "quarantined", "late_dropped")
_DAMAGED = (Flaw.DAMAGED, Flaw.BINARY, Flaw.HALF, Flaw.HEADLESS, Flaw.LONG)


@dataclass(slots=True)
class Talker:
    """What is remembered of a turn; it outlives a replugged port.

    Attributes:
        last_s: when it was last heard, or the port opened; silent: it has been missed since.
        newest: its newest line, until a turn takes it.
    """

    last_s: float = 0.0
    silent: bool = False
    newest: Polled | None = None


class TextPlan:
    """The turns of a line of text, and what is remembered of them; see `line.Plan`."""

    deaf = False

    def __init__(self, settings: BusSettings) -> None:
        self.settings = settings
        self.wanted: tuple[Understanding, ...] = understandings(settings.devices)
        self.turns: Sequence[Turn] = [
            Turn(wanted.unit, wanted.channels, wanted.device.period_s) for wanted in self.wanted
        ]
        self.talkers = [Talker() for _ in self.wanted]
        self.counts = {wanted.unit: Counter(dict.fromkeys(_COUNTED, 0)) for wanted in self.wanted}
        self.strange: Counter[str] = Counter()  # lines of nobody, by flaw
        self.damaged_s = -inf  # when the last damaged line ended
        self.free_s = 0.0  # until then a late answer could be taken for the next one

    @property
    def asks(self) -> bool:
        """Whether devices speak only when asked."""
        return self.wanted[0].talk.mode == POLL

    async def open(self) -> TextLine:
        """Open the port; PortError where it cannot be."""
        endpoint = self.settings.endpoint
        if endpoint is None:
            return TextLine(self, open_serial(self.settings))
        times = line_times(self.settings.baud, self.settings.parity, self.settings.stop_bits)
        return TextLine(self, await open_tcp(endpoint, *times))

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """Return per unit its lines and misses, and beside each the bus's lines of nobody."""
        kinds = [str(flaw) for flaw in Flaw if flaw is not Flaw.NONE]
        strange = {kind: self.strange[kind] for kind in kinds if self.strange[kind]}
        return {unit: {**counts, "strange": strange} for unit, counts in self.counts.items()}


class TextLine:
    """An open line of text; see `line.Line` and `line.Talking`.

    Attributes:
        lines: everything heard, newest last, for people.
    """

    def __init__(self, plan: TextPlan, port: SerialPort | TcpPort) -> None:
        self._plan = plan
        self._port = port
        self._framers = {
            framing: Lines(framing)
            for framing in dict.fromkeys(wanted.talk.framing for wanted in plan.wanted)
        }
        self._unasked: deque[tuple[int, Polled]] = deque(maxlen=HEARD_MAX)
        self.lines: deque[Heard] = deque(maxlen=SHOWN_MAX)
        self._partial = False
        self._nap = max(1, min(NAP_CHARS, int(NAP_MAX_S / max(port.char_s, 1e-9))))
        for talker in plan.talkers:
            talker.last_s = max(talker.last_s, time.monotonic())

    async def listen(self) -> None:
        """Return at once: a talker is heard whenever it speaks, and `poll` keeps silence itself."""

    async def poll(self, index: int) -> Polled:
        """Take a talker's newest line, or ask; PortError when the port has gone."""
        if self._plan.asks:
            return await self._ask(index)
        self._drain()
        talker, turn = self._plan.talkers[index], self._plan.turns[index]
        if talker.newest is not None:
            polled, talker.newest = talker.newest, None
            self._unasked = deque((x for x in self._unasked if x[0] != index), HEARD_MAX)
            return polled
        now = time.monotonic()
        until_s = talker.last_s + MISS_PERIODS * turn.period_s
        if not talker.silent and now < until_s:
            return Polled(Fault.PENDING, now, free_s=until_s)
        talker.silent = True
        # Somebody may talk with a wrong baud: that is another fault than silence.
        damaged = self._plan.damaged_s > now - MISS_PERIODS * turn.period_s
        fault = Fault.CRC if damaged else Fault.TIMEOUT
        self._plan.counts[turn.unit][str(fault)] += 1
        return Polled(fault, now)

    async def idle(self, until_s: float) -> None:
        """Listen until `until_s`, or until somebody has said something that is understood."""
        self._late(self._drain())
        while not self._unasked and time.monotonic() < until_s:
            await self._port.wait(until_s, self._nap if self._partial else 1)
            self._late(self._drain())

    def overheard(self) -> Sequence[tuple[int, Polled]]:
        """Return what was said since the last call, oldest first, each with its turn."""
        self._late(self._drain())
        found = list(self._unasked)
        self._unasked.clear()
        return found

    def took(self, polled: Polled) -> None:
        """Take in that `polled` has been used: no turn gets it again."""
        for talker in self._plan.talkers:
            if talker.newest is polled:
                talker.newest = None

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    def _drain(self) -> list[tuple[int, Polled]]:
        """Take in what the port has; return what of it was understood."""
        data = self._port.take()
        found: list[tuple[int, Polled]] = []
        if not data:
            return found
        for framing, framer in self._framers.items():
            for heard in framer.feed(data, self._port.last_byte_s):
                self.lines.append(heard)
                found += self._sorted(framing, heard)
        self._partial = not any(data.endswith(framing.terminator) for framing in self._framers)
        if not self._plan.asks:
            self._unasked.extend(found)
        return found

    def _sorted(self, framing: Framing, heard: Heard) -> list[tuple[int, Polled]]:
        """Return what a line says, for every turn that it is for."""
        found: list[tuple[int, Polled]] = []
        if heard.flaw is not Flaw.NONE:
            self._plan.strange[heard.flaw] += 1
            if heard.flaw in _DAMAGED:
                self._plan.damaged_s = heard.at_s
            return found
        for index, wanted in enumerate(self._plan.wanted):
            polled = wanted.polled(heard) if wanted.talk.framing == framing else None
            if polled is None:
                continue
            talker = self._plan.talkers[index]
            talker.newest, talker.last_s, talker.silent = polled, heard.at_s, False
            self._plan.counts[wanted.unit]["ok"] += 1
            found.append((index, polled))
        if not found:
            self._plan.strange[Flaw.FOREIGN] += 1
        return found

    def _late(self, found: Sequence[tuple[int, Polled]]) -> None:
        """Count answers that came when nobody waited for them any more; they are no values."""
        for index, _ in found if self._plan.asks else ():
            self._plan.counts[self._plan.wanted[index].unit]["late_dropped"] += 1

    async def _ask(self, index: int) -> Polled:
        plan, wanted = self._plan, self._plan.wanted[index]
        talk, counts = wanted.talk, self._plan.counts[wanted.unit]
        self._late(self._drain())
        now = time.monotonic()
        if now < plan.free_s:
            counts["quarantined"] += 1
            return Polled(Fault.QUARANTINED, now, free_s=plan.free_s)
        for framer in self._framers.values():
            framer.forget()
        before = plan.strange.copy()
        command = talk.command.replace(b"{%s}" % ADDRESS.encode(), wanted.device.address.encode())
        self._port.write(command)
        until_s = now + len(command) * self._port.char_s + talk.timeout_ms / 1000
        while now < until_s:
            await self._port.wait(until_s, self._nap if self._partial else 1)
            for turn, polled in self._drain():
                if turn == index:
                    return polled
            now = time.monotonic()
        plan.free_s = now + talk.late_window_ms / 1000
        hurt = any(plan.strange[flaw] > before[flaw] for flaw in _DAMAGED)
        counts["crc" if hurt else "timeout"] += 1
        return Polled(Fault.CRC if hurt else Fault.TIMEOUT, now)
