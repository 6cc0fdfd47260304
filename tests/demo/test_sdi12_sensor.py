"""The make-believe SDI-12 sensor says what a foreign one says, and drops what is disturbed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from egret_demo.sdi12_sensor import Measurement, Sensor, checked, paged

FRAMES = Path(__file__).parents[1] / "frames" / "sdi12" / "replies.toml"
FOREIGN: list[dict[str, Any]] = [
    case
    for case in tomllib.loads(FRAMES.read_text())["reply"]
    if case["source"].startswith("libsdi12") and "aRC0" not in case["source"]
]
FIRST = ("+3.14", "+2.7", "+85.2", "-0.2", "-2.7", "+770.5", "+12.345", "-1")
SECOND = ("+0", "+99.99", "+1013.2")


def sensor(ready_s: int = 0, **more: Measurement) -> Sensor:
    described = ("TA,C",)
    wanted = {
        "C": Measurement(FIRST, ready_s, described=described),
        "C1": Measurement(SECOND),
        **more,
    }
    return Sensor("0", wanted, identity="14LIBSDI12ORACLE030SN123")


def said(one: Sensor, *commands: str, at_s: float = 0.0) -> list[str]:
    """What is said to the last of some commands."""
    heard = [one.hear(command, at_s, Random("plain")) for command in commands]
    return [said.data.decode("latin-1").removesuffix("\r\n") for said in heard[-1]]


@pytest.mark.parametrize("case", FOREIGN, ids=lambda case: case["source"])
def test_it_says_what_a_foreign_sensor_says(case: dict[str, Any]) -> None:
    command = f"0{case['command']}"
    if "aD0!" in case["source"]:
        told = said(sensor(), command, "0D0")
    elif "aD1!" in case["source"]:
        told = said(sensor(), command, "0D1")
    else:
        told = said(sensor(), command)
    assert told == [case["line"]]


def test_it_answers_its_own_address_and_the_query_only() -> None:
    one = sensor()
    assert said(one, "0") == said(one, "?") == ["0"]
    assert said(one, "1") == said(one, "1C") == said(one, "0X") == []
    assert said(one, "0A7") == ["7"]
    assert said(one, "0") == []
    assert said(one, "7") == ["7"]


def test_a_promise_a_service_request_and_the_data() -> None:
    one = sensor(M=Measurement(("+1", "-2"), ready_s=5, takes_s=2.0))
    first, request = one.hear("0M", 100.0, Random("plain"))
    assert (first.data, first.serial) == (b"00052\r\n", 0)
    assert (request.data, request.delay_s, request.serial) == (b"0\r\n", 2.0, one.serial)
    assert said(one, "0D0", at_s=102.0) == ["0+1-2"]
    assert said(one, "0D0", at_s=200.0) == ["0+1-2"], "data stay until the next measurement"
    assert said(one, "0D1", at_s=200.0) == ["0"]


@pytest.mark.parametrize("command", ["0", "0D0", "0I", "0C1"])
def test_a_command_makes_it_drop_what_it_measures(command: str) -> None:
    one = sensor(ready_s=5)
    said(one, "0C")
    said(one, command, at_s=4.9)
    assert one.dropped == 1
    if command != "0C1":
        assert said(one, "0D0", at_s=6.0) == ["0"]


def test_a_break_drops_an_m_and_no_c() -> None:
    one = sensor(5, M=Measurement(("+1",), 5))
    said(one, "0M")
    serial = one.serial
    one.wake(1.0)
    assert one.dropped == 1
    assert one.serial != serial, "its service request does not come any more"
    said(one, "0C", at_s=10.0)
    one.wake(11.0)
    assert one.dropped == 1
    assert said(one, "0D0", at_s=15.0) == ["0" + "".join(FIRST)]


def test_data_are_cut_between_values() -> None:
    assert paged(("+1234567",) * 5, 35) == ["+1234567" * 4, "+1234567"]
    assert paged((), 35) == []


def test_troubles() -> None:
    one = sensor()
    one.troubles.late_s = 1.5
    assert one.hear("0", 0.0, Random("plain"))[0].delay_s > 1.5
    one.troubles.mute_data = True
    assert said(one, "0CC", "0D0") == ["0" + checked("0")]
    one.troubles.crc_share = 1.0
    assert said(one, "0C1") != ["000003"]
    one.troubles.crc_share, one.troubles.garbage_share = 0.0, 1.0
    assert said(one, "0C1") != ["000003"]
    one.troubles.dead = True
    assert said(one, "0") == []
    assert one.heard[-1] == "0"
