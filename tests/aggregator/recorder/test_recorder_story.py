"""A long mixed story, interrupted at random: every entry ends in exactly one place, once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from rig.batches import LOG, T0_MS, incoming

from egret_aggregator import recorder as module
from egret_aggregator.errors import StoreError
from egret_aggregator.journal import Journal, Verdict
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import Note, SqliteStore
from egret_aggregator.supervision import ended
from egret_core.messages import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.journal import Incoming

OWNED = {("st1", "wl"): "gw1", ("st1", "rain"): "gw1", ("st2", "wl"): "gw2"}
CHANNELS = [*OWNED, ("st9", "temp")]
GATEWAYS = ("gw1", "gw2")
BATCHES = 300
PATIENCE_S = 60.0


class Model:
    """Where everything should be: rows by identity, and how often each thing is set aside."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], tuple[float | None, int]] = {}
        self.asides: Counter[tuple[str, str, int]] = Counter()
        self.conflicts: set[tuple[object, ...]] = set()

    def reading(self, item: Incoming, entry: dict[str, Any], time_ms: int) -> bool:
        """Take a dated reading; tell whether it is foreign."""
        key = (entry["s"], entry["c"])
        if OWNED.get(key, item.gateway) != item.gateway:
            return True
        notes = Note.NONE if key in OWNED else Note.UNKNOWN_CHANNEL
        first = self.rows.setdefault((*key, time_ms), (entry["v"], int(notes)))
        if first[0] != entry["v"]:
            self.conflicts.add((item.gateway, item.seq, *key, time_ms, entry["v"]))
        return False


class Story:
    """Batches of every kind, from one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.model = Model()
        self.seqs: Counter[str] = Counter()
        self.sent: list[Incoming] = []

    def batch(self) -> Incoming:
        """Return the next batch, and enter it in the model."""
        if self.sent and self.chance.random() < 0.1:
            return self.chance.choice(self.sent)  # a resend: the journal knows it
        make = self.chance.choice([self._readings] * 6 + [self._loss, self._later, self._meta])
        gateway = self.chance.choice(GATEWAYS)
        self.seqs[gateway] += 1
        item = make(gateway, self.seqs[gateway])
        self.sent.append(item)
        return item

    def _readings(self, gateway: str, seq: int) -> Incoming:
        entries = [self._entry() for _ in range(self.chance.randrange(1, 12))]
        item = incoming(seq, gateway=gateway, entries=entries)
        foreign = False
        for entry in entries:
            if not isinstance(entry, dict) or "x" in entry:
                self.model.asides["bad_entry", gateway, seq] += 1
            elif "t" not in entry:
                key = (entry["s"], entry["c"])
                strange = OWNED.get(key, gateway) != gateway
                self.model.asides["foreign" if strange else "undated", gateway, seq] += 1
            else:
                foreign |= self.model.reading(item, entry, item.batch.base_ms + entry["t"])
        if foreign:
            self.model.asides["foreign", gateway, seq] += 1
        return item

    def _entry(self) -> object:
        dice = self.chance.random()
        if dice < 0.05:
            return self.chance.choice(["text", 7, None, [1]])
        station, channel = self.chance.choice(CHANNELS)
        entry = {"s": station, "c": channel, "v": float(self.chance.randrange(4))}
        if dice < 0.1:
            return {**entry, "s": "st/1", "x": 1}
        if dice < 0.15:
            return entry
        # Few instants, so that identities meet; each value is one of four.
        return {**entry, "t": 10_000 * (self.chance.randrange(200) - self.seqs.total())}

    def _loss(self, gateway: str, seq: int) -> Incoming:
        loss = {
            "log": LOG,
            "seqs": [[9000 + seq, 9000 + seq]],
            "from_ms": None,
            "to_ms": None,
            "channels": [],
            "count": 1,
            "why": "space",
        }
        self.model.asides["loss", gateway, seq] += 1
        return incoming(seq, gateway=gateway, kind=Kind.LOSS, entries=[loss])

    def _later(self, gateway: str, seq: int) -> Incoming:
        self.model.asides["unknown_kind", gateway, seq] += 1
        return incoming(seq, gateway=gateway, kind="picture", entries=[{"at": seq}])

    def _meta(self, gateway: str, seq: int) -> Incoming:
        fact = {"station": "st2", "channel": "wl", "quantity": "water_level", "unit": "m"}
        if gateway != "gw2":
            self.model.asides["foreign", gateway, seq] += 1
        return incoming(seq, gateway=gateway, kind=Kind.META, entries=[fact])


class Disk(SqliteStore):
    """A real store whose writes fail, or whose answers are lost, at random."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        super().__init__(path)
        self.chance = chance

    async def write(self, *args: Any, **more: Any) -> Any:
        dice = self.chance.random()
        if dice < 0.1:
            raise StoreError("not written")
        receipt = await super().write(*args, **more)
        if dice < 0.2:
            raise StoreError("written, and the answer was lost")
        return receipt


async def settled(store: SqliteStore) -> tuple[dict[Any, Any], Counter[Any], int]:
    rows: dict[Any, Any] = {}
    for station, channel in CHANNELS:
        for row in (await store.range(station, channel, 0, 2**50, 10_000)).rows:
            rows[station, channel, row.time_ms] = (row.value, row.notes)
    kept = [item.aside for item in await store.asides(100_000)]
    asides = Counter(
        (aside.why.partition(":")[0], aside.gateway, aside.seq)
        for aside in kept
        if aside.why != "value_conflict"
    )
    return rows, asides, sum(aside.why == "value_conflict" for aside in kept)


@pytest.mark.parametrize("seed", [1, 18_082_017, 99])
async def test_torn_and_resumed_it_ends_where_the_model_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(module, "RETRY_S", (0.0,))
    monkeypatch.setattr(module, "ENTRIES_MAX", 7)
    story, chance = Story(seed), random.Random(seed + 1)
    left = BATCHES
    while left:
        journal = Journal(tmp_path / "journal.db", keep_ms=10**12, max_bytes=2**26)
        store = Disk(tmp_path / "series.db", chance)
        await journal.open()
        await store.open()
        recorder = Recorder(journal, store, owner=lambda *at: OWNED.get(at), known=OWNED)
        await recorder.open()
        task = asyncio.create_task(recorder.run())
        for _ in range(min(left, chance.randrange(1, 60))):
            before = len(story.sent)
            (verdict,) = await journal.append([story.batch()], T0_MS + 10**8)
            new = len(story.sent) > before
            assert verdict is (Verdict.NEW if new else Verdict.DUPLICATE)
            left -= 1
        if left:
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
        else:
            async with asyncio.timeout(PATIENCE_S):
                while recorder.position < journal.head:
                    await asyncio.sleep(0.001)
        await ended([task])
        await journal.close()
        await store.close()
    store = SqliteStore(tmp_path / "series.db")
    await store.open()
    rows, asides, conflicts = await settled(store)
    await store.close()
    assert rows == story.model.rows
    assert asides == story.model.asides
    assert conflicts == len(story.model.conflicts) > 0
