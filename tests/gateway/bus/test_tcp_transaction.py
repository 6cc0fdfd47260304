"""Modbus TCP against a peer in virtual time: hostile in every way that was seen in the field."""

from __future__ import annotations

import random

import pytest
from rig.virtual_peer import Asked, Said, VirtualPeer

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.tcp_transaction import OPEN_MAX, TcpTransactions
from egret_gateway.bus.transaction import Ask
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.errors import PortError
from egret_gateway.protocols.modbus_pdu import Write
from egret_gateway.protocols.modbus_rtu_slave import reply_pdu
from egret_gateway.protocols.modbus_tcp import frame

PATIENCE = Patience(least_s=0.05, most_s=0.2)


def ways(address: int, count: int = 3) -> tuple[Span, ...]:
    return tuple(Span(address, 2 + k) for k in range(count))


def right(asked: Asked, value: int | None = None) -> bytes:
    """The right reply; each register says its own address unless told otherwise."""
    request = asked.request
    words = [request.address + k if value is None else value for k in range(request.words)]
    return frame(asked.number, request.unit, reply_pdu(request, words))


def peer_of(
    *script: list[Said] | None, number: int = 1
) -> tuple[VirtualPeer, TcpTransactions, dict[int, Unit]]:
    """A peer whose n-th request gets the n-th part of the script; None: the right reply at once."""

    def behave(asked: Asked, serial: int) -> list[Said]:
        part = script[serial - 1] if serial <= len(script) else None
        return [Said(0.005, right(asked))] if part is None else part

    peer = VirtualPeer(behave)
    units: dict[int, Unit] = {}
    master = TcpTransactions(peer, units, number=number, path=peer.path, now=peer.now)
    return peer, master, units


async def test_a_right_reply_is_stamped_with_its_last_byte() -> None:
    peer, master, units = peer_of()
    outcome = await master.read(Ask(7, 3, ways(100), PATIENCE))
    assert (outcome.fault, outcome.registers, outcome.way) == (Fault.NONE, (100, 101), 0)
    assert outcome.at_s == pytest.approx(peer.asked[0].at_s + 0.005)
    assert outcome.sent[:2] == outcome.got[:2] == b"\x00\x02"
    assert units[7].tau_s == pytest.approx(0.005)


@pytest.mark.parametrize("fc", [1, 2, 3, 4])
async def test_all_four_reads(fc: int) -> None:
    bits = fc <= 2

    def behave(asked: Asked, _: int) -> list[Said]:
        words = [k % 2 if bits else k for k in range(asked.request.words)]
        return [Said(0.0, frame(asked.number, 7, reply_pdu(asked.request, words)))]

    peer = VirtualPeer(behave)
    master = TcpTransactions(peer, {}, number=1, now=peer.now)
    outcome = await master.read(Ask(7, fc, (Span(9, 11),), PATIENCE))
    assert outcome.registers == tuple(k % 2 if bits else k for k in range(11))


async def test_the_poison_pair_a_late_reply_is_not_the_next_value() -> None:
    peer, master, units = peer_of([Said(0.25, frame(2, 7, b"\x03\x04\x00\x64\x00\x65"))])
    first = await master.read(Ask(7, 3, ways(100), PATIENCE))
    second = await master.read(Ask(7, 3, ways(500), PATIENCE))
    assert first.fault is Fault.TIMEOUT
    assert second.registers == (500, 501, 502), "asked in another shape, answered by its number"
    await master.idle(peer.clock_s + 1)
    assert units[7].counts.late_dropped == 1
    assert units[7].open == []


async def test_a_number_zero_is_no_match_and_the_right_reply_behind_it_is() -> None:
    def behave(asked: Asked, _: int) -> list[Said]:
        poison = frame(0, 7, reply_pdu(asked.request, [666] * asked.request.words))
        return [Said(0.0, poison), Said(0.01, right(asked))]

    peer = VirtualPeer(behave)
    units: dict[int, Unit] = {}
    master = TcpTransactions(peer, units, number=1, now=peer.now)
    assert (await master.read(Ask(7, 3, ways(9), PATIENCE))).registers == (9, 10)
    assert units[7].counts.late_dropped == 1


WRONG = {
    "another unit": lambda asked: frame(asked.number, 8, b"\x03\x04\x00\x01\x00\x02"),
    "another function": lambda asked: frame(asked.number, 7, b"\x04\x04\x00\x01\x00\x02"),
    "fewer registers": lambda asked: frame(asked.number, 7, b"\x03\x02\x00\x01"),
    "odd bytes": lambda asked: frame(asked.number, 7, b"\x03\x03\x00\x01\x00"),
    "more told than there": lambda asked: frame(asked.number, 7, b"\x03\xc8\x00\x01\x00\x02"),
    "more there than told": lambda asked: frame(asked.number, 7, b"\x03\x04\x00\x01\x00\x02\x00"),
    "nothing": lambda asked: frame(asked.number, 7, b"\x03\x00"),
    "another exception": lambda asked: frame(asked.number, 7, b"\x84\x02"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_our_number_with_another_answer_is_malformed(name: str) -> None:
    peer = VirtualPeer(lambda asked, _: [Said(0.01, WRONG[name](asked))])
    units: dict[int, Unit] = {}
    master = TcpTransactions(peer, units, number=1, now=peer.now)
    outcome = await master.read(Ask(7, 3, ways(0), PATIENCE))
    assert (outcome.fault, outcome.registers) == (Fault.MALFORMED, ())
    assert units[7].counts.malformed == 1
    assert outcome.at_s < peer.asked[0].at_s + 0.05, "told at once"


async def test_a_refusal_is_an_answer() -> None:
    _, master, units = peer_of([Said(0.01, frame(2, 7, b"\x83\x02"))])
    outcome = await master.read(Ask(7, 3, ways(0), PATIENCE))
    assert (outcome.fault, outcome.exception) == (Fault.EXCEPTION, 2)
    assert units[7].open == []


async def test_what_is_no_modbus_ends_the_connection_by_name() -> None:
    _, master, units = peer_of([Said(0.01, b"HTTP/1.1 400 Bad Request\r\n")])
    outcome = await master.read(Ask(7, 3, ways(0), PATIENCE))
    assert outcome.fault is Fault.MALFORMED
    assert units[7].counts.malformed == 1
    for call in (master.read(Ask(7, 3, ways(0), PATIENCE)), master.idle(1e9)):
        with pytest.raises(PortError, match="no Modbus TCP: protocol 5450"):
            await call


async def test_a_reply_in_pieces_and_two_in_one() -> None:
    def behave(asked: Asked, serial: int) -> list[Said]:
        if serial == 1:
            return []
        late = frame(2, 7, b"\x03\x04\x00\x64\x00\x65")
        data = late + right(asked)
        return [Said(0.001 * k, data[k : k + 1]) for k in range(len(data))]

    peer = VirtualPeer(behave)
    units: dict[int, Unit] = {}
    master = TcpTransactions(peer, units, number=1, now=peer.now)
    assert (await master.read(Ask(7, 3, ways(100), PATIENCE))).fault is Fault.TIMEOUT
    assert (await master.read(Ask(7, 3, ways(500), PATIENCE))).registers == (500, 501, 502)
    assert units[7].counts.late_dropped == 1


async def test_one_shape_only_waits_after_a_timeout() -> None:
    peer, master, units = peer_of([])
    ask = Ask(7, 3, ways(0, 1), PATIENCE)
    assert (await master.read(ask)).fault is Fault.TIMEOUT
    outcome = await master.read(ask)
    assert outcome.fault is Fault.QUARANTINED
    peer.clock_s = outcome.free_s
    assert (await master.read(ask)).fault is Fault.NONE
    assert units[7].counts.quarantined == 1


async def test_the_least_gap_of_a_profile_is_kept() -> None:
    peer, master, _ = peer_of()
    for _ in range(3):
        await master.read(Ask(7, 3, ways(0), PATIENCE._replace(gap_s=0.3)))
    ends = [asked.at_s + 0.005 for asked in peer.asked]
    assert all(b.at_s - a >= 0.2999 for a, b in zip(ends, peer.asked[1:], strict=False))


async def test_a_connection_that_goes_while_an_answer_is_awaited() -> None:
    peer, master, units = peer_of([])
    peer.gone = False

    async def vanish(until_s: float, missing: int = 1) -> None:
        peer.clock_s = until_s
        peer.gone = True

    peer.wait = vanish  # type: ignore[method-assign]
    with pytest.raises(PortError):
        await master.read(Ask(7, 3, ways(0), PATIENCE))
    assert len(units[7].open) == 1, "it may still be answered"


async def test_numbers_remembered_are_bounded() -> None:
    peer, master, _ = peer_of(*[[]] * 600)
    for unit in range(600):
        await master.read(Ask(unit % 250, 3, ways(0), Patience(0.001, 0.001)))
        peer.clock_s += 3
    assert len(master._open) <= OPEN_MAX


async def test_a_write_is_sent_once_and_done_only_when_told_so() -> None:
    peer, master, units = peer_of()
    write = Write(7, 16, 100, (1, 2))
    assert (await master.write(write)).fault is Fault.NONE
    assert peer.asked[0].request.data == b"\x00\x01\x00\x02"
    assert units[7].write_free_s == 0.0


async def test_a_write_without_an_answer_is_not_repeated_and_the_next_one_waits() -> None:
    peer, master, _ = peer_of([])
    patience = Patience(0.05, 0.2)
    assert (await master.write(Write(7, 6, 1, (1,)), patience)).fault is Fault.TIMEOUT
    assert len(peer.asked) == 1
    outcome = await master.write(Write(7, 6, 1, (2,)), patience)
    assert outcome.fault is Fault.QUARANTINED
    peer.clock_s = outcome.free_s
    assert (await master.write(Write(7, 6, 1, (2,)), patience)).fault is Fault.NONE


async def test_another_write_told_as_done_is_malformed() -> None:
    _, master, _ = peer_of([Said(0.0, frame(2, 7, bytes.fromhex("06 00 01 00 09")))])
    assert (await master.write(Write(7, 6, 1, (1,)))).fault is Fault.MALFORMED


async def test_a_write_is_refused_by_the_device_s_code() -> None:
    _, master, _ = peer_of([Said(0.0, frame(2, 7, b"\x86\x03"))])
    outcome = await master.write(Write(7, 6, 1, (1,)))
    assert (outcome.fault, outcome.exception) == (Fault.EXCEPTION, 3)


async def test_a_thousand_late_replies_give_no_wrong_value() -> None:
    dice = random.Random(4)
    peer = VirtualPeer(lambda asked, _: [Said(dice.choice((0.01, 0.01, 0.3, 0.5)), right(asked))])
    units: dict[int, Unit] = {}
    master = TcpTransactions(peer, units, number=65_000, now=peer.now)
    lates = accepted = 0
    while lates < 1000:
        address = dice.randrange(1000)
        outcome = await master.read(Ask(7, 3, ways(address), PATIENCE))
        lates += outcome.fault is Fault.TIMEOUT
        if outcome.fault is Fault.NONE:
            accepted += 1
            assert list(outcome.registers) == [address + k for k in range(len(outcome.registers))]
        elif outcome.fault is Fault.QUARANTINED:
            await master.idle(outcome.free_s)
    assert accepted > 500
