"""Writes on a serial line in virtual time: done only where the device said so."""

from __future__ import annotations

import pytest
from rig.virtual_line import VirtualLine, Words

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_pdu import Write
from egret_gateway.protocols.modbus_rtu import write_done, write_request
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply

PATIENCE = Patience(least_s=0.05, most_s=0.2)
COIL = Write(7, 5, 3, (1,))
REGISTER = Write(7, 6, 0x100, (2,))
COILS = Write(7, 15, 0, (1, 0, 1))
REGISTERS = Write(7, 16, 10, (1, 2, 3))
ALL = (COIL, REGISTER, COILS, REGISTERS)


def line_of(
    *script: list[Words] | None, echo: bool = False, local_echo: bool = False
) -> tuple[VirtualLine, Transactions, dict[int, Unit]]:
    """A line whose n-th request gets the n-th part of the script; None: the right reply."""
    sent: list[bytes] = []

    def behave(request: Request, serial: int) -> list[Words]:
        back = [Words(0.0, sent[-1])] if echo else []
        part = script[serial - 1] if serial <= len(script) else None
        if part is None:
            return [*back, Words(0.005, reply(request, [serial] * request.words))]
        return [*back, *part]

    line = VirtualLine(behave)
    write = line.write

    def noted(data: bytes) -> None:
        sent.append(data)
        write(data)

    line.write = noted  # type: ignore[method-assign]
    units: dict[int, Unit] = {}
    return line, Transactions(line, units, local_echo=local_echo, now=line.now), units


async def learn(master: Transactions) -> None:
    """One read tells whether the line echoes."""
    outcome = await master.read(Ask(7, 3, (Span(0, 1),), PATIENCE))
    assert outcome.fault is Fault.NONE


def test_the_frame_of_the_reference() -> None:
    assert write_request(Write(1, 6, 0x100, (2,))).hex(" ") == "01 06 01 00 00 02 09 f7"
    assert write_done(REGISTER) == write_request(REGISTER)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("write", ALL, ids=lambda write: f"fc{write.fc}")
async def test_a_write_told_as_done_is_done(write: Write, *, echo: bool) -> None:
    line, master, units = line_of(echo=echo)
    await learn(master)
    outcome = await master.write(write, PATIENCE)
    assert outcome.fault is Fault.NONE
    assert line.requests[1][1].fc == write.fc
    assert outcome.sent == write_request(write)
    assert units[7].write_free_s == 0.0


@pytest.mark.parametrize("write", ALL, ids=lambda write: f"fc{write.fc}")
async def test_an_echo_alone_is_no_answer(write: Write) -> None:
    for local_echo in (False, True):
        line, master, units = line_of(None, [], echo=True, local_echo=local_echo)
        await learn(master)
        outcome = await master.write(write, PATIENCE)
        assert outcome.fault is Fault.TIMEOUT
        assert units[7].write_free_s > line.clock_s


@pytest.mark.parametrize("write", [COIL, REGISTER], ids=["fc5", "fc6"])
async def test_one_copy_proves_nothing_while_nobody_knows_whether_the_line_echoes(
    write: Write,
) -> None:
    _, master, _ = line_of()
    assert (await master.write(write, PATIENCE)).fault is Fault.UNPROVEN


@pytest.mark.parametrize("write", [COIL, REGISTER], ids=["fc5", "fc6"])
async def test_two_copies_are_an_echo_and_an_answer(write: Write) -> None:
    for local_echo in (False, True):
        _, master, _ = line_of(echo=True, local_echo=local_echo)
        assert (await master.write(write, PATIENCE)).fault is Fault.NONE


async def test_lists_need_no_knowledge_of_the_echo() -> None:
    for echo in (False, True):
        _, master, _ = line_of(echo=echo)
        assert (await master.write(REGISTERS, PATIENCE)).fault is Fault.NONE


async def test_a_declared_echo_that_fails_to_come_once_is_not_forgotten() -> None:
    # The adapter lost an echo; what comes back alone next time is the echo all the same.
    _, master, _ = line_of(local_echo=True)
    await learn(master)
    assert (await master.write(REGISTER, PATIENCE)).fault is Fault.TIMEOUT


@pytest.mark.parametrize("write", ALL, ids=lambda write: f"fc{write.fc}")
async def test_a_refusal_is_told_with_its_code(write: Write) -> None:
    request = Request(write.unit, write.fc, write.address, 1, 8)
    _, master, units = line_of(None, [Words(0.01, exception(request, 2))], echo=True)
    await learn(master)
    outcome = await master.write(write, PATIENCE)
    assert (outcome.fault, outcome.exception) == (Fault.EXCEPTION, 2)
    assert units[7].counts.exception == 1


async def test_a_write_is_sent_once_and_the_next_waits_for_its_late_answer() -> None:
    line, master, units = line_of(None, [])
    await learn(master)
    assert (await master.write(REGISTER, PATIENCE)).fault is Fault.TIMEOUT
    assert len(line.requests) == 2
    outcome = await master.write(Write(7, 6, 0x100, (3,)), PATIENCE)
    assert outcome.fault is Fault.QUARANTINED
    assert outcome.free_s - line.clock_s > 1.5
    assert (await master.write(Write(8, 6, 0x100, (3,)), PATIENCE)).fault is Fault.NONE
    await master.idle(outcome.free_s)
    assert (await master.write(Write(7, 6, 0x100, (3,)), PATIENCE)).fault is Fault.NONE
    assert units[7].counts.quarantined == 1


async def test_reads_go_on_while_a_write_is_open() -> None:
    _, master, _ = line_of(None, [])
    await learn(master)
    await master.write(REGISTER, PATIENCE)
    await learn(master)


@pytest.mark.parametrize(
    "back",
    [
        b"\x55" * 8,
        write_done(Write(7, 16, 10, (1, 2))),
        write_done(Write(8, 16, 10, (1, 2, 3))),
        write_done(REGISTERS)[:-1] + b"\x00",
        write_done(REGISTERS)[:-1],
    ],
    ids=["noise", "count", "unit", "crc", "short"],
)
async def test_what_is_not_the_answer_is_none(back: bytes) -> None:
    _, master, units = line_of(None, [Words(0.01, back)])
    await learn(master)
    assert (await master.write(REGISTERS, PATIENCE)).fault is Fault.CRC
    assert units[7].counts.crc == 1


async def test_a_late_read_reply_is_struck_out_before_the_answer() -> None:
    late = reply(Request(7, 3, 0, 1, 8), [0x1234])
    line, master, units = line_of([])
    await master.read(Ask(7, 3, (Span(0, 1),), PATIENCE))
    line.say(line.clock_s + 0.004, late)
    assert (await master.write(REGISTERS, PATIENCE)).fault is Fault.NONE
    assert units[7].counts.late_dropped == 1


async def test_a_line_that_never_is_silent_is_not_written_to() -> None:
    line, master, _ = line_of()
    for k in range(6000):
        line.say(line.clock_s + 0.001 * k, b"\x55")
    outcome = await master.write(REGISTERS, PATIENCE)
    assert outcome.fault is Fault.BABBLE
    assert line.requests == []


async def test_broadcast_is_not_written() -> None:
    _, master, _ = line_of()
    with pytest.raises(ValueError, match="unit 0"):
        await master.write(Write(0, 6, 1, (1,)))
