"""A declared maintenance ends by itself: by time, over a reboot, and when clocks step."""

from __future__ import annotations

import json
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


WHOLE = {
    "boot": "boot-1",
    "mono_until_ms": 2_000_000,
    "wall_from_ms": 1_795_340_000_000,
    "wall_until_ms": 1_795_341_000_000,
}


def write(folder: Path, **changes: object) -> None:
    (folder / FILE).write_text(json.dumps({**WHOLE, **changes}))


def test_a_whole_file_is_believed(tmp_path: Path) -> None:
    write(tmp_path)
    assert flag(tmp_path, HandClock()).left_s() == 1000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("boot", None), ("boot", 7), ("mono_until_ms", "2000000"), ("mono_until_ms", None),
        ("mono_until_ms", [1]), ("mono_until_ms", True), ("mono_until_ms", 2e6),
        ("mono_until_ms", float("inf")), ("mono_until_ms", float("nan")),
        ("wall_from_ms", "yesterday"), ("wall_until_ms", {}),
    ],
)  # fmt: skip
def test_a_file_of_wrong_types_neither_marks_readings_nor_kills_the_bus(
    tmp_path: Path, key: str, value: object
) -> None:
    write(tmp_path, **{key: value})
    box = flag(tmp_path, HandClock())
    assert not box.active()
    assert box.left_s() == 0


@pytest.mark.parametrize("far", [1_000_000 + LIMIT_S * 1000 + 200_000, 10**14, 10**400])
def test_an_end_that_nobody_could_declare_is_damage_and_no_maintenance(
    tmp_path: Path, far: int
) -> None:
    write(tmp_path, mono_until_ms=far)
    box, hands = flag(tmp_path, HandClock()), HandClock()
    assert not box.active()
    write(tmp_path, boot="boot-0", wall_until_ms=far + 1_795_340_000_000)
    assert flag(tmp_path, hands).left_s() == 0


def test_a_clock_that_starts_in_1970_at_every_boot_does_not_begin_it_anew(tmp_path: Path) -> None:
    hands = HandClock(mono=5_000, wall=5_000)
    flag(tmp_path, hands).turn_on(1800)
    assert flag(tmp_path, hands).left_s() == 1800
    for boot in ("boot-2", "boot-3"):
        again = HandClock(mono=6_000, wall=6_000, boot=boot)
        assert flag(tmp_path, again).left_s() == 0


def test_a_maintenance_that_is_over_never_comes_back(tmp_path: Path) -> None:
    hands = HandClock()
    box = flag(tmp_path, hands)
    flag(tmp_path, hands).turn_on(60)
    hands.pass_ms(LOOK_MS)
    assert box.active()
    hands.pass_ms(60_000)
    assert not box.active()
    assert not (tmp_path / FILE).exists()
    back = HandClock(wall=hands.wall - 50_000, boot="boot-2")  # restored by a fake clock
    assert flag(tmp_path, back).left_s() == 0


def test_a_spoiled_file_is_cleared_away_by_the_service(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"{")
    assert not flag(tmp_path, HandClock()).active()
    assert not (tmp_path / FILE).exists()


def test_showing_it_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"{")
    assert flag(tmp_path, HandClock()).left_s() == 0
    assert (tmp_path / FILE).exists()


def test_declaring_it_again_moves_the_end(tmp_path: Path) -> None:
    hands = HandClock()
    box = flag(tmp_path, hands)
    box.turn_on(60)
    hands.pass_ms(30_000)
    box.turn_on(3600)
    assert box.left_s() == 3600
    hands.pass_ms(3_599_999)
    assert box.active()
    box.turn_off()
    assert box.left_s() == 0
    box.turn_off()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(MaintenanceError, match="data"):
        flag(tmp_path / "data", HandClock()).turn_on(60)


def test_a_clock_set_right_by_a_minute_after_a_reboot_does_not_end_it(tmp_path: Path) -> None:
    hands = HandClock()
    flag(tmp_path, hands).turn_on(1800)
    again = HandClock(wall=hands.wall - 60_000, boot="boot-2")
    assert flag(tmp_path, again).left_s() == 1860
    earlier = HandClock(wall=hands.wall - 121_000, boot="boot-2")
    assert flag(tmp_path, earlier).left_s() == 0
