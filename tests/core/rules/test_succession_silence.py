"""A silence on record whose rule is edited or withdrawn: it is judged on, or told as ended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rig.changebook import RIVER, again, changed
from rig.rulebook import GATEWAY, at, bound, brief, fold_of, play, prompt, reading, silence

from egret_core.rules.event import Change as Is
from egret_core.rules.event import Phase
from egret_core.rules.model import AbsenceLaw, Family
from egret_core.rules.step import Fold, Receipt, Tick, step

QUIET = [Tick(at(10 * n)) for n in range(1, 60)]
SILENT = bound(silence(300), Family.ABSENCE, RIVER, gateways=(GATEWAY,))


def silent() -> Fold:
    """Return a fold in which a channel and its gateway have been silent for ten minutes."""
    fold = fold_of((RIVER,), [SILENT])
    step(fold, Receipt(GATEWAY, at(0), [reading(0, 1.0)]))
    assert sorted(brief(play(fold, QUIET))) == [("raised", "fault", 300)] * 2
    return fold


def test_a_silence_that_nobody_judges_any_more_is_given_up() -> None:
    said = changed(silent(), (), 600, (), RIVER)
    assert sorted(one.subject for one in said) == ["gateway/GW-1", "st1/wl"]
    assert {(one.change, one.reason) for one in said} == {(Is.RETURNED, "rule_withdrawn")}


@pytest.mark.parametrize(
    ("law", "first", "then"),
    [
        (AbsenceLaw("fault", 900_000), "returned", [("raised", "fault", 900)]),
        (AbsenceLaw("fault", 120_000), "", [("raised", "fault", 120)]),
        (
            AbsenceLaw("notice", 120_000, (("fault", 800_000),)),
            "eased",
            [("raised", "notice", 120), ("upgraded", "fault", 800)],
        ),
    ],
)
def test_an_edited_silence_is_judged_by_how_long_it_has_lasted(
    law: AbsenceLaw, first: str, then: list[tuple[str, str, float]]
) -> None:
    fold = silent()
    new = replace(SILENT, law=law, version="v2")
    said = [e for e in changed(fold, [new], 600, (), RIVER) if e.subject == RIVER.name]
    assert [str(one.change) for one in said] == ([first] if first else [])
    assert all(one.reason == "rule_withdrawn" for one in said)
    later = play(fold, [Tick(at(600 + 10 * n)) for n in range(1, 60)])
    own = [one for one in later if one.subject == RIVER.name]
    assert brief(own) == then
    assert {one.reason for one in own} == {"no_good_reading"}, "its elder has heard it"


EDITED = (
    AbsenceLaw("fault", 595_000),
    AbsenceLaw("notice", 120_000, (("fault", 595_000),)),
    AbsenceLaw("notice", 595_000, (("fault", 900_000),)),
)
LATER = [Tick(at(600 + 10 * n)) for n in range(1, 10)]


@pytest.mark.parametrize("law", EDITED)
@pytest.mark.parametrize("ticks", [0, 1])
@pytest.mark.parametrize("stop", [False, True])
def test_a_silence_that_ended_between_the_old_limit_and_the_new_holds_no_more(
    law: AbsenceLaw, ticks: int, *, stop: bool
) -> None:
    """Silent for 600 s at the change, by a reading that is still under way for 590 s."""
    fold = silent()
    new = replace(SILENT, law=law, version="v2")
    said = [*changed(fold, [new], 600, (), RIVER), *play(fold, LATER[:ticks])]
    fold = again(fold, [new], RIVER) if stop else fold
    said += step(fold, Receipt(GATEWAY, at(611), [reading(590, 1.0)]))[1]
    said += play(fold, LATER[ticks:])
    for subject in (RIVER.name, "gateway/GW-1"):
        own = [e for e in said if e.subject == subject and e.phase is Phase.SETTLED]
        assert (own[-1].change, own[-1].level) == (Is.RETURNED, "")


@pytest.mark.parametrize(("limit_s", "told"), [(120, 0), (595, 1), (900, 1)])
def test_the_level_of_an_edited_silence_is_given_up_once_at_most(limit_s: int, told: int) -> None:
    fold = silent()
    new = replace(SILENT, law=AbsenceLaw("fault", limit_s * 1000), version="v2")
    said = changed(fold, [new], 600, (), RIVER)
    for heard_s, second in ((611, 590), (700, 699), (2000, 1999)):
        said += step(fold, Receipt(GATEWAY, at(heard_s), [reading(second, 1.0)]))[1]
        said += play(fold, [Tick(at(heard_s + 9 + 10 * n)) for n in range(8)])
    old = [e for e in said if e.rule == SILENT.name and e.subject == RIVER.name]
    assert len(old) == told
    assert all(e.evidence["successor"] == new.name for e in old)


def test_each_word_on_a_silence_edited_twice_is_one_of_its_own() -> None:
    """The second edit ranks the word anew: a ledger that took it for a copy would not know."""
    fold = silent()
    laws = (
        AbsenceLaw("notice", 120_000, (("fault", 5_000_000),)),
        AbsenceLaw("watch", 100_000, (("notice", 125_000), ("fault", 5_000_000))),
    )
    first, second = (replace(SILENT, law=law, version=f"v{n}") for n, law in enumerate(laws, 2))
    said = [*changed(fold, [first], 600, (), RIVER), *changed(fold, [second], 605, (), RIVER)]
    own = [e for e in said if e.subject == RIVER.name]
    assert [(e.change, e.level, e.rank) for e in own] == [
        (Is.EASED, "notice", 1),
        (Is.EASED, "notice", 2),
    ]
    assert len({e.id for e in said}) == len(said)


def test_a_silence_edited_twice_before_anybody_spoke_is_not_forgotten() -> None:
    fold = silent()
    first, second = (replace(SILENT, law=EDITED[0], version=v) for v in ("v2", "v3"))
    said = changed(fold, [first], 600, (), RIVER)
    said += changed(fold, [second], 601, (), RIVER)
    said += step(fold, Receipt(GATEWAY, at(611), [reading(590, 1.0)]))[1]
    said += play(fold, LATER)
    own = [one for one in said if one.subject == RIVER.name and one.phase is Phase.SETTLED]
    assert [(one.change, one.rule, one.reason) for one in own] == [
        (Is.RETURNED, SILENT.name, "rule_withdrawn")
    ]


def test_a_silence_of_a_rule_that_was_put_back_is_said_anew() -> None:
    fold = silent()
    past = prompt([reading(0, 1.0)])
    changed(fold, (), 600, past, RIVER)
    changed(fold, [SILENT], 650, past, RIVER)
    said = play(fold, [Tick(at(650 + 10 * n)) for n in range(1, 60)])
    mine = [one for one in said if one.subject == RIVER.name and one.phase is Phase.SETTLED]
    assert brief(mine) == [("raised", "fault", 300)]
    assert mine[0].evidence["in_force_ms"] == at(650)


def test_a_silence_that_begins_later_held_before_nothing() -> None:
    fold = fold_of((RIVER,), [SILENT])
    step(fold, Receipt(GATEWAY, at(0), [reading(0, 1.0)]))
    assert all("held_before" not in one.evidence for one in play(fold, QUIET))


def test_a_silence_saved_by_an_older_program_does_not_know_since_when_it_is_in_force() -> None:
    fold = silent()
    (absence,) = fold.channels["st1"]["wl"].absences
    absence.restore(absence.dump()[:6])
    assert absence.dump()[6] < at(0)
    assert absence.rank == 1
