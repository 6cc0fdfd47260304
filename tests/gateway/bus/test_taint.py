"""Scripted lines on which a wrong value would pass, were a question forgotten too early."""

from __future__ import annotations

import pytest
from rig.virtual_line import VirtualLine, Words

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import read_request, sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply

PATIENCE = Patience(least_s=0.05, most_s=0.2)
SINGLE = Patience(least_s=0.05, most_s=0.2, late_window_s=1.0)


def answer_to(address: int, count: int) -> bytes:
    """A reply whose registers are the addresses they were read from."""
    return reply(Request(7, 3, address, count, 8), [address + i for i in range(count)])


def truthful(request: Request) -> bytes:
    return answer_to(request.address, request.words)


def scripted(*script: list[Words] | None) -> tuple[VirtualLine, Transactions, dict[int, Unit]]:
    """The n-th request gets the n-th part; beyond the script and for None the truth at once."""

    def behave(request: Request, serial: int) -> list[Words]:
        part = script[serial - 1] if serial <= len(script) else None
        return [Words(0.005, truthful(request))] if part is None else part

    line = VirtualLine(behave)
    units: dict[int, Unit] = {}
    return line, Transactions(line, units, now=line.now), units


async def poll(line: Transactions, address: int, count: int, patience: Patience) -> list[int]:
    """Ask for one span; return the addresses the registers say they come from, [] for none."""
    outcome = await line.read(Ask(7, 3, (Span(address, count),), patience))
    return list(outcome.registers)


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 0x40])


async def test_noise_that_looks_like_the_damaged_answer_does_not_end_the_question() -> None:
    # Noise with the pending header and length, then, after the verdict, the true reply.
    noise = broken(answer_to(100, 2))
    line, transactions, _ = scripted([Words(0.001, noise), Words(0.12, answer_to(100, 2))])
    first = await transactions.read(Ask(7, 3, (Span(100, 2),), SINGLE))
    assert first.fault is Fault.CRC
    assert await poll(transactions, 500, 2, SINGLE) in ([], [500, 501])
    while line.clock_s < 110:
        assert await poll(transactions, 500, 2, SINGLE) in ([], [500, 501])
        line.clock_s += 0.05
    assert await poll(transactions, 500, 2, SINGLE) == [500, 501]


async def test_a_damaged_echo_that_looks_like_a_reply_does_not_shift_the_replies() -> None:
    # Two wires, local echo, one register at 0x0200: a flipped echo is a damaged "reply"; the
    # true one comes after the verdict, and each later request would get its predecessor's.
    echo = bytearray(read_request(Shape(7, 3, 1), 0x0200))
    echo[4] ^= 0x10
    line, transactions, _ = scripted([Words(0.0, bytes(echo)), Words(0.1, answer_to(0x0200, 1))])
    ask = [0x0200, 0x0300, 0x0400]
    for number in range(60):
        address = ask[number % 3]
        assert await poll(transactions, address, 1, SINGLE) in ([], [address])
        line.clock_s += 0.1 if number > 2 else 0.0
    assert await poll(transactions, 0x0300, 1, SINGLE) == [0x0300]


async def test_after_damage_another_way_is_asked_at_once() -> None:
    line, transactions, units = scripted([Words(0.01, broken(answer_to(100, 2)))])
    ask = Ask(7, 3, (Span(100, 2), Span(100, 3)), PATIENCE)
    assert (await transactions.read(ask)).fault is Fault.CRC
    second = await transactions.read(ask)
    assert (second.fault, second.registers) == (Fault.NONE, (100, 101, 102))
    assert line.requests[1][0] - line.requests[0][0] < 0.1, "the line was alive: no waiting"
    assert not units[7].open


async def test_the_taint_of_a_slow_unit_begins_when_we_stop_waiting() -> None:
    # Patience 2.5 s: at the verdict more than the two seconds of silence have already passed.
    slow = Patience(least_s=2.5, most_s=2.5)
    late = Words(2.6, answer_to(100, 2))
    _, transactions, units = scripted([late])
    assert (await transactions.read(Ask(7, 3, (Span(100, 2),), slow))).fault is Fault.TIMEOUT
    assert units[7].open == [Shape(7, 3, 2)]
    outcome = await transactions.read(Ask(7, 3, (Span(500, 2),), slow))
    assert outcome.fault is Fault.QUARANTINED
    assert await poll(transactions, 500, 2, slow) in ([], [500, 501])


async def test_a_long_frame_on_a_slow_line_is_awaited_before_its_question_is_forgotten() -> None:
    # 125 registers at 1200 baud take 2.1 s on the wire alone.
    line = VirtualLine(
        lambda request, serial: [Words(0.3 if serial == 1 else 0.005, truthful(request))],
        char_s=10 / 1200,
    )
    transactions = Transactions(line, {}, now=line.now)
    first = await transactions.read(Ask(7, 3, (Span(0, 125),), PATIENCE))
    assert first.fault is Fault.TIMEOUT
    for _ in range(40):
        assert (await poll(transactions, 1000, 125, PATIENCE))[:1] in ([], [1000])
        line.clock_s += 0.1


@pytest.mark.parametrize("late_s", [0.21, 0.3, 0.5, 0.9, 1.1, 1.19])
async def test_within_its_window_a_late_reply_of_the_only_shape_is_never_a_value(
    late_s: float,
) -> None:
    line, transactions, units = scripted([Words(late_s, answer_to(100, 2))])
    assert await poll(transactions, 100, 2, SINGLE) == []
    taken: list[list[int]] = []
    while line.clock_s < 104.0:
        taken.append(await poll(transactions, 500, 2, SINGLE))
        line.clock_s += 0.03
    assert [100, 101] not in taken
    assert [500, 501] in taken
    assert units[7].counts.late_dropped == 1


async def test_an_exception_of_an_older_question_does_not_answer_the_newer_one() -> None:
    refusal = exception(Request(7, 3, 100, 2, 8), 2)
    line, transactions, units = scripted([Words(0.25, refusal)])
    ask = Ask(7, 3, (Span(100, 2), Span(100, 3)), PATIENCE)
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    outcome = await transactions.read(ask)
    assert (outcome.fault, outcome.registers) == (Fault.NONE, (100, 101, 102))
    assert units[7].counts.exception == 0
    assert len(line.requests) == 2


async def test_a_port_that_vanished_and_came_back_keeps_its_questions() -> None:
    line, transactions, units = scripted([])
    ask = Ask(7, 3, (Span(100, 2),), SINGLE)
    assert (await transactions.read(ask)).fault is Fault.TIMEOUT
    again = Transactions(line, units, now=line.now)
    assert (await again.read(ask)).fault is Fault.QUARANTINED
    other = Transactions(line, {}, now=line.now)
    assert (await other.read(ask)).fault is Fault.NONE, "only the memory tells"


async def test_a_frame_of_a_neighbour_answers_no_question_of_ours() -> None:
    foreign = sealed(b"\x09\x03\x04\x00\x01\x00\x02")
    _, transactions, units = scripted([Words(0.01, foreign)], [Words(0.01, foreign)])
    ask = Ask(7, 3, (Span(100, 2), Span(100, 3)), PATIENCE)
    assert (await transactions.read(ask)).fault is Fault.CRC
    assert units[7].open == [Shape(7, 3, 2)]
    assert 9 not in units
