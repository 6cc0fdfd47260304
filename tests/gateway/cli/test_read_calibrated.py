"""`read` of a sensor with a sheet: its thermistor counts, and its relay is switched for it."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import Slave
from rig.sheets import STEINHART, WIRE, channel, logger
from rig.site import FOLDERS, site

from egret_gateway import profiles
from egret_gateway.cli import main
from egret_gateway.protocols.modbus_pdu import WRITE_COILS
from egret_gateway.protocols.modbus_rtu_slave import Request, reply

if TYPE_CHECKING:
    from pathlib import Path


class Logger(Slave):
    """8400 digits and 5.781 kohm, while it is fed."""

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []
        self.fed = False

    def answered(self, request: Request) -> bytes:
        if request.fc == WRITE_COILS:
            self.fed = request.data == b"\x01"
            self.story.append(f"{request.unit} {'on' if self.fed else 'off'}")
            return reply(request, [])
        self.story.append("read")
        words = {}
        for address, number in ((4, 8400.0), (6, 5.781)):
            high, low = struct.unpack(">HH", struct.pack(">f", number))
            words |= {address: high, address + 1: low}
        span = range(request.address, request.address + request.words)
        return reply(request, [words.get(address, 0) for address in span])


def test_the_value_has_what_it_needs_and_the_relay_is_off_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles.folder, "folders", lambda: FOLDERS)
    lines = logger(channel("wire_digits", WIRE), channel("thermistor", STEINHART))
    lines = lines.replace("period_s", "supply = { unit = 20, coil = 3 }\nwarmup_s = 0.2\nperiod_s")
    far = Logger()
    with FarEnd(far) as end:
        path = site(tmp_path, port=end.path, baud=115200, devices=lines)
        assert main(["read", str(path), "--json"]) == 0
    told = capsys.readouterr()
    values = {one["item"]: one for read in json.loads(told.out)["reads"] for one in read["values"]}
    warm = values["thermistor"]["value"]
    assert warm == pytest.approx(10.6635, abs=1e-3)
    assert values["wire_digits"]["value"] == pytest.approx(20.0 + 0.05 * (warm - 20.0))
    assert values["wire_digits"]["unit"] == "kPa"
    assert values["wire_digits"]["reasons"] == []
    assert far.story[:2] == ["20 off", "20 on"], "off first: a former process may have left it on"
    assert far.story[-1] == "20 off"


def test_what_another_device_would_correct_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles.folder, "folders", lambda: FOLDERS)
    wire = WIRE.replace("k = 0.05\nt0 = 20\n", "s0 = 100\n")
    wire = wire.replace("temperature", "barometer").replace("item =", "channel =")
    wire = wire.replace('"thermistor"', '"st0007/baro"')
    lines = logger(channel("wire_digits", wire)) + logger(channel("baro"), unit=8)
    far = Logger()
    with FarEnd(far) as end:
        path = site(tmp_path, port=end.path, baud=115200, devices=lines)
        assert main(["read", str(path)]) == 0
    out = capsys.readouterr().out
    assert "raw 8400.0 = None kPa FAIL INPUT" in out
    assert far.story == ["read"]
