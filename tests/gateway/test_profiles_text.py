"""Profiles of families that speak in lines: every mistake is told by key and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_core.errors import ConfigError
from egret_gateway import profiles
from egret_gateway.bus.understanding import understandings
from egret_gateway.convert import to_canonical
from egret_gateway.profiles import DeviceSettings, Field, Gate, Group, Nmea, Text
from egret_gateway.protocols.text_line import BCC, Flaw, Heard

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
[profile]
name = "probe"
version = 1
title = "a probe"
tier = "drafted"
tier_date = "2026-11-29"
evidence = "a manual"
sources = ["https://example.org"]
"""
SENTENCES = (
    HEAD
    + """\
[nmea]
mode = "stream"
[nmea.sentence.LVX]
fields = ["distance", "", "level"]
[item.level]
sentence = "LVX"
field = "level"
quantity = "water_level"
unit = "mm"
[item.depth]
sentence = "DPT"
field = "depth"
gate = { field = "offset", good = ["0"], suspect = ["1"] }
quantity = "water_depth"
unit = "m"
"""
)
LINES = (
    HEAD
    + r"""
[text]
mode = "poll"
command = '#{address}\r'
patterns = ['(?P<address>\d+) (?P<level>\d+\.\d+)(?P<state>[A-Z])', 'T(?P<t>-?\d+)']
prefix = '\x02'
terminator = '\x03'
checksum = "bcc"
pause_ms = 200
timeout_ms = 400
[item.level]
group = "level"
gate = { field = "state", good = ["A"] }
quantity = "water_level"
unit = "m"
[item.rain]
group = "t"
quantity = "rain_total"
unit = "mm"
counter = { bits = 16, max_step = 100 }
"""
)


def loaded(folder: Path, text: str) -> profiles.Profile:
    path = folder / "probe.toml"
    path.write_text(text)
    return profiles.load(path)


def test_sentences(tmp_path: Path) -> None:
    profile = loaded(tmp_path, SENTENCES)
    assert isinstance(profile.way, Nmea)
    assert profile.way.fields("LVX") == ("distance", "", "level")
    assert profile.way.fields("DPT") == ()
    assert (profile.way.talk.mode, profile.way.talk.command) == ("stream", b"")
    assert [item.at for item in profile.items] == [
        Field("LVX", "level"),
        Field("DPT", "depth", Gate("offset", ("0",), ("1",))),
    ]


def test_lines(tmp_path: Path) -> None:
    profile = loaded(tmp_path, LINES)
    assert isinstance(profile.way, Text)
    talk = profile.way.talk
    assert (talk.mode, talk.command, talk.timeout_ms) == ("poll", b"#{address}\r", 400)
    assert talk.late_window_ms == 400, "as long as the timeout where nothing else is said"
    framing = talk.framing
    assert (framing.prefix, framing.terminator, framing.checksum) == (b"\x02", b"\x03", BCC)
    assert framing.pause_s == 0.2
    assert profile.items[0].at == Group("level", Gate("state", ("A",)))
    assert profile.items[1].counter == profiles.Counter(16, 100)
    with pytest.raises(TypeError, match="no Modbus"):
        _ = profile.modbus


def test_a_total_with_decimals_is_whole_counts_of_its_last_digit(tmp_path: Path) -> None:
    text = LINES.replace(r"'T(?P<t>-?\d+)'", r"'T(?P<t>-?\d+\.?\d*)'")
    profile = loaded(
        tmp_path, text.replace('group = "t"', 'group = "t"\ndecimals = 1\nscale = 0.1')
    )
    item = profile.items[1]
    assert item.at == Group("t", decimals=1)
    channel = profiles.ChannelSettings("st", "rain", item)
    one = DeviceSettings(1, profile, "st", 60.0, (channel,), address="01")
    (turn,) = understandings([one])
    assert turn.values("T12.6") == {"t": "12.6"}
    for line, raw, total in (("T12.6", 126.0, 12.6), ("T0.7", 7.0, 0.7), ("T29", 290.0, 29.0)):
        polled = turn.polled(Heard(Flaw.NONE, line, b"", 1.0))
        assert polled is not None
        assert polled.raws == (raw,)
        assert to_canonical(channel, raw, "").value == total
    beyond = turn.polled(Heard(Flaw.NONE, "T" + "9" * 308, b"", 1.0))
    assert beyond is not None
    assert to_canonical(channel, beyond.raws[0], "").value is None, "and it ends nobody"


def test_decimals_of_a_sentence_s_field_and_their_limit(tmp_path: Path) -> None:
    text = SENTENCES.replace('field = "level"', 'field = "level"\ndecimals = 3')
    assert loaded(tmp_path, text).items[0].at == Field("LVX", "level", decimals=3)
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text.replace("decimals = 3", "decimals = 7"))
    assert caught.value.key == "item.level.decimals"


BAD_SENTENCES = (
    ('mode = "stream"', 'mode = "steam"', "nmea.mode", "did you mean 'stream'"),
    ('mode = "stream"', 'mode = "poll"', "nmea.command", "only that"),
    ('mode = "stream"', 'command = "X"', "nmea.command", "only that"),
    ('mode = "stream"', 'checksum = "crc"', "nmea.checksum", "nmea, none"),
    ('mode = "stream"', "pause_ms = 1", "nmea.pause_ms", "from 10"),
    ("sentence.LVX", "sentence.lvx", "nmea.sentence", "capital letters"),
    ('["distance", "", "level"]', "[]", "nmea.sentence.LVX.fields", "1 to 64"),
    ('field = "level"', 'field = "levle"', "item.level.field", "did you mean 'level'"),
    ('field = "level"', 'field = ""', "item.level.field", "empty"),
    ('sentence = "LVX"', 'sentence = "LVY"', "item.level.sentence", "[nmea.sentence.LVY]"),
    ('field = "depth"', 'field = "dept"', "item.depth.field", "did you mean 'depth'"),
    ('field = "offset", ', 'field = "ofset", ', "item.depth.gate.field", "'offset'"),
    ('good = ["0"]', "good = []", "item.depth.gate.good", "list what"),
    ('good = ["0"]', 'goood = ["0"]', "item.depth.gate.good", "is it 'goood'"),
    ("[nmea]", "[modbus]\n[nmea]", "nmea", "one protocol"),
    ('sentence = "DPT"', 'sentence = "DPT"\nfc = 3', "item.depth.fc", "unknown key"),
)
BAD_LINES = (
    ("'(?P<address>", "'(?P<a>(", "text.patterns", "not a regular expression"),
    (r"(?P<level>\d+\.\d+)", r"(?P<level>(\d+)+)", "text.patterns", "write {n}"),
    ("'T(?P<t>", "'T(?P<level>", "text.patterns", "no name twice"),
    ("'T(?P<t>-?\\d+)'", ", ".join(["'a'"] * 8), "text.patterns", "1 to 8"),
    (r"\x02", r"\q", "text.prefix", "single quotes"),
    (r"\x02", r"123456789", "text.prefix", "at most 8"),
    (r"'\x03'", "''", "text.terminator", "empty"),
    (r"\x02", "\u20ac", "text.prefix", "one byte"),
    ('"bcc"', '"bbc"', "text.checksum", "did you mean 'bcc'"),
    ('group = "level"', 'group = "address"', "item.level.group", "level, state, t"),
    ('field = "state"', 'field = "t"', "item.level.gate.field", "state"),
    ("bits = 16, ", "", "item.rain.counter.bits", "missing"),
)


@pytest.mark.parametrize(
    ("text", "bad"),
    [*((SENTENCES, bad) for bad in BAD_SENTENCES), *((LINES, bad) for bad in BAD_LINES)],
)
def test_bad_profiles(tmp_path: Path, text: str, bad: tuple[str, str, str, str]) -> None:
    old, new, key, remedy = bad
    assert old in text
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text.replace(old, new, 1))
    assert caught.value.key == key
    assert remedy in caught.value.remedy


def test_too_many_sentences_are_refused(tmp_path: Path) -> None:
    many = "".join(f'[nmea.sentence.A{n}]\nfields = ["x"]\n' for n in range(20))
    with pytest.raises(ConfigError, match="at most 16"):
        loaded(tmp_path, SENTENCES.replace("[item.level]", many + "[item.level]"))


@pytest.mark.parametrize("whole", [SENTENCES, LINES])
def test_what_a_read_clears_cannot_be_read_from_a_line(tmp_path: Path, whole: str) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(whole.replace("[item.level]", "[item.level]\nread_clears = true"))
    with pytest.raises(ConfigError, match="only a register of Modbus") as caught:
        profiles.load(path)
    assert caught.value.key == "item.level.read_clears"
