"""What the story makes of the stream: each step told once, the first red remembered."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import opened
from rig.field_box import make_outbox, samples

from egret_core.timescale import Timescale
from egret_demo import __main__ as demo
from egret_demo import story as module
from egret_demo.centre import Event, Listener
from egret_demo.processes import ChildError
from egret_demo.site import Site
from egret_demo.story import Story
from egret_demo.voice import PAINT, Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

Capture = pytest.CaptureFixture[str]
HAPPENED = {
    "subject": "bridge/wl",
    "hazard": "level",
    "change": "raised",
    "phase": "provisional",
    "level": "red",
    "time": "2026-11-22T12:31:40.000Z",
    "evidence": {"value": 4.51, "threshold": 4.5, "unit": "m", "datum": "zero"},
}


def event(warning_level: str = "red", name: str = "warning", **changes: Any) -> Event:
    happened = {**HAPPENED, **changes}
    return Event(name, {"event": happened, "warning": {"id": "w-1", "level": warning_level}})


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path, 8420, 1883, 7, Voice())


def heard(story: Story, *events: Event) -> None:
    listener = Listener(1, {})
    for one in events:
        listener.events.put(one)
    story._listener = listener
    story._show_events()
    assert listener.events.empty()


def test_a_warning_is_told_with_its_level_and_invites_an_officer_once(
    story: Story, capsys: Capture
) -> None:
    heard(story, event("blue", level="blue"), event(), event())
    out = capsys.readouterr().out
    assert out.count("WARNING") == 3
    assert out.count("bridge/wl") == 3
    assert out.count("/api/v1/warnings/w-1/acknowledge") == 1
    assert story._red_after_s is not None


def test_the_first_red_is_the_one_that_is_remembered(story: Story) -> None:
    heard(story, event())
    first = story._red_after_s
    heard(story, event())
    assert story._red_after_s == first


def test_blue_is_no_red(story: Story, capsys: Capture) -> None:
    heard(story, event("blue", level="blue"), event("yellow", level="yellow"))
    assert story._red_after_s is None
    assert "acknowledge" not in capsys.readouterr().out


def test_a_refuted_red_does_not_count(story: Story) -> None:
    heard(story, event(phase="refuted"))
    assert story._red_after_s is None


def test_what_was_told_provisionally_is_not_told_again_when_it_settles(
    story: Story, capsys: Capture
) -> None:
    heard(story, event(), event(phase="settled", provisional_id="p-1"))
    assert capsys.readouterr().out.count("4.51 m against 4.50 m") == 1
    heard(story, event(phase="settled"))
    assert capsys.readouterr().out.count("4.51 m against 4.50 m") == 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"event": None, "warning": {"id": "w", "level": "red"}},
        {"event": HAPPENED, "warning": None},
        {"event": None, "warning": None, "act": {"actor": "officer"}},
    ],
    ids=["empty", "an act", "no warning", "a person's"],
)
def test_what_is_no_step_of_the_judge_is_left_to_its_seats(
    story: Story, capsys: Capture, data: dict[str, Any]
) -> None:
    heard(story, Event("warning", data))
    assert capsys.readouterr().out == ""
    assert story._red_after_s is None


@pytest.mark.parametrize("name", ["heartbeat", "hello", "message", "Warning"])
def test_other_events_are_not_warnings(story: Story, capsys: Capture, name: str) -> None:
    heard(story, event(name=name))
    assert capsys.readouterr().out == ""


def test_easing_is_told_as_easing(story: Story, capsys: Capture) -> None:
    heard(story, event("red", change="returned", level="blue"))
    out = capsys.readouterr().out
    assert "EASES" in out
    assert "WARNING" not in out


@pytest.mark.parametrize("level", sorted(PAINT))
def test_on_a_terminal_a_level_has_its_colour_and_ends_it(level: str, capsys: Capture) -> None:
    voice = Voice()
    voice._colour = True
    voice.warning(level, "raised", "bridge/wl")
    out = capsys.readouterr().out
    assert f"\x1b[{PAINT[level]}m{level.upper()}" in out
    assert out.count("\x1b[0m") == 1
    assert out.index("\x1b[0m") < out.index("bridge/wl")


def test_a_level_of_another_pack_is_told_without_colour(capsys: Capture) -> None:
    voice = Voice()
    voice._colour = True
    voice.warning("move now", "raised", "slope/x")
    assert "MOVE NOW" in (out := capsys.readouterr().out)
    assert "\x1b" not in out


class Seat:
    """What the API's pages say, for the two that the story looks at."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages

    def get(self, path: str) -> dict[str, Any]:
        return {"items": self.pages[path]}


def polls(story: Story, gateways: list[dict[str, Any]]) -> Counter[str]:
    story._seat = Seat({"/api/v1/gateways": gateways})  # type: ignore[assignment]
    return story._polls()


UNIT = {"ok": 5, "timeout": 2, "crc": 1, "exception": 9}


def test_polls_are_summed_over_gateways_buses_and_units(story: Story) -> None:
    bus = {"units": {"7": UNIT, "8": UNIT}}
    gateways = [{"status": {"buses": {"a": bus, "b": bus}}}, {"status": {"buses": {"a": bus}}}]
    assert polls(story, gateways) == Counter(ok=30, timeout=12, crc=6)


@pytest.mark.parametrize("status", [None, {}, {"buses": None}, {"buses": {}}])
def test_a_gateway_that_has_not_spoken_yet_counts_nothing(story: Story, status: Any) -> None:
    assert polls(story, [{"status": status}]) == Counter()


def test_the_outbox_is_looked_at_up_to_a_row(story: Story) -> None:
    folder = story._site.gateway_data
    with opened(outbox := make_outbox(folder)) as ear:
        emit = outbox.emitter(0.0)
        emit(samples(1), {})
        (first,) = ear.until_parcels(1)
        assert not story._settled(first.id)
        outbox.settle([1, first.id])
        emit(samples(1), {})
        second = ear.until_parcels(2)[1]
        assert story._settled(first.id), "the mark came with that commit: the line goes on"
        assert not story._settled(second.id)


def test_a_command_that_fails_is_a_child_s_error_with_its_words(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_command", lambda _: sys.executable)
    with pytest.raises(ChildError, match=r"token add: .*can't open file"):
        story._token("viewer")


def test_one_clock_starts_when_the_story_does(story: Story) -> None:
    scale = story._site.timescale
    assert scale == Timescale(module.SCALE, scale.from_ms, scale.from_ms)
    assert story._site.port == 8420
    assert story._site == Site(story._site.folder, 8420, 1883, 7, scale)


def test_ending_a_story_that_never_began_is_harmless(story: Story) -> None:
    story.end()
    story.end()


@contextmanager
def listening() -> Iterator[int]:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def test_ports_are_tried_before_anything_starts() -> None:
    with listening() as port:
        assert "in use" in demo.why_taken(port)
    assert demo.why_taken(port) == ""
    assert demo.why_taken(70_000) != ""
    assert demo.why_taken(demo.free_port()) == ""


@pytest.mark.parametrize(
    "arguments", [["--for"], ["--for", "soon"], ["--port", "x"], ["--seed", "1.5"], ["storm"]]
)
def test_arguments_that_mean_nothing_are_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        demo.arguments(arguments)
    assert caught.value.code == 2


def test_arguments_and_their_defaults() -> None:
    plain = demo.arguments([])
    assert (plain.for_s, plain.port, plain.data, plain.seed) == (None, 8420, None, 2026)
    given = demo.arguments(["--for", "90", "--port", "8555", "--data", "x", "--seed", "3"])
    assert (given.for_s, given.port, given.data, given.seed) == (90.0, 8555, Path("x"), 3)
