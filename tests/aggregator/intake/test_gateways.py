"""What the centre knows of each gateway: bounded, remembered, and each complaint made once."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from rig.batches import LOG, OTHER_LOG, T0_MS, incoming, series

from egret_aggregator.intake import gateways as module
from egret_aggregator.intake.gateways import REFUSED_KEPT, SILENT_S, Gateways
from egret_aggregator.intake.verdict import Refused
from egret_aggregator.journal import Verdict
from egret_core.messages import ClockStamp, GatewayStatus, Reject
from egret_core.seqranges import EMPTY

STATUS = GatewayStatus(
    "gw1",
    online=True,
    held={LOG: ((1, 9),)},
    current_log=LOG,
    outbox={"bytes": 77, "unsettled": 2},
    clock=ClockStamp("gnss", -3),
    buses={"bus0": {"ok": 5}},
    sent_ms=T0_MS,
    extra={"firmware": "1.2"},
)


def known() -> Gateways:
    return Gateways(lambda _: 0)


def test_a_conflict_is_counted_each_time_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    gateways = known()
    twin = incoming(4, series(1))
    for _ in range(3):
        gateways.counted(twin, Verdict.CONFLICT)
    gateways.counted(incoming(5), Verdict.DUPLICATE)
    assert gateways.views(0.0)[0].counts == {"conflict": 3, "duplicate": 1}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"event=conflict gateway=gw1 log={LOG} seq=4 hash={twin.hash}"


def test_complaints_are_remembered_to_a_limit_and_then_made_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateways = known()
    for number in range(REFUSED_KEPT + 1):
        gateways.refused(Refused("gw1", "", None, f"{number:016x}", Reject.BOMB, ""))
    assert len(caplog.records) == REFUSED_KEPT + 1
    gateways.refused(Refused("gw1", "", None, f"{REFUSED_KEPT:016x}", Reject.BOMB, ""))
    assert len(caplog.records) == REFUSED_KEPT + 1
    gateways.refused(Refused("gw1", "", None, f"{0:016x}", Reject.BOMB, ""))
    assert len(caplog.records) == REFUSED_KEPT + 2


def test_refusals_of_one_gateway_do_not_silence_another(caplog: pytest.LogCaptureFixture) -> None:
    gateways = known()
    for name in ("gw1", "gw2"):
        gateways.refused(Refused(name, "", None, "ab" * 8, Reject.FOREIGN, ""))
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"st1": "event", "st2": "a later word"}, {"st1": "event", "st2": "a later word"}),
        ({"st1": 5, "st2": None, "st3": ["event"], "st4": "watch"}, {"st4": "watch"}),
        ({}, {}),
        (None, {}),
        ("event", {}),
        (["st1"], {}),
        (7, {}),
    ],
)
def test_the_pace_is_what_a_status_tells_in_words(told: object, expected: dict[str, str]) -> None:
    gateways = known()
    gateways.status(replace(STATUS, extra={"pace": told}))
    assert gateways.views(0.0)[0].pace == expected
    gateways.status(GatewayStatus("gw1", online=False))
    assert gateways.views(0.0)[0].pace == expected, "a last will does not know it, and keeps it"
    later = known()
    later.restore("gw1", gateways.keep("gw1"))
    assert later.views(0.0)[0].pace == expected, "nor does a restart lose it"


def test_a_status_without_a_pace_tells_none() -> None:
    gateways = known()
    gateways.status(STATUS)
    assert gateways.views(0.0)[0].pace == {}


def test_a_last_will_keeps_all_but_the_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gateways = known()
    gateways.heard("gw1", T0_MS, 1.0)
    gateways.status(STATUS)
    gateways.status(STATUS)
    gateways.status(GatewayStatus("gw1", online=False))
    view = gateways.views(2.0)[0]
    assert (view.online, view.held, view.current_log) == (False, STATUS.held, LOG)
    assert (view.outbox, view.clock, view.buses) == (STATUS.outbox, STATUS.clock, STATUS.buses)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "event=gateway gateway=gw1 state=online",
        "event=gateway gateway=gw1 state=offline",
    ]


def test_what_is_kept_over_a_restart_is_the_last_word_and_when_it_came() -> None:
    gateways, again = known(), known()
    gateways.heard("gw1", T0_MS + 5, 1.0)
    gateways.status(STATUS)
    again.restore("gw1", gateways.keep("gw1"))
    before, after = gateways.views(1.0)[0], again.views(1.0)[0]
    assert (before.online, after.online) == (True, False), "online is proved by a word, not a note"
    assert (after.held, after.buses, after.last_seen_ms) == (before.held, before.buses, T0_MS + 5)
    again.heard("gw1", T0_MS + 9, 2.0)
    assert again.views(2.0)[0].online


def test_a_note_that_is_no_longer_read_costs_only_the_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateways = known()
    gateways.restore("gw1", json.dumps({"seen": T0_MS, "status": '{"v":99}'}).encode())
    view = gateways.views(0.0)[0]
    assert (view.last_seen_ms, view.held, view.online) == (T0_MS, {}, False)
    assert "event=gateway_state_unreadable gateway=gw1" in caplog.text


def test_only_so_many_gateways_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATEWAYS_MAX", 3)
    gateways = known()
    for second, name in enumerate(("a", "b", "c"), 1):
        gateways.heard(name, T0_MS + second, float(second))
    gateways.heard("a", T0_MS + 9, 9.0)
    gateways.heard("d", T0_MS + 10, 10.0)
    assert [view.id for view in gateways.views(10.0)] == ["a", "c", "d"]


def test_a_gateway_that_was_heard_of_long_ago_is_not_online_whatever_it_said() -> None:
    gateways = known()
    gateways.status(STATUS)
    gateways.heard("gw1", T0_MS, 0.0)
    assert [gateways.views(at)[0].online for at in (SILENT_S, SILENT_S + 0.1)] == [True, False]


def test_a_new_card_is_told_and_is_no_clone(caplog: pytest.LogCaptureFixture) -> None:
    gateways = known()
    gateways.taken(incoming(1, cut_ms=T0_MS), Verdict.NEW, 1.0)
    gateways.taken(incoming(1, log=OTHER_LOG, cut_ms=T0_MS + 1), Verdict.NEW, 2.0)
    gateways.taken(incoming(2, log=OTHER_LOG, cut_ms=T0_MS + 2), Verdict.NEW, 3.0)
    assert not gateways.views(3.0)[0].clone
    assert [record.getMessage() for record in caplog.records] == [
        f"event=new_log gateway=gw1 log={OTHER_LOG} named=unnamed"
    ]


def test_what_is_missing_is_asked_of_whoever_knows() -> None:
    gateways = Gateways({"gw1": 7, "gw2": 0}.__getitem__)
    for name in ("gw2", "gw1"):
        gateways.status(GatewayStatus(name, online=True, held={LOG: EMPTY}))
    assert [(view.id, view.missing) for view in gateways.views(0.0)] == [("gw1", 7), ("gw2", 0)]
