"""What is asked of every profile and its golden case: AssertionError where it is not so."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egret_core.units import convert
from egret_gateway.bus.values import meant, number
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import crc16, hunt, read_request

if TYPE_CHECKING:
    from rig import golden

    from egret_gateway.profiles import Item, Profile

ROOT = Path(__file__).parents[2]
PRINTED = 5e-4  # sources print their numbers cut or rounded
_TEST_NAMED = re.compile(r"\((tests/[a-z0-9_/.]+)\)")
_NUMBER = re.compile(r"\d+$")


def items_are_read(profile: Profile, case: golden.Case) -> None:
    """Every item has a good value in some reading; of a module's inputs that are alike, one has."""
    items = {item.name for item in profile.items}
    told = {item for one in case.readings for item in one.values}
    assert told <= items, f"no items: {sorted(told - items)}"
    good = {item for one in case.readings for item, v in one.values.items() if v is not None}
    alike = {_NUMBER.sub("", item) for item in good}
    unread = {
        item for item in items - good if item not in told or _NUMBER.sub("", item) not in alike
    }
    assert not unread, f"no good value of {sorted(unread)}"


def tier_rests_on_evidence(profile: Profile, case: golden.Case) -> None:
    """Above `drafted` something else than the manual has spoken; for `bench` a real unit has."""
    if profile.tier == "drafted":
        return
    if profile.tier in ("bench", "field"):
        assert any(one.recorded for one in case.exchanges), "no exchange with a real unit"
        return
    if case.exchanges:
        return
    # No maker's device: an example or a standard; then a test with another program is named.
    assert profile.name.startswith(("generic-", "nmea-")), "no cited request and reply"
    named = _TEST_NAMED.findall(Path(profile.file).read_text(encoding="utf-8"))
    assert named, "evidence names no test"
    for place in named:
        assert (ROOT / place).exists(), place


def exchange_is_understood(profile: Profile, exchange: golden.Exchange) -> None:
    """Our request is the cited one, and the cited reply means what its source says."""
    assert exchange.source
    assert exchange.reads
    request, reply = exchange.request, exchange.reply
    assert crc16(request) == crc16(reply) == 0
    unit, fc, address = request[0], request[1], int.from_bytes(request[2:4])
    shape = Shape(unit, fc, int.from_bytes(request[4:6]))
    assert read_request(shape, address) == request
    frame = hunt(reply, [shape]).frame
    assert frame is not None
    items = {item.name: item for item in profile.items}
    for wanted, told in exchange.reads.items():
        item = items[wanted]
        assert item.register.fc == fc
        raw = number(item, frame.registers, address)
        assert raw is not None, f"{wanted} is not in the reply"
        assert raw * item.scale + item.offset == pytest.approx(told, rel=PRINTED)


def words_mean_their_values(profile: Profile, reading: golden.Reading) -> None:
    """The words of a reading make its values, within what the sensor can measure."""
    items = {item.name: item for item in profile.items}

    def raw(item: Item) -> float:
        at = item.register
        words = [reading.registers[at.fc][address] for address in range(at.address, at.last + 1)]
        told = number(item, words, at.address)
        assert told is not None
        return told

    for wanted, expected in reading.values.items():
        item = items[wanted]
        own = meant(item, raw(item), {need: raw(items[need]) for need in item.needs})
        assert own is not None
        failed = own in item.sentinels or not isfinite(own)
        assert failed is (expected is None), f"{wanted} of {reading.of!r} is {own}"
        if not failed:
            told = convert(item.quantity, own * item.scale + item.offset, item.unit)
            assert told == pytest.approx(expected, rel=1e-6, abs=1e-9), wanted
            assert item.sensor.low <= told <= item.sensor.high, wanted
