"""What the demo says of its end: praise only where everything is proven, losses by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from egret_core.timescale import Timescale
from egret_demo.audit import Verdict
from egret_demo.site import Site
from egret_demo.voice import NAMES_MAX, Voice

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

GOOD = Verdict(700, 700, (), (), ())


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_good_end(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().verdict(GOOD, 0, 31.4)
    text = said(capsys)
    assert "red warning after 31 s" in text
    assert "700 readings taken by the gateway, 700 stored at the centre" in text


def test_no_red_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().verdict(GOOD, 0, None)
    assert "never led to a red warning" in said(capsys)


def test_losses_are_named_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    missing = tuple(("bridge", "wl", number) for number in range(NAMES_MAX + 3))
    Voice().verdict(Verdict(700, 692, missing, (), ()), 0, 31.0)
    text = said(capsys)
    assert "each one, once, unchanged" not in text
    assert text.count("missing: ('bridge', 'wl'") == NAMES_MAX
    assert f"missing: {NAMES_MAX + 3} in all" in text


def test_undated_readings_are_no_good_end(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().verdict(GOOD, 2, 31.0)
    assert "2 undated" in said(capsys)


def test_rain_is_shown_since_the_start_and_silence_as_silence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice = Voice()
    polls = Counter(ok=40, timeout=7, crc=2)
    voice.progress({}, 0, 0, Counter())
    voice.progress({("ridge", "rain"): 429_456.7, ("bridge", "wl"): 0.493}, 12, 3, polls)
    voice.progress({("ridge", "rain"): 429_468.9, ("bridge", "wl"): None}, 30, 9, polls)
    first, second, third = said(capsys).splitlines()
    assert "rain -" in first
    assert "rain 0.0 mm" in second
    assert "bridge 0.49 m" in second
    assert "12 stored, 3 batches | line: 40 answers, 7 silent, 2 damaged" in second
    assert "rain 12.2 mm" in third
    assert "bridge -" in third


def test_the_welcome_gives_commands_that_can_be_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Site(tmp_path, 8555, 1883, 1, Timescale(60, 0, 0))
    Voice().welcome(place, 60, "viewer-secret", "officer-secret")
    text = said(capsys)
    assert text.count("http://127.0.0.1:8555/api/v1/") == 4
    assert text.count('curl -H "Authorization: Bearer $TOKEN"') == 2
    assert "export TOKEN=viewer-secret\n" in text
    assert "officer-secret" in text


def test_a_warning_has_no_colour_codes_where_nobody_looks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Voice().warning("red", "upgraded", "bridge/wl rises")
    Voice().warning("", "returned", "bridge/wl is back")
    first, second = said(capsys).splitlines()
    assert first.endswith("WARNING  RED     bridge/wl rises")
    assert second.endswith("EASES    NONE    bridge/wl is back")
