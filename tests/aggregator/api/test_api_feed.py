"""Readings handed in by HTTP: each batch once, each entry with its verdict, durable when told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import FED, NOW_MS, STATIONS, ApiCentre, api_centre

from egret_aggregator.api.times import rfc3339
from egret_aggregator.errors import JournalError
from egret_aggregator.journal import Entry, Journal
from egret_aggregator.recorder import Recorder, Work
from egret_aggregator.store import MemoryStore, Note
from egret_aggregator.tokens import Role
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATH = "/api/v1/readings"
TIME = "2017-08-18T00:00:00Z"
TIME_MS = 1_503_014_400_000


def one(**more: Any) -> dict[str, Any]:
    plain = {"station": "st0009", "channel": "wl", "time": TIME, "value": 3.42, "unit": "m"}
    return {**plain, "datum": "Bureau", **more}


def temperature(**more: Any) -> dict[str, Any]:
    return {**one(channel="temp", unit="degC", value=7.5), "datum": "", **more}


@asynccontextmanager
async def fed(tmp_path: Path) -> AsyncIterator[ApiCentre]:
    async with api_centre(tmp_path, stations=STATIONS + FED) as centre:
        await centre.admit(Role.FEEDER)
        yield centre


async def hand(centre: ApiCentre, batch: str, *entries: Any, role: str = "feeder") -> Any:
    return await centre.post(PATH, role, json={"batch": batch, "readings": list(entries)})


async def journalled(journal: Journal) -> list[Entry]:
    return await journal.read({}, 1000)


async def taken(journal: Journal) -> list[Reading]:
    return [r for entry in await journalled(journal) for r in journal.readings(entry).dated]


async def test_what_is_accepted_is_journalled_under_a_name_no_gateway_can_have(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as centre:
        answer = await hand(centre, "b1", one(), temperature(value=None, flag=4, reasons=["RANGE"]))
        assert answer.json() == {
            "batch": "b1",
            "source": "feed:feeder1",
            "replayed": False,
            "accepted": 2,
            "refused": [],
        }
        (entry,) = await journalled(centre.journal)
        assert (entry.gateway, entry.seq) == ("feed:feeder1", 1)
        assert await taken(centre.journal) == [
            Reading("st0009", "wl", TIME_MS, 3.42),
            Reading("st0009", "temp", TIME_MS, None, None, 4, 2),
        ]


async def test_the_same_batch_again_is_answered_as_at_first_and_other_content_is_a_conflict(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as centre:
        first = (await hand(centre, "b1", one(), one(unit="kPa"))).json()
        again = (await hand(centre, "b1", one(), one(unit="kPa"))).json()
        assert (first["accepted"], len(first["refused"])) == (1, 1)
        assert again == {**first, "replayed": True}
        other = await hand(centre, "b1", one(value=9.0))
        assert (other.status_code, other.json()["code"]) == (409, "batch_conflict")
        assert len(await journalled(centre.journal)) == 1
        # The word is the sender's own: another source may use it, too.
        assert (await hand(centre, "b1", one(value=9.0), role="admin")).status_code == 200


async def test_many_at_once_are_each_taken_once(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        sent = [(f"b{n % 6}", one(time=rfc3339(TIME_MS + n % 6))) for n in range(24)]
        answers = await asyncio.gather(*(hand(centre, batch, entry) for batch, entry in sent))
        assert {answer.status_code for answer in answers} == {200}
        assert sum(not answer.json()["replayed"] for answer in answers) == 6
        entries = await journalled(centre.journal)
        assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
        assert len({entry.log for entry in entries}) == 1


async def test_a_batch_is_known_after_a_restart(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        await hand(centre, "b1", one())
    async with fed(tmp_path) as centre:
        assert (await hand(centre, "b2", one(value=2.0))).json()["replayed"] is False
        assert (await hand(centre, "b1", one())).json()["replayed"] is True
        assert [entry.seq for entry in await journalled(centre.journal)] == [1, 2]


async def test_words_are_forgotten_after_35_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.journal.words.FORGET_EVERY", 1)
    async with fed(tmp_path) as centre:
        await hand(centre, "b1", one())
        later = centre.context.feed.journal
        _, state = await later.load("feed:feeder1")
        assert set(state) == {"b1"}
        object.__setattr__(centre.context.feed, "now_ms", lambda: NOW_MS + 36 * 86_400_000)
        await hand(centre, "b2", one(value=2.0))
        _, state = await later.load("feed:feeder1")
        assert set(state) == {"b2"}


async def test_the_words_of_one_source_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.journal.words.FORGET_EVERY", 1)
    monkeypatch.setattr("egret_aggregator.journal.words.WORDS_MAX", 2)
    async with fed(tmp_path) as centre:
        clock = iter(range(NOW_MS, NOW_MS + 10))
        object.__setattr__(centre.context.feed, "now_ms", lambda: next(clock))
        for n in range(5):
            await hand(centre, f"b{n}", one(time=rfc3339(TIME_MS + n)))
        _, state = await centre.journal.load("feed:feeder1")
        assert set(state) == {"b2", "b3", "b4"}  # the newest joins after the look
        assert len(await journalled(centre.journal)) == 5


BAD: tuple[tuple[dict[str, Any] | Any, str, str], ...] = (
    (one(value="3,42"), "not_a_number", "decimal point"),
    (one(value="3.42"), "not_a_number", "'3.42'"),
    (one(value=True), "not_a_number", "True"),
    (one(value=10**400), "not_a_number", "finite"),
    (one(unit="kPa"), "wrong_unit", "cannot measure water_level"),
    (one(unit="furlong"), "wrong_unit", "furlong"),
    (one(unit=None), "wrong_unit", "'m'"),
    (one(datum="Sea"), "wrong_datum", "Bureau"),
    (one(datum=""), "wrong_datum", "Bureau"),
    (one(time="2017-08-18T00:00:00"), "bad_time", "offset"),
    (one(time="18.08.2017 00:00"), "bad_time", "RFC 3339"),
    (one(time=TIME_MS), "bad_time", "RFC 3339"),
    (one(time="9999-12-31T23:59:59Z"), "bad_time", "RFC 3339"),
    (one(station="st0007"), "not_yours", "XM-TA-0042"),
    (one(channel="nothing"), "unknown_channel", "have it added"),
    (one(station=7), "unknown_channel", "7/wl"),
    (one(flag=5), "bad_quality", "1, 2, 3, 4 or 9"),
    (one(flag=1.0), "bad_quality", "1.0"),
    (one(value=None, flag=1), "bad_quality", "missing"),
    (one(reasons="RANGE"), "bad_quality", "list"),
    (one(reasons=["WRONG"]), "bad_quality", "WRONG"),
    (one(colour="red"), "unknown_key", "colour"),
    ([1], "not_an_object", "object"),
    (None, "not_an_object", "object"),
)


async def test_each_entry_has_its_verdict_and_a_remedy(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        entries = [entry for entry, _, _ in BAD]
        body = (await hand(centre, "b1", *entries, one())).json()
        assert body["accepted"] == 1
        assert [item["at"] for item in body["refused"]] == list(range(len(BAD)))
        for item, (entry, why, remedy) in zip(body["refused"], BAD, strict=True):
            assert (item["why"], remedy in item["detail"]) == (why, True), (entry, item)
        assert len(await taken(centre.journal)) == 1


async def test_nan_is_no_number_and_a_batch_of_nothing_good_keeps_its_word_free(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as centre:
        text = '{"batch": "b1", "readings": [{"station": "st0009", "channel": "wl",'
        text += f' "time": "{TIME}", "value": NaN, "unit": "m", "datum": "Bureau"}}]}}'
        headers = {"Content-Type": "application/json"}
        answer = await centre.post(PATH, "feeder", content=text, json=None, headers=headers)
        assert answer.json()["refused"][0]["why"] == "not_a_number"
        assert await journalled(centre.journal) == []
        assert (await hand(centre, "b1", one())).json()["accepted"] == 1


async def test_two_of_one_identity_in_a_batch(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        body = (await hand(centre, "b1", one(), one(), one(value=1.0))).json()
        assert [item["why"] for item in body["refused"]] == ["duplicate", "conflict"]
        assert [r.value for r in await taken(centre.journal)] == [3.42]


async def test_units_are_turned_into_the_canonical_one(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        await hand(centre, "b1", one(value=342, unit="cm"), temperature(value=50, unit="degF"))
        assert [r.value for r in await taken(centre.journal)] == [3.42, 10.0]


@pytest.mark.parametrize("role", ["viewer", "officer"])
async def test_who_reads_does_not_feed_and_who_feeds_does_not_read(
    tmp_path: Path, role: str
) -> None:
    async with fed(tmp_path) as centre:
        assert (await hand(centre, "b1", one(), role=role)).status_code == 403
        assert (await centre.get("/api/v1/latest", "feeder")).status_code == 403


async def test_what_an_administrator_brings_in_is_stored_and_noted_whoever_owns_the_channel(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as centre:
        owned = one(station="st0007", datum="Luoling")
        assert (await hand(centre, "b1", owned, role="admin")).json()["source"] == "import:admin1"
        await hand(centre, "b2", one(time="2017-08-18T01:00:00Z"))
        places = centre.context.places
        known = {(place.station, place.channel) for place in places.places()}
        recorder = Recorder(centre.journal, MemoryStore(), owner=places.owner, known=known)
        work = Work([], [], [], [])
        recorder.add(await journalled(centre.journal), work)
        assert [(r.station, r.notes) for r in work.rows] == [
            ("st0007", Note.IMPORTED),
            ("st0009", Note.NONE),
        ]
        assert work.asides == []


async def test_a_journal_that_takes_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fed(tmp_path) as centre:
        desk = centre.journal._desk
        with monkeypatch.context() as patch:
            patch.setattr(desk, "_room_b", 1)
            answer = await hand(centre, "b1", one())
            assert (answer.status_code, answer.json()["code"]) == (503, "not_taking")
            assert int(answer.headers["retry-after"]) > 0

        async def fails(*_: object) -> None:
            raise JournalError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "feed", fails)
            assert (await hand(centre, "b1", one())).json()["code"] == "not_taking"
        assert (await hand(centre, "b1", one())).json()["replayed"] is False


async def test_limits_of_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with fed(tmp_path) as centre:
        for body in ({"batch": "b 1", "readings": [one()]}, {"batch": "b", "readings": []}):
            assert (await centre.post(PATH, "feeder", json=body)).json()[
                "code"
            ] == "invalid_request"
        many = [one()] * 1001
        assert (await hand(centre, "b1", *many)).status_code == 400
        monkeypatch.setattr("egret_core.codec.PAYLOAD_MAX_B", 10)
        answer = await hand(centre, "b1", one())
        assert (answer.status_code, answer.json()["code"]) == (413, "batch_too_large")


async def test_a_feed_is_no_gateway(tmp_path: Path) -> None:
    async with fed(tmp_path) as centre:
        items = (await centre.get("/api/v1/gateways")).json()["items"]
        assert [item["id"] for item in items] == ["XM-TA-0042", "XM-TA-0043"]
