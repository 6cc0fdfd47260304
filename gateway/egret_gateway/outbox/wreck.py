"""What a damaged outbox file still tells: whole batches, logs, what waited, how far ids went.

A batch that is whole vouches for its own log and seq, whatever the columns beside it say. The index
of what waits knows what the table has lost; where it is hurt too, something is gone without a name.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.codec import decode_batch, is_log, payload_hash
from egret_core.errors import WireError
from egret_core.messages import INTEGER_MAX, Kind
from egret_gateway.outbox import cutting
from egret_gateway.outbox.model import IDS_MAX, LogRow, State
from egret_gateway.outbox.schema import is_damage

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS_MAX = 1 << 31  # so is a log's number from here on
COLUMNS = "log, seq, kind, state, urgent, kept, readings, cut_mono, boot, cut_real, hash, payload"
_STATES = frozenset(State)
# An index names log and seq of what the table has lost: of all rows in a file of version 1.
_NAMED_1 = "SELECT id, log, seq FROM batch INDEXED BY sqlite_autoindex_batch_1", ("log", "seq")
_NAMED_2 = "SELECT id, log, seq FROM batch INDEXED BY unsettled WHERE state = 0", ("id",)


class Saved(NamedTuple):
    """A batch that is whole: what goes into the new file.

    Attributes:
        id: its row; log: the id its bytes name, '' in a draft; number: the log's number beside it.
        seq: within its log; columns: what follows the log's number, each of its own type.
    """

    id: int
    log: str
    number: int
    seq: int
    columns: tuple[Any, ...]


class Sweep:
    """The rows of a query from the front until damage, then from the back until damage.

    Attributes:
        whole: no damage was met, so far as it was read.
    """

    def __init__(self, db: sqlite3.Connection, query: str, keys: tuple[str, ...]) -> None:
        self._db = db
        self._query = query
        self._keys = keys
        self.whole = True

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield each row once; its first column tells it from others."""
        seen: set[Any] = set()
        for way in ("ASC", "DESC"):
            order = ", ".join(f"{key} {way}" for key in self._keys)
            try:
                for row in self._db.execute(f"{self._query} ORDER BY {order}"):
                    if row[0] in seen:
                        break
                    seen.add(row[0])
                    yield row
                else:
                    return
            except UnicodeDecodeError:
                pass  # SQLite quotes the layout that it cannot read
            except sqlite3.DatabaseError as error:
                if not is_damage(error) and not isinstance(error, sqlite3.OperationalError):
                    raise
            self.whole = False


class Wreck:
    """One damaged file behind a connection; `batches` is read first, the rest builds on it.

    Attributes:
        newest: the highest id seen anywhere.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        # A text that is none must not hide the rows behind it.
        db.text_factory = lambda body: body.decode(errors="replace")
        self._table = dict(self._log_rows())
        self._votes: dict[int, Counter[str]] = {}
        self._hurt = False
        self.newest = 0

    def batches(self) -> Iterator[Saved]:
        """Yield the batches that are whole."""
        sweep = Sweep(self._db, f"SELECT id, {COLUMNS} FROM batch", ("id",))  # noqa: S608  (ours)
        for row in sweep:
            saved = _saved(row) if _is_count(row[0], IDS_MAX) else None
            if saved is None:
                self._hurt = True
                continue
            self.newest = max(self.newest, row[0])
            if saved.log:
                self._votes.setdefault(saved.number, Counter())[saved.log] += 1
            yield saved
        self._hurt = self._hurt or not sweep.whole

    def name(self, number: int) -> str:
        """Return the id of a log by its number: as most of its batches say, else as its row."""
        votes = self._votes.get(number)
        if votes:
            return votes.most_common(1)[0][0]
        row = self._table.get(number)
        return row.id if row else ""

    def number(self, log: str) -> int:
        """Return the number that a log has in the table of logs, 0 where it has none."""
        return next((row.no for row in self._table.values() if row.id == log), 0)

    def numbers(self) -> frozenset[int]:
        """Return the numbers that the table of logs knows."""
        return frozenset(self._table)

    def logs(self) -> dict[str, LogRow]:
        """Return the logs that the table knows, by id; a number's batches know its id better."""
        out: dict[str, LogRow] = {}
        for row in self._table.values():
            log = self.name(row.no)
            known = out.get(log, row)
            out[log] = row._replace(id=log, next_seq=max(row.next_seq, known.next_seq))
        return out

    def waiting(self) -> tuple[dict[str, int], bool]:
        """Return the highest seq of each log as an index knows it, and whether that names all.

        It does not where something was lost of which no index tells, or tells without its log.
        """
        highest: dict[str, int] = {}
        nameless = False
        sweep = Sweep(self._db, *(_NAMED_1 if self._has_version_1() else _NAMED_2))
        for row_id, number, seq in sweep:
            if _is_count(row_id, IDS_MAX):
                self.newest = max(self.newest, row_id)
            log = self.name(number)
            if log and _is_count(seq, INTEGER_MAX):
                highest[log] = max(highest.get(log, 0), seq)
            else:
                nameless = True
        return highest, not nameless and (sweep.whole or not self._hurt)

    def pairs(self, table: str) -> Iterator[tuple[str, Any]]:
        """Yield what can be read of a table of keys and values."""
        for key, value in Sweep(self._db, f"SELECT key, value FROM {table}", ("key",)):  # noqa: S608
            if isinstance(key, str):
                yield key, value

    def _log_rows(self) -> Iterator[tuple[int, LogRow]]:
        for row in Sweep(self._db, "SELECT no, id, next_seq, meta FROM log", ("no",)):
            number, log, next_seq, meta = row
            counts = _is_count(number, LOGS_MAX) and _is_count(next_seq, INTEGER_MAX)
            if counts and is_log(log) and isinstance(meta, str):
                yield number, LogRow(*row)

    def _has_version_1(self) -> bool:
        found = Sweep(self._db, "SELECT name FROM sqlite_schema", ("rowid",))
        return any(row[0] == "sqlite_autoindex_batch_1" for row in found)


def _is_count(value: object, below: int) -> bool:
    return isinstance(value, int) and 0 < value < below


def _saved(row: tuple[Any, ...]) -> Saved | None:
    """Return a row that is whole, None for one that is not: its hash vouches for it."""
    number, seq, digest, body = row[1], row[2], row[11], row[12]
    number = number if _is_count(number, LOGS_MAX) else 0
    try:
        if digest == "":
            cutting.read_draft(body)
            # A draft has no identity but the one beside it.
            if not number or not _is_count(seq, INTEGER_MAX):
                return None
            return Saved(row[0], "", number, seq, _columns(row, seq, Kind.READINGS))
        batch = decode_batch(body)
    except (WireError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if payload_hash(body) != digest:
        return None
    columns = _columns(row, batch.seq, str(batch.kind))
    return Saved(row[0], batch.log, number, batch.seq, columns)


def _columns(row: tuple[Any, ...], seq: int, kind: str) -> tuple[Any, ...]:
    """Return a row's columns behind id and log, each as its column wants it."""
    state, urgent, _, readings, cut_mono, boot, cut_real = row[4:11]
    return (
        seq,
        kind,
        int(state) if state in _STATES else int(State.UNSETTLED),
        int(urgent == 1),
        0,
        *(int(n) if _is_count(n, INTEGER_MAX) else 0 for n in (readings, cut_mono)),
        boot if isinstance(boot, str) else "",
        cut_real if _is_count(cut_real, INTEGER_MAX) else 0,
        row[11],
        row[12],
    )
