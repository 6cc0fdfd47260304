"""A declared maintenance ends by itself: by time, over a reboot, and when clocks step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.field_box import HandClock

from egret_gateway.clock import Clock
from egret_gateway.errors import MaintenanceError
from egret_gateway.maintenance import FILE, LIMIT_S, LOOK_MS, Maintenance

if TYPE_CHECKING:
    from pathlib import Path


def flag(folder: Path, hands: HandClock) -> Maintenance:
    return Maintenance(folder, Clock(hands=hands.hands()))


def test_it_ends_by_itself(tmp_path: Path) -> None:
    hands = HandClock()
    box = flag(tmp_path, hands)
    assert not box.active()
    flag(tmp_path, hands).turn_on(1800)
    hands.pass_ms(LOOK_MS)
    assert box.active()
    hands.pass_ms(1_800_000 - LOOK_MS - 1)
    assert box.active()
    hands.pass_ms(1)
    assert not box.active()


def test_another_process_sees_it_on_and_off_within_a_second(tmp_path: Path) -> None:
    hands = HandClock()
    box, tool = flag(tmp_path, hands), flag(tmp_path, hands)
    for turn, expected in ((lambda: tool.turn_on(60), True), (tool.turn_off, False)):
        turn()
        hands.pass_ms(LOOK_MS)
        assert box.active() is expected


def test_a_step_of_the_system_clock_moves_no_end(tmp_path: Path) -> None:
    hands = HandClock()
    flag(tmp_path, hands).turn_on(1800)
    hands.wall -= 10 * 86_400_000
    assert flag(tmp_path, hands).left_s() == 1800
    hands.wall += 20 * 86_400_000
    assert flag(tmp_path, hands).left_s() == 1800


def test_it_goes_on_over_a_reboot_and_ends_when_it_was_to(tmp_path: Path) -> None:
    hands = HandClock()
    flag(tmp_path, hands).turn_on(1800)
    hands.pass_ms(600_000)
    hands.boot, hands.mono = "boot-2", 5_000
    assert flag(tmp_path, hands).left_s() == 1200
    hands.pass_ms(1_200_000)
    assert flag(tmp_path, hands).left_s() == 0


def test_after_a_reboot_a_clock_in_1970_ends_it(tmp_path: Path) -> None:
    hands = HandClock()
    flag(tmp_path, hands).turn_on(1800)
    hands.boot, hands.mono, hands.wall = "boot-2", 5_000, 12_000
    assert flag(tmp_path, hands).left_s() == 0


@pytest.mark.parametrize("span_s", [0, -5, LIMIT_S + 1])
def test_a_day_is_the_most(tmp_path: Path, span_s: float) -> None:
    with pytest.raises(MaintenanceError, match="not between"):
        flag(tmp_path, HandClock()).turn_on(span_s)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"boot": 1}', b"\xff\xfe", b'{"boot":"boot-1","x":1}']
)
def test_a_spoiled_file_means_that_readings_count(tmp_path: Path, body: bytes) -> None:
    (tmp_path / FILE).write_bytes(body)
    assert not flag(tmp_path, HandClock()).active()


def test_an_end_beyond_a_day_is_cut_to_a_day(tmp_path: Path) -> None:
    hands = HandClock()
    (tmp_path / FILE).write_text(
        '{"boot":"boot-1","mono_until_ms":99999999999999,"wall_from_ms":0,"wall_until_ms":1}'
    )
    assert flag(tmp_path, hands).left_s() == LIMIT_S
    assert flag(tmp_path, hands).active()
