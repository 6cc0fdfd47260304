"""Bodies that once ended the centre at every start: they are refused, and nobody else pays.

A status is retained and a batch is resent, so what ends a reader ends it again after each restart.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from rig import batches
from rig.centre_half import CentreHalf, broker, joined, until
from rig.gatewaylike import GatewayLike

from egret_core.messages import TIME_MAX_MS, Kind
from egret_core.reading import Reading
from egret_core.topics import Leaf, of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

STATUS = (
    '{"v":1,"gw":"gw9","state":"online","held":{},"cur":%s,"outbox":{},'
    '"clk":{"src":"ntp","off_ms":0},"buses":{"b":{"x":%s}},"now":%s}'
)


@pytest.mark.parametrize(
    "body",
    [
        STATUS % ('""', "1", "1e999"),
        STATUS % ('""', "1e999", "1"),
        STATUS % ('"\\ud800"', "1", "1"),
        STATUS % ('""', "[" * 500 + "]" * 500, "1"),
    ],
    ids=["infinite time", "infinite figure", "half a character", "deep"],
)
async def test_a_retained_status_that_spoils_readers_costs_the_others_nothing(
    tmp_path: Path, body: str
) -> None:
    async with broker(tmp_path / "broker") as port:
        async with aiomqtt.Client("127.0.0.1", port, identifier="poison") as client:
            await client.publish(of("gw9", Leaf.STATUS), body.encode(), qos=1, retain=True)
        async with (
            CentreHalf(tmp_path, port).running() as centre,
            GatewayLike(port) as gateway,
        ):
            gateway.cut(1)
            await gateway.status()
            await gateway.send(1)
            await gateway.until(lambda: gateway.settled == {1})
            await centre.recorded()
            views = {view.id: view for view in centre.intake.gateways()}
            assert views["gw9"].counts == {"refused_malformed": 1}
            assert not views["gw9"].online
            assert views["gw1"].held == {batches.LOG: ((1, 1),)}


async def test_spoilt_entries_of_every_kind_are_shown_and_their_batches_settled(
    tmp_path: Path,
) -> None:
    loss = {
        "log": batches.OTHER_LOG,
        "seqs": [[1, 2]],
        "from_ms": None,
        "to_ms": None,
        "channels": [],
        "count": "INFINITE",
        "why": "space",
    }
    meta = {
        "station": "st1",
        "channel": "wl",
        "quantity": "water_level",
        "unit": "m",
        "datum": "\ud800",
    }
    spoilt = [{"s": "st1", "c": "\ud800", "t": 0, "v": 1.0}]
    bodies = {
        1: _payload(1, Kind.LOSS, [loss]).replace(b'"INFINITE"', b"1e999"),
        2: _payload(2, Kind.META, [meta]),
        3: _payload(3, Kind.READINGS, spoilt),
        4: _payload(4, Kind.LOSS, [{**loss, "count": 1, "why": "\ud800"}]),
    }
    async with joined(tmp_path) as (centre, gateway):
        gateway.outbox |= bodies
        gateway.cut(5)
        await gateway.send(1, 2, 3, 4, 5)
        await gateway.until(lambda: gateway.settled == {1, 2, 3, 4, 5})
        await centre.recorded()
        whys = [kept.aside.why for kept in await centre.store.asides(9)]
        assert sorted(whys) == [
            "bad_entry: a fact is not plain JSON",
            "bad_entry: loss: not plain JSON",
            "bad_entry: loss: not plain JSON",
            "bad_entry: s or c is not an id",
        ]
        assert centre.recorder.recorded == 3


async def test_a_reading_that_has_no_date_is_shown_and_one_of_9998_is_stored(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (centre, gateway):
        far = TIME_MAX_MS + 1
        gateway.cut(1, [Reading("st1", "wl", far, 2.0), Reading("st1", "wl", TIME_MAX_MS, 3.0)])
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        await until(lambda: centre.recorder.recorded == 1)
        assert [kept.aside.why for kept in await centre.store.asides(9)] == [
            "bad_entry: t is not within the years 1 to 9998"
        ]


def _payload(seq: int, kind: Kind, entries: list[dict[str, object]]) -> bytes:
    """Return a batch with escapes that the honest encoder does not write."""
    head = json.loads(batches.payload(seq, entries=[], kind=kind))
    return json.dumps({**head, "e": entries}).encode()
