"""One transaction of the journal: what is asked of it, in the writer's thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_aggregator.journal import words
from egret_aggregator.journal.books import Books, Key, Log
from egret_aggregator.journal.entry import Entry, EntryKind
from egret_aggregator.journal.fill import Fill, Level
from egret_aggregator.journal.reading import held
from egret_aggregator.journal.receipt import Verdict
from egret_aggregator.journal.trim import oldest_to_go, remove
from egret_core.partition import ALL, partition_of
from egret_core.sources import is_gateway
from egret_core.topics import Leaf

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from egret_aggregator.journal.pin import Pin
    from egret_aggregator.journal.receipt import Handed, Incoming
    from egret_core.seqranges import Ranges

TRIMMED = ("trim", "upto")  # where the state table keeps how far entries were ever removed
RING_SEEN_MAX = 4096  # identities remembered of untaken fresh batches, so that resends stay out
_ROW_B = 160  # an entry's row, its hash and its share of the indexes, beside the payload
MEASURE_EVERY = 50  # commits between two looks at the file's size and at what may be trimmed


class Taken(NamedTuple):
    """A batch's verdict, and the id of its entry where one was made (0 else)."""

    verdict: Verdict
    entry_id: int


class Outcome(NamedTuple):
    """What a committed transaction added; `ring` holds what was shown but not taken."""

    entries: list[Entry]
    fill: Fill


class Desk:
    """The writer's view of the file; one transaction at a time.

    Args:
        db: the writer's connection.
        keep_ms, max_bytes: the tail kept, and the room there is.
        consumers: names that trimming waits for.
        spare_b: tells how many bytes more the disk lets all files take.
        pin: held by a backup, nothing is trimmed.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        keep_ms: int,
        max_bytes: int,
        consumers: Sequence[str],
        spare_b: Callable[[], int] | None = None,
        *,
        pin: Pin | None = None,
    ) -> None:
        self._pin = pin
        self._spare_b = spare_b
        self._db = db
        self._keep_ms = keep_ms
        self._max_bytes = max_bytes
        self._consumers = tuple(consumers)
        self.books = Books(db)
        self.positions: dict[str, dict[int, int]] = {
            consumer: {int(key): value for key, value in json.loads(text).items()}
            for consumer, text in db.execute("SELECT consumer, positions FROM position")
        }
        self.heads: dict[int, int] = dict(
            db.execute("SELECT partition, max(id) FROM entry GROUP BY partition")
        )
        saved = [value for kept in self.positions.values() for value in kept.values()]
        self._next_id = 1 + max([*self.heads.values(), *saved], default=0)
        self._used_b = self._room_b = 0
        kept = db.execute("SELECT value FROM state WHERE consumer = ? AND key = ?", TRIMMED)
        self.trimmed = int((kept.fetchone() or (0,))[0])
        self._commits = 0
        self._now_ms = 0
        self._ringed: dict[tuple[Key, str], None] = {}
        self._partitions: dict[str, int] = {}
        self._added_b = 0
        self._measure()
        self._clear()

    @property
    def fill(self) -> Fill:
        """Return how full the file is, the running transaction included."""
        return Fill(self._used_b + self._added_b, self._room_b)

    def append(self, batches: Sequence[Incoming], received_ms: int) -> list[Taken]:
        """Judge and take batches; the verdicts hold once the transaction is committed."""
        self._now_ms = received_ms
        hashes = self.books.hashes(batches)
        return [self._one(item, received_ms, hashes) for item in batches]

    def feed(
        self, handed: Handed, make: Callable[[int], Incoming], now_ms: int
    ) -> tuple[Verdict, bytes]:
        """Take a batch by its sender's word, or say what was answered to that word before."""
        key = (handed.source, handed.word)
        known = words.known(self._db, key, self._state.get(key))
        if known is not None:
            same = known.digest == handed.digest
            return (Verdict.DUPLICATE if same else Verdict.CONFLICT), known.answer
        item = make(self.books.next_seq((handed.source, handed.log)))
        self._now_ms = now_ms
        # A batch that is held back uses up no seq: what makes it known again is its sender's word.
        taken = self._one(item, now_ms, {}, f"{handed.word} {handed.digest}")
        if taken.verdict is not Verdict.HELD:
            self._state[key] = words.kept(handed, now_ms)
            if item.seq % words.FORGET_EVERY == 0:
                words.forget(self._db, handed.source, now_ms)
        return taken.verdict, handed.answer

    def event(self, kind: EntryKind, payload: bytes, now_ms: int) -> int:
        """Add an entry for all partitions, return its id."""
        self._now_ms = now_ms
        return self._add(Entry(0, ALL, kind, "", "", 0, now_ms, payload))

    def lose(self, key: Key, seqs: Ranges) -> None:
        """Record seqs as lost."""
        self.books.lose(key, seqs)

    def save(
        self, consumer: str, positions: Mapping[int, int], changed: Mapping[str, bytes | None]
    ) -> None:
        """Move a consumer's positions and change its state; None deletes a key."""
        kept = self._moved.setdefault(consumer, dict(self.positions.get(consumer, {})))
        kept.update(positions)
        for key, value in changed.items():
            self._state[consumer, key] = value

    def rewind(self, consumer: str, positions: Mapping[int, int]) -> int:
        """Set a consumer back, and forget what was received that it can no longer read here.

        Returns:
            How many seqs were forgotten: outboxes are asked for them again.
        """
        reached = self.positions.get(consumer, {})
        self._moved[consumer] = {part: positions.get(part, 0) for part in {*reached, *positions}}
        forgotten = self.books.keep_only(held(self._db, positions))
        for source in {source for source, _ in forgotten if not is_gateway(source)}:
            words.forget_all(self._db, source)  # nobody asks such a source: it may send again
        return sum(forgotten.values())

    def restart(self, consumer: str) -> None:
        """Drop a consumer's state and set it back to the oldest entry here."""
        self._moved[consumer] = dict.fromkeys(self.positions.get(consumer, {}), 0)
        self._db.execute("DELETE FROM state WHERE consumer = ?", (consumer,))

    def leap(self, beyond: int) -> None:
        """Make the next entry's id greater than `beyond`."""
        self._next_id = max(self._next_id, beyond + 1)

    def flush(self) -> dict[Key, Log]:
        """Write what is staged; the caller commits and then calls `adopt`."""
        durable = [tuple(entry) for entry in self._entries]
        sqlite.insert(
            self._db,
            "INSERT INTO entry(id, partition, kind, gateway, log, seq, received_ms, payload)",
            durable,
        )
        sqlite.insert(
            self._db,
            "INSERT OR REPLACE INTO position(consumer, positions)",
            [(name, json.dumps(kept)) for name, kept in self._moved.items()],
        )
        sqlite.insert(
            self._db,
            "INSERT OR REPLACE INTO state(consumer, key, value)",
            [(*key, value) for key, value in self._state.items() if value is not None],
        )
        for key, value in self._state.items():
            if value is None:
                self._db.execute("DELETE FROM state WHERE consumer = ? AND key = ?", key)
        return self.books.flush()

    def adopt(self, changed: Mapping[Key, Log]) -> Outcome:
        """Make the committed transaction the truth."""
        self.books.adopt(changed)
        self.positions.update(self._moved)
        for entry in self._entries:
            self.heads[entry.partition] = entry.id
        self._used_b += self._added_b
        self._added_b = 0
        shown = sorted([*self._entries, *self._ring])
        self._ringed |= self._ringing
        for _ in range(len(self._ringed) - RING_SEEN_MAX):
            del self._ringed[next(iter(self._ringed))]
        self._clear()
        return Outcome(shown, self.fill)

    def forget(self) -> None:
        """Drop a transaction that was rolled back."""
        self.books.forget()
        self._clear()

    def wants_trim(self) -> bool:
        """Tell whether it is time to look at the size and to trim."""
        self._commits += 1
        return self._commits % MEASURE_EVERY == 0 or self.fill.level is not Level.ROOM

    def trim(self) -> None:
        """Remove what every consumer has passed and the tail need not keep."""
        self._measure()
        self.books.expire(self._now_ms)
        if self._pinned():
            return
        upto = oldest_to_go(self._db, self.fill, self._now_ms - self._keep_ms)
        safe = {
            partition: min([upto, head - 1, *self._passed(partition)])
            for partition, head in self.heads.items()
        }
        beyond = max(safe.values(), default=0)
        if beyond > self.trimmed:
            self.trimmed = beyond
            row = (*TRIMMED, str(beyond).encode())
            sqlite.insert(self._db, "INSERT OR REPLACE INTO state(consumer, key, value)", [row])
        remove(self._db, safe)

    def measured(self) -> Fill:
        """Look at the file's size again."""
        self._measure()
        return self.fill

    def _measure(self) -> None:
        """Look at the file and at its disk: a disk that fills is a journal that fills."""
        self._used_b = sqlite.used_bytes(self._db)
        self._room_b = self._max_bytes
        if self._spare_b is not None:
            room_b = sqlite.file_bytes(self._db) + self._spare_b()
            self._room_b = max(1, min(self._max_bytes, room_b))

    def _pinned(self) -> bool:
        """Tell whether a backup keeps us from trimming; warnings need room more than it does."""
        if self._pin is None or not self._pin.holds():
            return False
        if self.fill.level in (Level.FRESH_ONLY, Level.FULL):
            self._pin.give_up()
            return False
        return True

    def _passed(self, partition: int) -> list[int]:
        return [self.positions.get(name, {}).get(partition, 0) for name in self._consumers]

    def _clear(self) -> None:
        self._entries: list[Entry] = []
        self._ring: list[Entry] = []
        self._ringing: dict[tuple[Key, str], None] = {}
        self._moved: dict[str, dict[int, int]] = {}
        self._state: dict[tuple[str, str], bytes | None] = {}
        self._added_b = 0

    def _one(
        self,
        item: Incoming,
        received_ms: int,
        hashes: Mapping[tuple[Key, int], str],
        word: str = "",
    ) -> Taken:
        key = (item.gateway, item.log)
        known = self.books.staged_hash(key, item.seq) or hashes.get((key, item.seq))
        if known == item.hash:
            return Taken(Verdict.DUPLICATE, 0)
        if not self._room(item, key, word):
            return Taken(Verdict.HELD, 0)
        if known is not None:
            if self.books.clash(key, item.seq, item.hash):
                self._batch(EntryKind.CONFLICT, item, received_ms)
            return Taken(Verdict.CONFLICT, 0)
        verdict = Verdict.AGAIN if self.books.has(key, item.seq) else Verdict.NEW
        self.books.take(key, item.seq, item.hash, received_ms)
        for log, seqs in item.lost.items():
            self.books.lose((item.gateway, log), seqs)
        return Taken(verdict, self._batch(EntryKind.BATCH, item, received_ms))

    def _room(self, item: Incoming, key: Key, word: str) -> bool:
        level = self.fill.level
        if level is Level.FULL:
            if item.lane is Leaf.DATA:
                self._show(item, key, word)
            return False
        if level is Level.FRESH_ONLY and item.lane is not Leaf.DATA:
            return False
        return not self.books.fragmented(key, item.seq)

    def _show(self, item: Incoming, key: Key, word: str) -> None:
        """Let the consumers see a fresh batch that is not taken: once, and only in memory."""
        identity = (key, word or f"{item.seq} {item.hash}")
        if identity in self._ringed or identity in self._ringing or self.books.has(key, item.seq):
            return
        self._ringing[identity] = None
        entry_id, self._next_id = self._next_id, self._next_id + 1
        self._ring.append(
            Entry(
                entry_id,
                self._partition(item.gateway),
                EntryKind.BATCH,
                item.gateway,
                item.log,
                item.seq,
                self._now_ms,
                item.payload,
            )
        )

    def _batch(self, kind: EntryKind, item: Incoming, received_ms: int) -> int:
        partition = self._partition(item.gateway)
        where = (item.gateway, item.log)
        entry = Entry(0, partition, kind, *where, item.seq, received_ms, item.payload)
        return self._add(entry)

    def _add(self, entry: Entry) -> int:
        entry_id, self._next_id = self._next_id, self._next_id + 1
        self._entries.append(entry._replace(id=entry_id))
        self._added_b += len(entry.payload) + _ROW_B
        return entry_id

    def _partition(self, gateway: str) -> int:
        found = self._partitions.get(gateway)
        if found is None:
            found = self._partitions[gateway] = partition_of(gateway)
        return found
