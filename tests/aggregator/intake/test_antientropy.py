"""Asking for what is missing: pieces, repetition, expiry, answers."""

from __future__ import annotations

from rig.batches import LOG, OTHER_LOG

from egret_aggregator.intake.antientropy import (
    EXPIRE_S,
    GATEWAYS_MAX,
    OVERDUE_S,
    PIECE_SEQS,
    PROMISE_S,
    REPEAT_S,
    REST_S,
    AntiEntropy,
    Ask,
)
from egret_core.messages import CommandAck, GatewayStatus, Outcome
from egret_core.seqranges import EMPTY, Ranges, size, union


class Centre:
    """What the journal knows, and the clock."""

    def __init__(self) -> None:
        self.received: dict[tuple[str, str], Ranges] = {}
        self.now_s = 100.0
        self.asking = AntiEntropy(lambda gw, log: self.received.get((gw, log), EMPTY), "run")

    def saw(self, held: Ranges, *, online: bool = True, unsettled: int = 0, log: str = LOG) -> None:
        outbox = {"unsettled": unsettled}
        logs = {log: held} if online else {}
        self.asking.saw(GatewayStatus("gw1", online, logs, outbox=outbox), self.now_s)

    def due(self) -> list[Ask]:
        return list(self.asking.due(self.now_s))

    def answer(self, ask: Ask, outcome: str, **seqs: Ranges) -> tuple[str, Ranges]:
        return self.asking.answered("gw1", CommandAck(ask.id, outcome, ask.log, **seqs), self.now_s)


def test_nothing_missing_nothing_asked() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 50),)
    centre.saw(((3, 50),))
    assert (centre.due(), centre.asking.missing("gw1")) == ([], 0)


def test_pieces_follow_each_other_as_they_are_queued() -> None:
    centre = Centre()
    centre.saw(((1, 450),))
    asked: list[Ranges] = []
    while due := centre.due():
        (ask,) = due
        assert size(ask.seqs) <= PIECE_SEQS
        asked.append(ask.seqs)
        assert centre.answer(ask, Outcome.QUEUED, queued=ask.seqs) == (LOG, EMPTY)
    assert asked == [((1, 200),), ((201, 400),), ((401, 450),)]


def test_an_unanswered_command_is_repeated_then_expires_and_is_made_anew() -> None:
    centre = Centre()
    centre.saw(((1, 2),))
    (first,) = centre.due()
    assert centre.due() == []
    centre.now_s += REPEAT_S
    assert centre.due() == [first]
    centre.now_s = 100.0 + EXPIRE_S
    (second,) = centre.due()
    assert (second.id != first.id, second.seqs) == (True, first.seqs)
    assert centre.answer(first, Outcome.QUEUED, queued=first.seqs) == ("", EMPTY)


def test_what_is_gone_is_told_and_only_what_was_asked_for() -> None:
    centre = Centre()
    centre.saw(((5, 9),))
    (ask,) = centre.due()
    log, gone = centre.answer(ask, Outcome.GONE, gone=((1, 7),), queued=((8, 99),))
    assert (log, gone) == (LOG, ((5, 7),))
    centre.received["gw1", LOG] = gone
    assert centre.due() == []


def test_queued_seqs_that_never_come_are_asked_for_again() -> None:
    centre = Centre()
    centre.saw(((1, 3),))
    (ask,) = centre.due()
    centre.answer(ask, Outcome.QUEUED, queued=ask.seqs)
    centre.now_s += PROMISE_S
    assert centre.due() == []
    centre.now_s += 1
    assert [again.seqs for again in centre.due()] == [((1, 3),)]


def test_a_refusal_gives_the_log_a_rest() -> None:
    centre = Centre()
    centre.saw(((1, 3),))
    (ask,) = centre.due()
    centre.answer(ask, Outcome.REFUSED)
    assert centre.due() == []
    centre.now_s += REST_S
    assert len(centre.due()) == 1


def test_what_the_gateway_is_still_sending_is_not_asked_for() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 90),)
    centre.saw(((1, 100),), unsettled=10)
    assert (centre.due(), centre.asking.missing("gw1")) == ([], 10)
    # An emptied centre lacks more than that.
    centre.received.clear()
    centre.saw(((1, 100),), unsettled=10)
    assert [ask.seqs for ask in centre.due()] == [((1, 100),)]


def test_an_offline_gateway_is_left_alone_until_it_is_back() -> None:
    centre = Centre()
    centre.saw(((1, 3),))
    centre.due()
    centre.saw(EMPTY, online=False)
    centre.now_s += 1000
    assert centre.due() == []
    assert centre.asking.missing("gw1") == 3
    centre.saw(((1, 3),))
    assert len(centre.due()) == 1


def test_two_logs_are_asked_for_side_by_side_and_a_dropped_one_no_more() -> None:
    centre = Centre()
    held = {LOG: ((1, 2),), OTHER_LOG: ((7, 9),)}
    centre.asking.saw(GatewayStatus("gw1", online=True, held=held), centre.now_s)
    assert sorted(ask.log for ask in centre.due()) == [LOG, OTHER_LOG]
    centre.saw(((1, 2),))
    centre.now_s += EXPIRE_S
    assert [ask.log for ask in centre.due()] == [LOG]


def test_lost_acks_and_any_order_of_arrival_end_with_nothing_missing() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 10), (400, 500))
    centre.saw(((1, 1000),))
    while due := centre.due():
        for ask in due:
            centre.answer(ask, Outcome.QUEUED, queued=ask.seqs)
            known = centre.received["gw1", LOG]
            centre.received["gw1", LOG] = union(known, ask.seqs)
    assert centre.received["gw1", LOG] == ((1, 1000),)


def test_a_settled_batch_that_is_missing_does_not_starve_behind_acks_under_way() -> None:
    """At each status three batches are received and their acks still under way."""
    centre = Centre()
    head = 100
    asked: list[Ranges] = []
    while not asked and head < 200:
        # Seq 40 was settled and lost with a restored journal; the newest three are received.
        centre.received["gw1", LOG] = ((1, 39), (41, head))
        centre.saw(((1, head),), unsettled=3)
        asked += [ask.seqs for ask in centre.due()]
        head += 10
        centre.now_s += OVERDUE_S
    assert asked == [((40, 40),)]


def test_what_is_merely_on_its_way_is_never_asked_for() -> None:
    """Each status comes while the newest batches are in flight; none stays missing for long."""
    centre = Centre()
    for head in range(100, 1000, 10):
        centre.received["gw1", LOG] = ((1, head - 4),)
        centre.saw(((1, head),), unsettled=4)
        assert centre.due() == []
        centre.now_s += OVERDUE_S


def test_statuses_that_follow_each_other_quickly_prove_nothing() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 90),)
    for _ in range(20):
        centre.saw(((1, 95),), unsettled=5)
        assert centre.due() == []
        centre.now_s += OVERDUE_S / 21
    centre.now_s += OVERDUE_S
    centre.saw(((1, 95),), unsettled=5)
    assert [ask.seqs for ask in centre.due()] == [((91, 95),)]


def test_what_came_between_two_statuses_is_not_overdue() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 90),)
    centre.saw(((1, 95),), unsettled=9)
    # It comes, and the journal that held it is replaced by an older one: missing again, but anew.
    centre.received["gw1", LOG] = ((1, 95),)
    centre.now_s += 1
    centre.saw(((1, 95),), unsettled=9)
    centre.received["gw1", LOG] = ((1, 90),)
    centre.now_s += OVERDUE_S
    centre.saw(((1, 95),), unsettled=9)
    assert centre.due() == []
    centre.now_s += OVERDUE_S
    centre.saw(((1, 95),), unsettled=9)
    assert [ask.seqs for ask in centre.due()] == [((91, 95),)]


def test_only_what_is_overdue_is_asked_for_while_the_gateway_sends_the_rest() -> None:
    centre = Centre()
    centre.received["gw1", LOG] = ((1, 9), (11, 90))
    centre.saw(((1, 100),), unsettled=50)
    centre.now_s += OVERDUE_S
    centre.received["gw1", LOG] = ((1, 9), (11, 100))
    centre.saw(((1, 130),), unsettled=50)
    assert [ask.seqs for ask in centre.due()] == [((10, 10),)]
    assert centre.asking.missing("gw1") == 31


def test_a_gateway_that_answers_nothing_is_not_asked_at_the_links_speed() -> None:
    centre = Centre()
    centre.saw(((1, 3),))
    (ask,) = centre.due()
    for empty in (Outcome.QUEUED, "a word of later"):
        assert centre.answer(ask, empty, queued=((7, 9),)) == (LOG, EMPTY)
        assert centre.due() == []
        centre.now_s += REST_S
        (ask,) = centre.due()


def test_an_answer_from_another_gateway_or_run_changes_nothing() -> None:
    centre = Centre()
    centre.saw(((1, 3),))
    (ask,) = centre.due()
    stranger = CommandAck(ask.id, Outcome.GONE, LOG, gone=((1, 3),))
    assert centre.asking.answered("gw2", stranger, centre.now_s) == ("", EMPTY)
    older = CommandAck("other-1", Outcome.GONE, LOG, gone=((1, 3),))
    assert centre.asking.answered("gw1", older, centre.now_s) == ("", EMPTY)
    assert centre.asking.missing("gw1") == 3


def test_gateways_are_remembered_to_a_limit() -> None:
    centre = Centre()
    for number in range(GATEWAYS_MAX + 5):
        status = GatewayStatus(f"g{number}", online=True, held={LOG: ((1, 1),)})
        centre.asking.saw(status, centre.now_s)
    assert len(centre.asking._gateways) == GATEWAYS_MAX
    assert (centre.asking.missing("g4"), centre.asking.missing("g5")) == (0, 1)
    assert {ask.gateway for ask in centre.due()}.isdisjoint({"g0", "g4"})
