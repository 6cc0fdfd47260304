"""Ten thousand bad answers per protocol, drawn by a seed: not one of them becomes a value.

Every right answer holds the serial number of its request, so that a stale one is seen.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from rig.virtual_line import VirtualLine, Words
from rig.virtual_peer import Asked, Said, VirtualPeer

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.tcp_transaction import TcpTransactions
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.errors import PortError
from egret_gateway.protocols.modbus_rtu import read_request
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply, reply_pdu
from egret_gateway.protocols.modbus_tcp import frame

if TYPE_CHECKING:
    from collections.abc import Callable

FRAMES = 10_000
PATIENCE = Patience(least_s=0.05, most_s=0.2)
UNITS = (7, 8)
LATES_S = (0.25, 0.4, 0.9, 1.6)


def value_of(serial: int) -> int:
    return serial * 7919 % 65536


def flipped(data: bytes, bits: int, dice: random.Random, within: int | None = None) -> bytes:
    spoiled = bytearray(data)
    for bit in dice.sample(range(8 * (within or len(data))), bits):
        spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def code_of(serial: int) -> int:
    """An exception's code says whose it is, too."""
    return serial % 200 + 12


class RtuMischief:
    """A slave's answers, spoiled by lot; `kinds` counts how."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kinds: Counter[str] = Counter()
        self._ways: list[Callable[[Request, int, bytes], list[Words]]] = [
            *(self.late, self.late_exception, self.foreign, self.truncated, self.glued),
            *(self.broadcast, self.echo, self.bit_flips, self.burst, self.noise, self.silence),
        ]

    def __call__(self, request: Request, serial: int) -> list[Words]:
        right = reply(request, [value_of(serial)] * request.words)
        if self.dice.random() < 0.2:
            return [Words(0.005, right)]
        way = self.dice.choice(self._ways)
        self.kinds[way.__name__] += 1
        return way(request, serial, right)

    def late(self, _: Request, __: int, right: bytes) -> list[Words]:
        return [Words(self.dice.choice(LATES_S), right)]

    def late_exception(self, request: Request, serial: int, _: bytes) -> list[Words]:
        return [Words(self.dice.choice(LATES_S), exception(request, code_of(serial)))]

    def foreign(self, request: Request, serial: int, _: bytes) -> list[Words]:
        # Another unit's reply of our shape, or ours to another master: in a shape we never ask.
        stranger = self.dice.choice(
            [
                request._replace(unit=9),
                request._replace(unit=9, fc=7 - request.fc),
                request._replace(words=request.words + 40),
                request._replace(fc=request.fc - 2),
            ]
        )
        value = value_of(serial + 1) % (2 if stranger.fc < 3 else 65536)
        return [Words(0.01, reply(stranger, [value] * stranger.words))]

    def truncated(self, _: Request, __: int, right: bytes) -> list[Words]:
        return [Words(0.01, right[: self.dice.randrange(1, len(right))])]

    def glued(self, request: Request, serial: int, right: bytes) -> list[Words]:
        before = self.foreign(request, serial, right)[0].data
        return [Words(0.01, self.dice.choice((before + right, right + before, before + before)))]

    def broadcast(self, request: Request, serial: int, _: bytes) -> list[Words]:
        words = [value_of(serial + 1)] * request.words
        return [Words(0.01, reply(request._replace(unit=0), words))]

    def echo(self, request: Request, _: int, right: bytes) -> list[Words]:
        own = read_request(request.shape, request.address)
        return [Words(0.0, self.dice.choice((own, own + right, own[:5] + right)))]

    def bit_flips(self, _: Request, __: int, right: bytes) -> list[Words]:
        return [Words(0.01, flipped(right, self.dice.randint(1, 3), self.dice))]

    def burst(self, _: Request, __: int, right: bytes) -> list[Words]:
        at = self.dice.randrange(len(right) - 1)
        junk = bytes((right[at] ^ self.dice.randint(1, 255), right[at + 1] ^ 0x55))
        return [Words(0.01, right[:at] + junk + right[at + 2 :])]

    def noise(self, _: Request, __: int, right: bytes) -> list[Words]:
        junk = self.dice.randbytes(self.dice.randint(1, 30))
        return [Words(0.01, self.dice.choice((junk, junk + right, right[:4] + junk)))]

    def silence(self, *_: object) -> list[Words]:
        return []


def is_wrong(outcome: Outcome, serial: int) -> bool:
    """Tell whether what was taken for the answer is not the answer to this very request."""
    if outcome.fault is Fault.NONE:
        return set(outcome.registers) != {value_of(serial)}
    if outcome.fault is Fault.EXCEPTION:
        return outcome.exception != code_of(serial)
    return False


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_mutated_frame_on_a_serial_line_is_a_value(seed: int) -> None:
    mischief = RtuMischief(seed)
    line = VirtualLine(mischief)
    units: dict[int, Unit] = {}
    master = Transactions(line, units, now=line.now)
    dice = random.Random(seed)
    accepted = wrong = 0
    while mischief.kinds.total() < FRAMES // 2:
        address, count = dice.randrange(1000), dice.choice((1, 2, 3, 8))
        ways = tuple(Span(address, count + k) for k in range(dice.choice((1, 3, 4))))
        ask = Ask(dice.choice(UNITS), dice.choice((3, 4)), ways, PATIENCE)
        before = len(line.requests)
        outcome = await master.read(ask)
        if len(line.requests) > before:
            accepted += outcome.fault is Fault.NONE
            wrong += is_wrong(outcome, len(line.requests))
        elif outcome.fault is Fault.QUARANTINED:
            await master.idle(outcome.free_s)
    assert wrong == 0
    assert accepted > FRAMES // 10
    assert min(mischief.kinds.values()) > FRAMES // 40, mischief.kinds


class TcpMischief:
    """A device's answers, spoiled by lot; TCP itself neither loses nor changes data."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kinds: Counter[str] = Counter()
        self.last = b""
        self.died = False
        self._ways: list[Callable[[Asked, int, bytes], list[Said]]] = [
            *(self.late, self.late_exception, self.foreign, self.truncated, self.glued, self.zero),
            *(self.twice, self.old, self.another_number, self.head_flips, self.noise, self.silence),
        ]

    def __call__(self, asked: Asked, serial: int) -> list[Said]:
        right = self.frame(asked, asked.request, serial)
        way = self.right if self.dice.random() < 0.2 else self.dice.choice(self._ways)
        if way != self.right:
            self.kinds[way.__name__] += 1
        if self.died:
            return []
        said = way(asked, serial, right)
        self.last = right
        return said

    def frame(
        self, asked: Asked, request: Request, serial: int, number: int | None = None
    ) -> bytes:
        pdu = reply_pdu(request, [value_of(serial)] * request.words)
        return frame(asked.number if number is None else number, request.unit, pdu)

    def right(self, _: Asked, __: int, right: bytes) -> list[Said]:
        return [Said(0.005, right)]

    def late(self, _: Asked, __: int, right: bytes) -> list[Said]:
        return [Said(self.dice.choice(LATES_S), right)]

    def late_exception(self, asked: Asked, serial: int, _: bytes) -> list[Said]:
        pdu = bytes((asked.request.fc | 0x80, code_of(serial)))
        said = frame(asked.number, asked.request.unit, pdu)
        return [Said(self.dice.choice(LATES_S), said)]

    def foreign(self, asked: Asked, serial: int, _: bytes) -> list[Said]:
        request = asked.request
        stranger = self.dice.choice(
            [
                request._replace(unit=9),
                request._replace(fc=7 - request.fc),
                request._replace(words=request.words + self.dice.choice((-1, 1, 5))),
            ]
        )
        return [Said(0.01, self.frame(asked, stranger, serial + 1))]

    def truncated(self, _: Asked, __: int, right: bytes) -> list[Said]:
        self.died = True  # a stream ends where its program does: nothing follows
        return [Said(0.01, right[: self.dice.randrange(1, len(right))], last=True)]

    def glued(self, asked: Asked, serial: int, right: bytes) -> list[Said]:
        other = self.frame(asked, asked.request, serial + 1, asked.number % 60_000 + 5)
        return [Said(0.01, self.dice.choice((other + right, right + other, other + other)))]

    def zero(self, asked: Asked, serial: int, right: bytes) -> list[Said]:
        other = self.frame(asked, asked.request, serial + 1, 0)
        return [Said(0.01, self.dice.choice((other, other + right)))]

    def twice(self, _: Asked, __: int, right: bytes) -> list[Said]:
        return [Said(0.01, right), Said(self.dice.choice((0.01, 0.03, 0.3)), right)]

    def old(self, *_: object) -> list[Said]:
        return [Said(0.01, self.last)]

    def another_number(self, asked: Asked, serial: int, _: bytes) -> list[Said]:
        number = self.dice.choice((asked.number - 1, asked.number + 1, 0xFFFF)) % 65536
        return [Said(0.01, self.frame(asked, asked.request, serial + 1, number))]

    def head_flips(self, _: Asked, __: int, right: bytes) -> list[Said]:
        return [Said(0.01, flipped(right, self.dice.randint(1, 3), self.dice, within=9))]

    def noise(self, *_: object) -> list[Said]:
        return [Said(0.01, self.dice.randbytes(self.dice.randint(1, 40)))]

    def silence(self, *_: object) -> list[Said]:
        return []


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_mutated_frame_of_a_connection_is_a_value(seed: int) -> None:
    mischief = TcpMischief(seed)
    peer = VirtualPeer(mischief)
    units: dict[int, Unit] = {}
    dice = random.Random(seed)
    number = dice.randrange(1, 65536)
    master = TcpTransactions(peer, units, number=number, now=peer.now)
    accepted = wrong = anew = 0
    while mischief.kinds.total() < FRAMES // 2:
        address, count = dice.randrange(1000), dice.choice((2, 3, 8))
        ways = tuple(Span(address, count + k) for k in range(dice.choice((1, 3, 4))))
        ask = Ask(dice.choice(UNITS), dice.choice((3, 4)), ways, PATIENCE)
        before = len(peer.asked)
        try:
            outcome = await master.read(ask)
            if outcome.fault is Fault.QUARANTINED:
                await master.idle(outcome.free_s)
        except PortError:
            anew += 1  # a new connection; what the old one would still have said is gone with it
            peer.hang_up()
            mischief.died = False
            master = TcpTransactions(peer, units, number=master.number, now=peer.now)
            continue
        if len(peer.asked) > before:
            accepted += outcome.fault is Fault.NONE
            wrong += is_wrong(outcome, len(peer.asked))
    assert wrong == 0
    assert accepted > FRAMES // 10
    assert anew > 100
    assert min(mischief.kinds.values()) > FRAMES // 40, mischief.kinds
