"""Orders of the centre over a real outbox: once carried out, always answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import opened, rows
from rig.field_box import GATEWAY, make_outbox, samples

from egret_core.control import decode_command_ack, encode_command_ack
from egret_core.messages import CONTROL_MAX_B, Command, Outcome
from egret_gateway.uplink import commands as rules
from egret_gateway.uplink.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.outbox import Outbox

NOW = 1_795_340_000_000


def resend(name: str, log: str, *seqs: list[int], late_ms: int = 0) -> Command:
    return Command(name, NOW + 60_000, "resend", {"log": log, "seqs": list(seqs)}, NOW + late_ms)


def fill(outbox: Outbox, ear: Any, count: int) -> None:
    emit = outbox.emitter(0.0)
    for number in range(1, count + 1):
        emit(samples(1, number), {})
        ear.until_parcels(number)


async def test_what_is_promised_is_committed(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        fill(outbox, ear, 5)
        outbox.settle([1, *(parcel.id for parcel in ear.parcels)])
        log = outbox.current_log
        answer = await Commands(outbox).answer(resend("a", log, [2, 3], [5, 9]))
        assert (answer.outcome, answer.queued, answer.gone) == (
            Outcome.QUEUED, ((2, 3), (5, 6)), ((7, 9),),
        )  # fmt: skip
        assert [row[3] for row in rows(tmp_path)] == [1, 0, 0, 1, 0, 0]


async def test_a_repeated_order_gets_the_first_answer_and_moves_nothing(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        fill(outbox, ear, 2)
        log, orders = outbox.current_log, Commands(outbox)
        outbox.settle([1, 2, 3])
        first = await orders.answer(resend("a", log, [1, 9]))
        outbox.settle([1, 2, 3])
        await outbox.flush()
        assert await orders.answer(resend("a", log, [1, 9])) is first
        assert await orders.answer(resend("a", log, [1, 9], late_ms=90_000)) is first, "known"
        assert {row[3] for row in rows(tmp_path)} == {1}


async def test_an_order_that_is_void_is_answered_and_not_carried_out(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        fill(outbox, ear, 1)
        outbox.settle([1, 2])
        order = resend("late", outbox.current_log, [1, 2], late_ms=60_001)
        answer = await Commands(outbox).answer(order)
        assert answer.outcome == Outcome.EXPIRED
        edge = resend("edge", outbox.current_log, [1, 2], late_ms=60_000)
        assert (await Commands(outbox).answer(edge)).outcome == Outcome.QUEUED


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "'log'"),
        ({"log": "a" * 32}, "'seqs'"),
        ({"log": "A" * 32, "seqs": [[1, 2]]}, "32 hex digits"),
        ({"log": 7, "seqs": [[1, 2]]}, "32 hex digits"),
        ({"log": "a" * 32, "seqs": []}, "0 ranges"),
        ({"log": "a" * 32, "seqs": [[n * 3, n * 3] for n in range(1, 402)]}, "401 ranges"),
        ({"log": "a" * 32, "seqs": [[0, 4]]}, "out of range"),
        ({"log": "a" * 32, "seqs": [[-5, 4]]}, "out of range"),
        ({"log": "a" * 32, "seqs": [[1, 2**53]]}, "out of range"),
        ({"log": "a" * 32, "seqs": [[5, 1]]}, "ends before it starts"),
        ({"log": "a" * 32, "seqs": [[1]]}, "resend:"),
        ({"log": "a" * 32, "seqs": "12"}, "resend:"),
        ({"log": "a" * 32, "seqs": [["x", "y"]]}, "resend:"),
        ({"log": "a" * 32, "seqs": None}, "resend:"),
    ],
)
async def test_senseless_arguments_are_refused_by_name(
    tmp_path: Path, args: dict[str, Any], said: str
) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        answer = await Commands(outbox).answer(Command("x", NOW + 1, "resend", args, NOW))
    assert answer.outcome == Outcome.REFUSED
    assert said in answer.detail
    assert len(answer.detail) <= 200


@pytest.mark.parametrize("do", ["reboot", "", "x" * 5000, "resend "])
async def test_a_word_of_a_later_version_is_refused_and_quoted_short(
    tmp_path: Path, do: str
) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        answer = await Commands(outbox).answer(Command("x", NOW + 1, do, {}, NOW))
    assert answer.outcome == Outcome.REFUSED
    assert len(encode_command_ack(answer)) < 500


async def test_the_longest_answer_fits_a_message(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        scattered = [[n * 10**12, n * 10**12 + 5] for n in range(1, rules.RANGES_MAX + 1)]
        answer = await Commands(outbox).answer(resend("big", "e" * 32, *scattered))
    assert answer.outcome == Outcome.GONE
    body = encode_command_ack(answer)
    assert len(body) <= CONTROL_MAX_B
    assert decode_command_ack(body) == answer


async def test_answers_are_kept_for_so_many_orders_and_no_more(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        orders = Commands(outbox)
        for number in range(rules.ANSWERS_MAX + 20):
            await orders.answer(Command(f"c{number}", NOW + 1, "dance", {}, NOW))
        assert len(orders._answers) == rules.ANSWERS_MAX
        assert "c0" not in orders._answers


SECRET = "hush-hush"  # noqa: S105  (a test's own)


def renewal(**args: str) -> Command:
    wanted = {"account": f"{GATEWAY}.2", "kind": "password", "secret": SECRET, **args}
    return Command("r", NOW + 1000, "renew", wanted, NOW)


async def test_a_renewed_credential_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    answer = await Commands(make_outbox(tmp_path), GATEWAY, folder).answer(renewal())
    assert (answer.outcome, answer.detail) == (Outcome.DONE, f"{GATEWAY}.2")
    assert (folder / f"{GATEWAY}.2.password").read_text() == SECRET
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"account": "gw2.2"}, "no account of this gateway"),
        ({"account": f"{GATEWAY}"}, "no account of this gateway"),
        ({"account": f"{GATEWAY}./../x.1"}, "no account of this gateway"),
        ({"account": f"../{GATEWAY}.1"}, "no account of this gateway"),
        ({"kind": "token"}, "unknown kind"),
        ({"secret": ""}, "secret of 0 B"),
        ({"secret": "x" * 20_000}, "secret of 20000 B"),
    ],
)
async def test_a_renewal_that_cannot_be_ours_is_refused(
    tmp_path: Path, args: dict[str, str], word: str
) -> None:
    folder = tmp_path / "credentials"
    answer = await Commands(make_outbox(tmp_path), GATEWAY, folder).answer(renewal(**args))
    assert answer.outcome == Outcome.REFUSED
    assert word in answer.detail
    assert not folder.exists()


async def test_a_credential_kept_by_hand_is_not_renewed(tmp_path: Path) -> None:
    answer = await Commands(make_outbox(tmp_path), GATEWAY).answer(renewal())
    assert (answer.outcome, "by hand" in answer.detail) == (Outcome.REFUSED, True)


async def test_a_renewal_without_its_words_is_refused(tmp_path: Path) -> None:
    order = Command("r", NOW + 1000, "renew", {"account": f"{GATEWAY}.2"}, NOW)
    answer = await Commands(make_outbox(tmp_path), GATEWAY, tmp_path / "c").answer(order)
    assert (answer.outcome, "missing" in answer.detail) == (Outcome.REFUSED, True)


async def test_a_disk_that_refuses_keeps_the_former_credential(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("in the way")
    answer = await Commands(make_outbox(tmp_path), GATEWAY, tmp_path / "c").answer(renewal())
    assert (answer.outcome, "not kept" in answer.detail) == (Outcome.REFUSED, True)
