"""The transaction layer against a line in virtual time: thousands of bad replies in a second."""

from __future__ import annotations

import random

import pytest
from rig.virtual_line import VirtualLine, Words

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import read_request, sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply

PATIENCE = Patience(least_s=0.05, most_s=0.2)


def ways(address: int, count: int = 3) -> tuple[Span, ...]:
    return tuple(Span(address, 2 + k) for k in range(count))


def right(request: Request, serial: int) -> bytes:
    """A reply that says which request it answers, so that a stale one cannot pass for right."""
    return reply(request, [serial % 65536] * request.words)


def line_of(*script: list[Words] | None) -> tuple[VirtualLine, Transactions, dict[int, Unit]]:
    """A line whose n-th request gets the n-th part of the script; None: a right reply at once."""

    def behave(request: Request, serial: int) -> list[Words]:
        part = script[serial - 1] if serial <= len(script) else None
        return [Words(0.005, right(request, serial))] if part is None else part

    line = VirtualLine(behave)
    units: dict[int, Unit] = {}
    return line, Transactions(line, units, now=line.now), units


async def test_a_right_reply_is_stamped_with_its_last_byte() -> None:
    line, transactions, _ = line_of()
    outcome = await transactions.read(Ask(7, 3, ways(0), PATIENCE))
    assert outcome.fault is Fault.NONE
    assert outcome.registers == (1, 1)
    assert outcome.at_s == pytest.approx(line.requests[0][0] + 8e-4 + 0.005 + 9e-4)
    assert outcome.sent == read_request(Shape(7, 3, 2), 0)
    assert outcome.got[0] == 7


async def test_the_poison_pair_a_late_reply_is_not_the_next_value() -> None:
    late = reply(Request(7, 3, 100, 2, 8), [100, 101])
    line, transactions, units = line_of([Words(0.25, late)])
    first = await transactions.read(Ask(7, 3, ways(100), PATIENCE))
    second = await transactions.read(Ask(7, 3, ways(500), PATIENCE))
    assert first.fault is Fault.TIMEOUT
    assert second.fault is Fault.NONE
    assert set(second.registers) == {2}
    assert line.requests[1][1].words == 3, "the shape must change after a timeout"
    assert units[7].counts.late_dropped == 1
    third = await transactions.read(Ask(7, 3, ways(500), PATIENCE))
    assert line.requests[2][1].words == 2, "the taint is over"
    assert third.fault is Fault.NONE


async def test_one_shape_only_quarantines_the_unit_and_not_its_neighbour() -> None:
    line, transactions, units = line_of([])
    ask = Ask(7, 3, ways(0, 1), PATIENCE)
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    outcome = await transactions.read(ask)
    assert outcome.fault is Fault.QUARANTINED
    gave_up_s = line.requests[0][0] + 8e-4 + 9e-4 + 0.2
    assert outcome.free_s == pytest.approx(gave_up_s + 1.0)
    assert (await transactions.read(Ask(8, 3, ways(0, 1), PATIENCE))).fault is Fault.NONE
    line.clock_s = outcome.free_s
    assert (await transactions.read(ask)).fault is Fault.NONE
    assert units[7].counts.quarantined == 1


async def test_an_exception_is_an_answer_unless_older_questions_are_open() -> None:
    refusal = exception(Request(7, 3, 0, 2, 8), 2)
    _, transactions, units = line_of([Words(0.01, refusal)], [], [Words(0.01, refusal)])
    ask = Ask(7, 3, ways(0), PATIENCE)
    outcome = await transactions.read(ask)
    assert (outcome.fault, outcome.exception) == (Fault.EXCEPTION, 2)
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    assert units[7].counts.exception == 1
    assert (await transactions.read(ask)).fault is Fault.NONE


async def test_a_broken_reply_is_told_before_the_timeout_and_a_whole_one_behind_it_wins() -> None:
    good = reply(Request(7, 3, 0, 3, 8), [1, 2, 3])
    broken = good[:-1] + bytes([good[-1] ^ 1])
    short = reply(Request(7, 3, 0, 2, 8), [1, 2])[:-1] + b"\x00"
    line, transactions, units = line_of([Words(0.01, short)], [Words(0.01, broken + good)])
    ask = Ask(7, 3, ways(0), PATIENCE)
    outcome = await transactions.read(ask)
    assert outcome.fault is Fault.CRC
    assert outcome.at_s - line.requests[0][0] < 0.05
    assert units[7].open == [Shape(7, 3, 2)], "whether that was the answer is not proven"
    outcome = await transactions.read(ask)
    assert outcome.registers == (1, 2, 3)
    assert units[7].counts.resync == 1


async def test_a_broken_reply_ends_no_older_question() -> None:
    good = reply(Request(7, 3, 0, 3, 8), [1, 2, 3])
    _, transactions, units = line_of([], [Words(0.01, good[:-1] + bytes([good[-1] ^ 1]))])
    ask = Ask(7, 3, ways(0), PATIENCE)
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    assert (await transactions.read(ask)).fault is Fault.CRC
    assert units[7].open == [Shape(7, 3, 2), Shape(7, 3, 3)]


async def test_garbage_of_no_shape_leaves_the_question_open() -> None:
    _, transactions, units = line_of([Words(0.01, b"\x55" * 9)])
    outcome = await transactions.read(Ask(7, 3, ways(0), PATIENCE))
    assert outcome.fault is Fault.CRC
    assert units[7].open == [Shape(7, 3, 2)]


async def test_a_local_echo_is_skipped_even_where_it_looks_like_a_header() -> None:
    # Address 0x0200 and one register: the echo begins like a reply with two bytes of data.
    request = read_request(Shape(7, 3, 1), 0x0200)
    answer = sealed(b"\x07\x03\x02\x12\x34")
    _, transactions, _ = line_of([Words(0.0, request), Words(0.08, answer)])
    outcome = await transactions.read(Ask(7, 3, (Span(0x0200, 1),), PATIENCE))
    assert outcome.fault is Fault.NONE
    assert outcome.registers == (0x1234,)


async def test_every_request_keeps_the_silence() -> None:
    line, transactions, _ = line_of()
    for _ in range(5):
        await transactions.read(Ask(7, 3, ways(0), PATIENCE))
    await transactions.read(Ask(7, 3, ways(0), PATIENCE._replace(gap_s=0.3)))
    starts = [at_s for at_s, _ in line.requests]
    ends = [at_s + 8e-4 + 0.005 + 9e-4 for at_s in starts]
    gaps = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    assert all(gap >= 0.00175 - 1e-9 for gap in gaps)
    assert gaps[-1] == pytest.approx(0.3)


async def test_after_a_timeout_the_bus_keeps_quiet_for_deaf_neighbours() -> None:
    line, _, _ = line_of([])
    transactions = Transactions(line, {}, post_timeout_quiet_s=0.5, now=line.now)
    await transactions.read(Ask(9, 3, ways(0), PATIENCE))
    await transactions.read(Ask(7, 3, ways(0), PATIENCE))
    assert line.requests[1][0] - (line.requests[0][0] + 8e-4) == pytest.approx(0.5)


async def test_a_line_that_is_never_silent_is_named() -> None:
    line, transactions, _ = line_of()
    for k in range(5000):
        line.say(line.clock_s + k * 0.001, b"\x00")
    outcome = await transactions.read(Ask(7, 3, ways(0), PATIENCE))
    assert outcome.fault is Fault.BABBLE
    assert not line.requests


def faulty(dice: random.Random, request: Request, serial: int) -> list[Words]:
    """One of the ways in which a line goes wrong; more than half of the replies are bad."""
    good = right(request, serial)
    flipped = bytearray(good)
    flipped[dice.randrange(len(good))] ^= 1 << dice.randrange(8)
    foreign = reply(request._replace(unit=request.unit + 8), [6666] * request.words)
    fates = {
        "right": [Words(0.005, good)],
        "late": [Words(dice.uniform(0.0, 0.6), good)],
        "never": [],
        "flipped": [Words(0.01, bytes(flipped))],
        "cut": [Words(0.01, good[: dice.randrange(1, len(good))])],
        "glitch": [Words(0.01, dice.randbytes(dice.randint(1, 9)) + good)],
        "echo": [Words(0.0, read_request(request.shape, request.address)), Words(0.02, good)],
        "foreign": [Words(0.01, foreign), Words(0.02, good)],
        "refused": [Words(dice.uniform(0.0, 0.4), exception(request, 2))],
        "broadcast": [Words(0.01, sealed(b"\x00\x06\x00\x01\x00\x02")), Words(0.01, good)],
    }
    weights = [30, 20, 10, 5, 5, 10, 5, 5, 5, 5]
    return fates[dice.choices(list(fates), weights)[0]]


async def one_unit(seed: int, polls: int, count: int) -> list[Outcome]:
    dice = random.Random(seed)
    line = VirtualLine(lambda request, serial: faulty(dice, request, serial))
    transactions = Transactions(line, {}, now=line.now)
    outcomes = []
    for _ in range(polls):
        unit = dice.choice((6, 7))
        ask = Ask(unit, dice.choice((3, 4)), ways(dice.randrange(100), count), PATIENCE)
        outcome = await transactions.read(ask)
        if outcome.fault is Fault.NONE:
            assert set(outcome.registers) == {len(line.requests) % 65536}, outcome
        outcomes.append(outcome)
        line.clock_s += dice.choice((0.0, 0.0, 0.05, 1.0))
    return outcomes


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
async def test_ten_thousand_bad_replies_give_no_wrong_value(seed: int, count: int) -> None:
    outcomes = await one_unit(seed, 2500, count)
    seen = {outcome.fault for outcome in outcomes}
    assert {Fault.NONE, Fault.TIMEOUT, Fault.CRC} <= seen
    assert sum(outcome.fault is Fault.NONE for outcome in outcomes) > 500
