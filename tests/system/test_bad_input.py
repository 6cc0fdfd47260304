"""Bad input on a line that runs: each is named or set aside, and the line loses nothing by it.

One centre, one broker, one box on one gauge run through all of this file. The gauge serves
serials, each once; after every story, what the box had committed is stored, each serial once.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import zlib
from typing import TYPE_CHECKING

import httpx2
import pytest
import pytest_asyncio
from rig import batches
from rig.console import CENTRE, GATEWAY, typed
from rig.drill import SETTLE_S
from rig.gauge import Gauge
from rig.line import Field, until
from rig.running_line import HAND, Line, running_line
from rig.seat import Seat, ms

from egret_core.codec import payload_hash
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]
FAR_MS = 4_102_444_800_000  # 2100-01-01


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    async with running_line(tmp_path_factory.mktemp("line")) as running:
        yield running


DEVICE = """[[bus.device]]
profile = "generic-stage-u16"
unit = 1
station = "st9"
period_s = 1
[bus.device.channels.stage]
channel = "wl"
datum = "gauge"
"""
WRONG_BOX = {
    "wrong key": ("baud = ", "baude = ", "bus[0].baude = 115200: unknown key (did you mean 'baud'"),
    "wrong type": ("baud = 115200", 'baud = "fast"', "bus[0].baud = 'fast': write a whole number"),
    "no number": ("cut_s = 0.1", "cut_s = nan", "bus[0].cut_s = nan: write a number from 0 to"),
    "duplicate address": (
        *('datum = "gauge"\n', f'datum = "gauge"\n{DEVICE}'),
        "bus[0].device[1].unit = 1: bus[0].device[0] has this address too: give one device another",
    ),
    "unknown unit": ("unit = 1", "unit = 256", "bus[0].device[0].unit = 256: write a whole number"),
    "unknown profile": ("generic-stage-u16", "generic-stage", "no such profile (did you mean"),
    "station with /": ('"st1"', '"st/1"', "bus[0].device[0].station = 'st/1': an id is 1 to 48 of"),
    "channel with +": ('"wl"', '"w+l"', "channels.stage.channel = 'w+l': an id is 1 to 48 of"),
    "datum missing": ('datum = "gauge"\n', "", "datum = None: a water_level needs the name of its"),
    "datum unlike": (
        *('datum = "gauge"\n', 'datum = "gauge"\nwatch_at = { value = 3, unit = "m" }\n'),
        "channels.stage.watch_at.datum = None: write the channel's own datum, 'gauge'",
    ),
}


async def test_a_wrong_setting_of_a_box_is_named_before_any_port_opens(line: Line) -> None:
    right = line.field.config.read_text()
    for name, (old, new, words) in WRONG_BOX.items():
        assert old in right, name
        path = line.folder / "wrong.toml"
        path.write_text(right.replace(old, new, 1))
        checked, ran = await asyncio.gather(
            typed(GATEWAY, "check", path), typed(GATEWAY, "run", path)
        )
        for said in (checked, ran):
            assert (said.code, said.out) == (1, ""), name
            assert said.err.startswith(f"egret-gateway: {path}: "), name
            assert words in said.err, name
            assert said.err.count("\n") == 1, "one line, and no traceback"
    await line.nothing_lost()


WRONG_CENTRE = {
    "wrong key": ("aggregator.toml", "[api]\nhost", "[api]\nhots", "did you mean 'host'?"),
    "unknown station": ("catalogue/rules.toml", "st2/wl", "st7/wl", "rules.toml: rule[0].channels"),
    "datum unlike": ("catalogue/rules.toml", '"gauge"', '"Luoling"', "datum = 'Luoling'"),
    "no number": ("catalogue/rules.toml", "raise = 3.0", "raise = nan", "nan: write a number"),
}


async def test_a_wrong_setting_of_the_centre_is_named_by_file_and_key(line: Line) -> None:
    async def case(name: str) -> None:
        file, old, new, words = WRONG_CENTRE[name]
        folder = line.folder / name.replace(" ", "-")
        shutil.copytree(line.centre.folder / "catalogue", folder / "catalogue")
        text = line.centre.config.read_text().replace(str(line.centre.folder), str(folder))
        (folder / "aggregator.toml").write_text(text)
        right = (folder / file).read_text()
        assert old in right, name
        (folder / file).write_text(right.replace(old, new, 1))
        said = await typed(CENTRE, "check", folder / "aggregator.toml")
        assert (said.code, said.out) == (1, ""), name
        assert f"{folder / file}: " in said.err, name
        assert words in said.err, name
        assert "Traceback" not in said.err, name
        assert not (folder / "data").exists(), name

    await asyncio.gather(*(case(name) for name in WRONG_CENTRE))
    await line.nothing_lost()


async def test_a_port_that_is_missing_or_busy_is_named_and_its_readings_say_so(line: Line) -> None:
    text = line.field.config.read_text()
    away = line.folder / "away.toml"
    away.write_text(text.replace(str(line.gauge.path), "/dev/serial/by-id/none"))
    third = Field(line.folder / "third", "gw3", line.port, line.gauge.path, period_s=0.2)
    third.config.write_text(third.config.read_text().replace('"st1"', '"st3"'))
    away.write_text(away.read_text().replace(str(line.field.data), str(third.data)))
    missing, busy = await asyncio.gather(
        typed(GATEWAY, "read", away), typed(GATEWAY, "read", third.config)
    )
    assert (missing.code, missing.out) == (3, "")
    assert "/dev/serial/by-id/none: missing" in missing.err
    assert "plug the adapter in" in missing.err
    assert (busy.code, busy.out) == (3, "")
    assert f"{line.gauge.path}: busy" in busy.err
    assert "another program holds the port" in busy.err
    await third.start()
    try:
        await until(lambda: says(line, "st3", "PORT"), "the second user of the port says so")
        assert (await line.status("gw3"))["buses"]["bus0"]["fault"] == "busy"
    finally:
        assert await third.stop() == 0
    assert all(value is None for _, value, _ in line.centre.rows("st3", "wl"))
    await line.nothing_lost()


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ("baud = 115200", "baud = 9600", "no answer: check unit, baud 9600 and parity N"),
        ("unit = 1\n", "unit = 9\n", "no answer: check unit, baud 115200 and parity N"),
    ],
    ids=["wrong baud", "no such unit"],
)
async def test_what_is_asked_wrongly_gives_no_value_and_says_what_to_look_at(
    line: Line, old: str, new: str, remedy: str
) -> None:
    with Gauge(314) as gauge:
        field = Field(line.folder / remedy[-30:], "gw3", line.port, gauge.path, period_s=0.2)
        right = field.config.read_text().replace('"st1"', '"st3"')
        field.config.write_text(right.replace(old, new))
        said = await typed(GATEWAY, "read", field.config)
        assert said.code == 3
        assert f"timeout: {remedy}" in said.out
        await field.start()
        await until(lambda: says(line, "st3", "TIMEOUT"), "the centre is told that it is silent")
        await field.stop()
        field.config.write_text(right)
        await field.start()
        await until(lambda: says(line, "st3"), "once it is mended the readings are good")
        await field.stop()
    values = {raw for _, _, raw in line.centre.rows("st3", "wl")}
    assert values == {None, 314.0}
    await line.nothing_lost()


async def says(line: Line, station: str, *reasons: str) -> bool:
    """Whether the newest reading of a station has exactly these reasons, and a value for none."""
    reading = await Seat(line.centre).latest(station, "wl")
    right = bool(reading) and reading["reasons"] == list(reasons)
    return right and (reading["value"] is None) is bool(reasons)


async def test_the_api_says_what_is_wrong_with_a_question(line: Line) -> None:
    good = {"Authorization": f"Bearer {line.centre.token}"}
    words = line.centre.token.split("_")
    forged = {"Authorization": f"Bearer {'_'.join(words[:-1])}_{'A' * len(words[-1])}"}
    readings = "/api/v1/stations/st1/channels/wl/readings"
    span = {"from": "2026-11-22T12:00:00Z", "to": "2026-11-22T13:00:00Z"}
    back = {"from": span["to"], "to": span["from"]}
    cases: list[tuple[str, dict[str, str], dict[str, str], int, str]] = [
        ("/api/v1/warnings", {}, {}, 401, "token_missing"),
        ("/api/v1/warnings", {}, forged, 401, "token_unknown"),
        ("/api/v1/warnings", {}, {"Authorization": "Bearer nonsense"}, 401, "token_malformed"),
        (readings, back, good, 400, "from_after_to"),
        (readings, {**span, "to": "tomorrow"}, good, 400, "bad_time"),
        ("/api/v1/stations/st8", {}, good, 404, "unknown_station"),
        ("/api/v1/stations/st1/channels/xx/readings", span, good, 404, "unknown_channel"),
    ]
    async with httpx2.AsyncClient(base_url=line.centre.url, timeout=20) as client:
        for path, query, headers, status, code in cases:
            answer = await client.get(path, params=query, headers=headers)
            found = (answer.status_code, answer.json()["code"])
            assert found == (status, code), path
            assert answer.headers["content-type"] == "application/problem+json"
            assert line.centre.token not in answer.text
        assert (await client.get(readings, params=span, headers=good)).status_code == 200
    await line.nothing_lost()


async def test_batches_that_can_never_be_taken_are_refused_by_name(line: Line) -> None:
    now_ms = await line.now_ms()
    own = batches.payload(900, [Reading("st2", "wl", now_ms, 9.0)], gateway=HAND)
    bad = {
        b"{" + b" " * 200_000 + b"}": "too_large",
        zlib.compress(b'{"v":1,' + b" " * 5_000_000 + b"}"): "bomb",
        own.replace(b'"gw2"', b'"g/2"'): "malformed",
        own.replace(b'"gw2"', b'"g+2"'): "malformed",
        own.replace(b'"gw2"', b'"gw1"'): "foreign",
        own[:-20]: "unreadable",
    }
    async with line.hand() as hand:
        for body in bad:
            await hand.send()
            await hand.like.raw(body)
            await hand.send()
        await hand.like.until(lambda: len(hand.like.rejected) == len(bad))
        assert set(hand.like.rejected) == {(payload_hash(body), why) for body, why in bad.items()}
    assert 9.0 not in [value for _, value, _ in line.centre.rows("st2", "wl")]
    counts = (await line.status(HAND))["counts"]
    names = sorted(set(bad.values()))
    assert {name: counts[f"refused_{name}"] for name in names} == {
        name: list(bad.values()).count(name) for name in names
    }
    await line.nothing_lost()


async def test_what_nobody_may_publish_is_counted_and_shown(line: Line) -> None:
    before = await line.figure("egret_intake_strange_total")
    async with line.hand() as hand:
        await hand.send()
        assert hand.like._client is not None
        for name in ("centre", "gw.2", "x" * 49):
            await hand.like._client.publish(f"egret/v1/{name}/data", b"{}", qos=1)
        await hand.send()

        async def counted() -> bool:
            return await line.figure("egret_intake_strange_total") == before + 3

        await until(counted, "topics that are nobody's are counted")
    await line.nothing_lost()


async def test_one_bad_entry_is_set_aside_and_its_batch_is_taken(line: Line) -> None:
    now_ms = await line.now_ms()
    entries = [
        {"s": "st2", "c": "wl", "t": 0, "v": 1.25},
        {"s": "st/2", "c": "wl", "t": 1, "v": 1.0},
        {"s": "st2", "c": "w+l", "t": 2, "v": 1.0},
        {"s": "st2", "c": "wl", "t": 3, "v": "NaN"},
        {"s": "st2", "c": "wl", "t": 4, "v": 1.5},
        {"s": "st1", "c": "wl", "t": 5, "v": 7.0},  # another gateway's channel
        {"s": "stX", "c": "wl", "t": 6, "v": 8.0},  # a station nobody knows
    ]
    first = Reading("st2", "wl", now_ms, 0.0)
    body = batches.payload(1, [first], gateway=HAND, log="f" * 32, entries=entries)
    if body[:1] != b"{":
        body = zlib.decompress(body)
    body = zlib.compress(body.replace(b'"NaN"', b"NaN"))
    before = await line.why(HAND)
    async with line.hand() as hand:
        await hand.send()
        await hand.like.raw(body)
        await hand.like.until(lambda: any(a.got and a.log == "f" * 32 for a in hand.like.acks))
        await hand.send()
    assert (await line.why(HAND))[len(before) :] == [
        "foreign",
        "bad_entry: s or c is not an id",
        "bad_entry: s or c is not an id",
        "bad_entry: t, v or r is not a number",
    ]
    rows = {time_ms - now_ms: value for time_ms, value, _ in line.centre.rows("st2", "wl")}
    assert (rows[0], rows[4]) == (1.25, 1.5)
    assert 3 not in rows
    assert [value for _, value, _ in line.centre.rows("stX", "wl")] == [8.0], "stored, and shown:"
    latest = (await line.centre.get("/latest"))["items"]
    assert [item["known"] for item in latest if item["station"] == "stX"] == [False]
    await line.nothing_lost()


async def test_a_batch_of_1970_and_one_of_2100_neither_alarm_nor_hide_a_flood(line: Line) -> None:
    seat = Seat(line.centre)
    async with line.hand() as hand:
        await hand.send()
        for seq, time_ms, value in ((501, 0, 99.0), (502, FAR_MS, 1.0)):
            body = batches.payload(
                seq,
                [Reading("st2", "wl", time_ms, value)],
                gateway=HAND,
                log=hand.like.log,
                cut_ms=time_ms,
            )
            hand.like.outbox[seq] = body
            await hand.like.send(seq)
        await hand.like.until(lambda: {501, 502} <= hand.like.settled)
        await hand.send()
        assert await seat.warnings("river-level") == [], "half a century ago is no flood now"
        assert (await seat.latest("st2", "wl"))["time"][:4] not in ("1970", "2100")
        onset = await hand.send(3.5)
        warning = await seat.warning("river-level", phase="settled")
        assert (warning["level"], ms(warning["onset"])) == ("red", onset)
    page = await line.centre.get(
        "/stations/st2/channels/wl/readings",
        **{"from": "2099-12-31T00:00:00Z", "to": "2100-01-02T00:00:00Z"},
    )
    assert [item["notes"] for item in page["items"]] == [["CLOCK_AHEAD"]]
    rows = {time_ms: value for time_ms, value, _ in line.centre.rows("st2", "wl")}
    assert (rows[0], rows[FAR_MS]) == (99.0, 1.0), "both are stored"
    await line.nothing_lost()


async def test_one_identity_with_two_contents_keeps_the_first_and_shows_the_second(
    line: Line,
) -> None:
    before = await line.why(HAND)
    conflicts = await line.figure("egret_recorder_conflicts_total")
    async with line.hand() as hand:
        time_ms = await hand.send(1.0)
        await hand.like.until(lambda: 1 in hand.like.settled)
        kept = hand.like.outbox[1]
        other = hand.like.cut(1, [Reading("st2", "wl", time_ms, 2.0)])
        await hand.like.raw(other)
        await hand.like.until(lambda: (payload_hash(other), "conflict") in hand.like.rejected)
        hand.like.outbox[1] = kept
        # The same reading in a batch of its own: another identity on the wire, one in the series.
        hand.like.cut(700, [Reading("st2", "wl", time_ms, 3.0)])
        await hand.like.send(700)
        await hand.like.until(lambda: 700 in hand.like.settled)
        await hand.send()

        async def counted() -> bool:
            return await line.figure("egret_recorder_conflicts_total") == conflicts + 1

        await until(counted, "the second value is counted")
    assert [value for at, value, _ in line.centre.rows("st2", "wl") if at == time_ms] == [1.0]
    assert (await line.why(HAND))[len(before) :] == ["conflict", "value_conflict"]
    page = await line.centre.get("/asides", limit=1000)
    shown = [item for item in page["items"] if item["why"] == "value_conflict"]
    assert [json.loads(item["body"])["value"] for item in shown] == [3.0]
    await line.nothing_lost()


async def test_an_older_image_written_back_to_the_card_loses_and_overwrites_nothing(
    line: Line,
) -> None:
    image = line.folder / "image"
    await line.field.stop()
    shutil.copytree(line.field.data, image)
    await line.field.start()
    await line.nothing_lost()
    await line.nothing_lost()
    await line.field.stop()
    await line.nothing_waits()
    log = (await line.status("gw1"))["current_log"]
    shutil.rmtree(line.field.data)
    image.rename(line.field.data)
    await line.field.start()

    async def another_log() -> bool:
        return (await line.status("gw1"))["current_log"] not in ("", log)

    await until(another_log, "the box opens a log of its own", SETTLE_S)
    await line.nothing_lost()
    assert "conflict" in await line.why("gw1"), "what bore a used number is shown"
    assert (await line.status("gw1"))["counts"]["conflict"] >= 1
