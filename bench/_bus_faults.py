"""Ten thousand injected faults on a line in virtual time: whatever comes, no value is wrong.

Not among them: a slave that says a whole answer twice, unasked. On an RTU line nothing tells its
second one from the answer to the next question of the same shape.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from rig.virtual_line import VirtualLine, Words

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_rtu import sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply

FAULTS = 10_000
PATIENCE = Patience(0.05, 0.2)
UNITS = (7, 8)


def words_of(unit: int, address: int, count: int) -> list[int]:
    """What a unit holds: no register of one is another's, or another unit's."""
    return [(unit << 12 | address + k) & 0xFFFF for k in range(count)]


class Culprit:
    """Answers half of the questions with a fault."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311  (a repeatable draw)
        self.injected: Counter[str] = Counter()
        self.line = VirtualLine(self)

    def __call__(self, request: Request, _serial: int) -> list[Words]:
        right = self.frame(request)
        if self.dice.random() < 0.5 or sum(self.injected.values()) >= FAULTS:
            return [Words(0.005, right)]
        kinds = self.faults(request, right)
        kind = self.dice.choice(list(kinds))
        self.injected[kind] += 1
        if kind == "echo":  # by the adapter, at once, whatever the slave is still busy with
            span = request.address.to_bytes(2, "big") + request.words.to_bytes(2, "big")
            self.echo(sealed(bytes([request.unit, 3]) + span))
        return [Words(delay_s, data) for delay_s, data in kinds[kind]]

    def faults(self, request: Request, right: bytes) -> dict[str, list[tuple[float, bytes]]]:
        """Return what a line may carry in place of the right answer: by name, delays and bytes."""
        dice = self.dice
        late_s = dice.uniform(0.06, 0.5)
        other = self.frame(request._replace(address=dice.randrange(2000), unit=9))
        span = request.address.to_bytes(2, "big") + request.words.to_bytes(2, "big")
        refusal = exception(request, dice.choice((1, 2, 4, 6)))
        return {
            "late": [(late_s, right)],
            "late exception": [(late_s, refusal)],
            "exception": [(0.005, refusal)],
            "foreign": [(0.001, other), (0.004, right)],
            "broadcast": [(0.001, sealed(bytes([0, 3]) + span)), (0.004, right)],
            "echo": [(0.004, right)],
            "truncated": [(0.005, right[: dice.randrange(1, len(right))])],
            "glued": [(0.005, other + right + other)],
            "garbage": [(0.005, dice.randbytes(dice.randrange(1, 9)) + right)],
            "flipped": [(0.005, self.spoilt(right))],
            "flipped and late": [(late_s, self.spoilt(right)), (0.02, right)],
        }

    def echo(self, request: bytes) -> None:
        self.line.say(self.line.clock_s + len(request) * self.line.char_s, request)

    def spoilt(self, frame: bytes) -> bytes:
        """Return a frame with up to three bits flipped: so many the CRC always finds."""
        data = bytearray(frame)
        for place in self.dice.sample(range(8 * len(data)), self.dice.randrange(1, 4)):
            data[place // 8] ^= 1 << place % 8
        return bytes(data)

    @staticmethod
    def frame(request: Request) -> bytes:
        return reply(request, words_of(request.unit, request.address, request.words))


async def _run(seed: int) -> dict[str, int]:
    culprit = Culprit(seed)
    line = culprit.line
    units: dict[int, Unit] = {}
    transactions = Transactions(line, units, now=line.now)
    dice = random.Random(seed + 1)  # noqa: S311  (a repeatable draw)
    reads = accepted = wrong = 0
    while sum(culprit.injected.values()) < FAULTS:
        unit, address = dice.choice(UNITS), dice.randrange(2000)
        ways = tuple(Span(address, count) for count in (2, 3, 4))
        outcome = await transactions.read(Ask(unit, 3, ways, PATIENCE))
        reads += 1
        if outcome.fault is Fault.NONE:
            accepted += 1
            expected = words_of(unit, address, ways[outcome.way].words)
            wrong += list(outcome.registers) != expected
        line.clock_s += dice.choice((0.0, 0.0, 0.3))
    return {
        "injected_faults": sum(culprit.injected.values()),
        "injected_reads": reads,
        "injected_accepted": accepted,
        "wrong_values": wrong,
    }


def injected(seed: int = 1) -> dict[str, int]:
    """Run until all faults are injected; a seed is a repeatable run."""
    return asyncio.run(_run(seed))
