"""Renewals: what an account asks for, and that one that opens is always left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.renewal_bench import DAY_MS, DAYS, NOW_MS, benched

from egret_aggregator.enrolment import renewal
from egret_aggregator.enrolment.accounts import Account, Book
from egret_aggregator.enrolment.renewal import Step, settled, step
from egret_aggregator.errors import EnrolmentError
from egret_core.messages import CommandAck, Outcome

if TYPE_CHECKING:
    from pathlib import Path


def account(number: int, left_days: float = DAYS, **more: Any) -> Account:
    return Account("gw1", number, "password", {}, NOW_MS, NOW_MS + int(left_days * DAY_MS), **more)


def book(*accounts: Account) -> Book:
    found = Book()
    for one in accounts:
        found = found.added(one)
    return found


@pytest.mark.parametrize(
    ("accounts", "name", "in_flight", "expected"),
    [
        ((), "gw1.1", False, Step.UNKNOWN),
        ((account(1),), "gw1.1", False, Step.NOTHING),
        ((account(1, 61),), "gw1.1", False, Step.NOTHING),
        ((account(1, 59),), "gw1.1", False, Step.RENEW),  # a third of its life is over
        ((account(1, 59),), "gw1.1", True, Step.NOTHING),
        ((account(1, 7, bundle=True),), "gw1.1", False, Step.RENEW),
        ((account(1), account(2, pending=True)), "gw1.1", True, Step.NOTHING),
        ((account(1), account(2, pending=True)), "gw1.1", False, Step.GIVE_UP),
        ((account(1), account(2, pending=True)), "gw1.2", True, Step.SERVED),
        ((account(1), account(2, pending=True)), "gw1.2", False, Step.SERVED),
        ((account(1, 5), account(2, bundle=True)), "gw1.1", False, Step.NOTHING),
    ],
)
def test_what_an_account_asks_for(
    accounts: tuple[Account, ...],
    name: str,
    in_flight: bool,  # noqa: FBT001  (pytest gives it by name)
    expected: Step,
) -> None:
    assert step(book(*accounts), name, NOW_MS, DAYS, in_flight=in_flight) is expected


def test_a_bundle_ends_at_its_use_and_another_after_the_overlap() -> None:
    old, used = account(1), account(2, bundle=True)
    changed = settled(book(old, used, account(3, pending=True)), "gw1.3", NOW_MS, 5000)
    assert changed == [
        replace(account(3), pending=False),
        replace(old, ends_ms=NOW_MS + 5000),
        replace(used, ends_ms=NOW_MS),
    ]


@given(st.floats(0.01, 80), st.integers(0, 10 * DAY_MS))
def test_an_overlap_never_lengthens_a_life(left_days: float, overlap_ms: int) -> None:
    old = account(1, left_days)
    changed = settled(book(old, account(2, pending=True)), "gw1.2", NOW_MS, overlap_ms)
    assert changed[1].ends_ms <= old.ends_ms


async def test_a_bundles_first_use_is_followed_by_a_lasting_credential(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bench.names() == ["gw1.1", "gw1.2"])
        await bench.until(lambda: bool(bench.renewals._flights))
        ((gateway, command),) = bench.due()
        assert (gateway, command.do, command.args["account"]) == ("gw1", "renew", "gw1.2")
        assert len(command.args["secret"]) >= 43
        assert bench.due() == [], "it is not repeated at once"
        bench.s += renewal.REPEAT_S
        assert [one.id for _, one in bench.due()] == [command.id], "the same is repeated"
        bench.renewals.answered("gw1", CommandAck(command.id, Outcome.DONE))
        bench.s += renewal.REPEAT_S
        assert bench.due() == []
        bench.renewals.saw("gw1", "gw1.2")
        await bench.until(lambda: bench.names() == ["gw1.2"])
        assert not bench.folder.book().accounts[0].pending


async def test_one_that_is_not_taken_up_is_ended_and_the_former_stays(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: len(bench.names()) == 2 and bool(bench.renewals._flights))
        bench.s += renewal.EXPIRE_S
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bench.names() == ["gw1.1"])
        bench.renewals.saw("gw1", "gw1.1")
        bench.s += renewal.REST_S
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bench.names() == ["gw1.1", "gw1.3"])


async def test_a_refusal_ends_it_at_once(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bool(bench.renewals._flights))
        ((_, command),) = bench.due()
        bench.renewals.answered("gw1", CommandAck("another", Outcome.REFUSED))
        assert bench.names() == ["gw1.1", "gw1.2"]
        bench.renewals.answered("gw1", CommandAck(command.id, Outcome.REFUSED, detail="no folder"))
        await bench.until(lambda: bench.names() == ["gw1.1"])


async def test_a_centre_started_anew_gives_up_what_it_cannot_hand_out(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        await bench.office.make("gw1", "renewal", "centre", days=DAYS, pending=True)
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bench.names() == ["gw1.1", "gw1.3"])


async def test_a_broker_that_cannot_be_told_is_tried_later_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")

        def refuse() -> None:
            raise EnrolmentError("no broker", "start it")

        monkeypatch.setattr(bench.folder, "_reload", refuse)
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: "gw1" in bench.renewals._rests)
        assert bench.names() == ["gw1.1"], "an account whose secret nobody has does not stay"
        monkeypatch.setattr(bench.folder, "_reload", lambda: None)
        bench.s += renewal.REST_S
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: bool(bench.renewals._flights))
        assert bench.names()[0] == "gw1.1"


async def test_of_two_that_make_the_same_number_one_is_refused_and_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with benched(tmp_path) as bench:
        stale = bench.folder.book()
        await bench.office.add("gw1")

        async def before() -> Book:
            return stale

        monkeypatch.setattr(bench.office, "book", before)
        with pytest.raises(EnrolmentError, match="another process"):
            await bench.office.add("gw1")
        assert bench.names() == ["gw1.1"], "the other's account stays"


@pytest.mark.parametrize("word", [None, 5, "", "gw2.1", "gw1", {"a": 1}])
async def test_a_status_that_names_no_account_of_its_gateway_is_nothing(
    tmp_path: Path, word: object
) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        bench.renewals.saw("gw1", word)
        assert not bench.renewals._waiting


async def test_an_act_that_cannot_be_is_refused_with_a_remedy(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        for wrong in ("centre", "a.b", "", "x" * 49):
            with pytest.raises(EnrolmentError, match="cannot name a gateway"):
                await bench.office.add(wrong)
        await bench.office.add("gw1")
        with pytest.raises(EnrolmentError, match="enrolled already"):
            await bench.office.add("gw1")
        for deed in (bench.office.rotate, bench.office.revoke):
            with pytest.raises(EnrolmentError, match="not enrolled"):
                await deed("gw2")
        assert await bench.office.revoke("gw1") == ["gw1.1"]
        account_, _ = await bench.office.add("gw1")
        assert account_.name == "gw1.2", "an ended number does not come again"
