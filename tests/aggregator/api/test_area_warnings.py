"""A warning of an area: no station of its own, and evidence that lists its inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rig.events import STORM_MS, event
from rig.jointbook import PLACES, QUIET, RIVERS, VOTED, scene
from rig.rulebook import GATEWAY, at, fold_of, play, reading

from egret_aggregator.api.shown import event_shown
from egret_aggregator.warnings.fold import event_json
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

    from egret_core.rules.event import ConditionEvent

LIST = "/api/v1/warnings"
EVIDENCE = {
    "holding": 2,
    "need": 2,
    "of": 3,
    "stage1_since_ms": STORM_MS,
    "inputs": [
        {"rule": "river@1", "subject": "st0007/wl", "level": "red", "since_ms": STORM_MS},
        {"rule": "river@1", "subject": "st0008/wl", "level": "", "since_ms": None},
    ],
    "missing": [{"subject": "st0008/wl", "last_good_ms": None}],
    "words": ["a", "b"],
}


def area(change: str, rank: int, minute: int = 0) -> ConditionEvent:
    one = event(change, rank, minute, subject="area/upper-basin", rule="agreed@1a2b3c4d")
    return replace(one, evidence=EVIDENCE)


def test_instants_within_the_inputs_are_shown_as_all_others() -> None:
    told = event_shown(event_json(area("raised", 4)))["evidence"]
    midnight = "2017-08-18T00:00:00.000Z"
    assert told["stage1_since"] == midnight
    assert [row["since"] for row in told["inputs"]] == [midnight, None]
    assert told["missing"] == [{"subject": "st0008/wl", "last_good": None}]
    assert told["words"] == ["a", "b"]


async def test_it_is_listed_without_a_station_and_shows_its_inputs(centre: ApiCentre) -> None:
    first = area("raised", 3)
    await centre.ledger.take([first, area("upgraded", 4, 5), area("eased", 3, 9)])
    (item,) = (await centre.get(LIST)).json()["items"]
    assert (item["subject"], item["station"], item["level"]) == ("area/upper-basin", "", "red")
    assert (item["condition"], item["holding_level"]) == ("eased", "orange")
    body = (await centre.get(f"{LIST}/{first.id}")).json()
    told = [line["event"]["evidence"]["inputs"] for line in body["history"]]
    assert [rows[0]["subject"] for rows in told] == ["st0007/wl"] * 3
    assert told[0][0]["since"] == "2017-08-18T00:00:00.000Z"


async def test_what_the_fold_says_of_an_area_goes_on_record_and_falls_by_a_person(
    centre: ApiCentre,
) -> None:
    river = scene(*QUIET, (300, 1, 4.5), (600, 2, 5.5), (660, 1, 5.5), (660, 2, 0), until=1200)
    fold = fold_of(PLACES, VOTED)
    await centre.ledger.take(play(fold, river))
    items = {item["subject"]: item for item in (await centre.get(LIST)).json()["items"]}
    assert set(items) == {"st1/wl", "st2/wl", "area/vote"}
    assert (items["area/vote"]["level"], items["area/vote"]["phase"]) == ("red", "settled")
    rows = [reading(second, 1.0, one) for second in (5000, 5060) for one in RIVERS]
    late = [Receipt(GATEWAY, at(5061), rows), *(Tick(at(s)) for s in range(5070, 5200, 10))]
    await centre.ledger.take(play(fold, late))
    items = {item["subject"]: item for item in (await centre.get(LIST)).json()["items"]}
    vote = items["area/vote"]
    assert (vote["level"], vote["holding_level"], vote["condition"]) == ("red", "", "returned")
