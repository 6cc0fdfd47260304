"""An outbox read by somebody else than its gateway: the second copy, for audits and drills.

It opens the file to read only, beside the gateway that writes it or where a card was left.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_gateway.outbox.model import State
from egret_gateway.outbox.schema import connect_reader

if TYPE_CHECKING:
    from pathlib import Path

_ROW_MAX = 2**63 - 1  # SQLite's own bound


class Copy(NamedTuple):
    """One batch as it was committed.

    Attributes:
        row: its place in the file, growing; settled: the centre has answered for it.
        draft: its times are not sealed yet; payload: its bytes as they travel.
    """

    row: int
    settled: bool
    draft: bool
    payload: bytes


class Tally(NamedTuple):
    """How many batches of a file the centre has answered for, and how many still wait."""

    settled: int
    waiting: int


def read(path: Path, after_row: int = 0) -> list[Copy]:
    """Return every batch in the file after a row, oldest first.

    Raises:
        FileNotFoundError: there is no such outbox (none is made by looking).
    """
    rows = _ask(
        path,
        "SELECT id, state != ?, hash = '', payload FROM batch WHERE id > ? ORDER BY id",
        (State.UNSETTLED, after_row),
    )
    return [Copy(row, bool(settled), bool(draft), body) for row, settled, draft, body in rows]


def tally(path: Path, up_to_row: int = _ROW_MAX) -> Tally:
    """Return how far the file is settled, up to a row, without reading a payload.

    Raises:
        FileNotFoundError: as `read`.
    """
    counts = dict(
        _ask(
            path,
            "SELECT state != ?, count(*) FROM batch WHERE id <= ? GROUP BY 1",
            (State.UNSETTLED, up_to_row),
        )
    )
    return Tally(counts.get(1, 0), counts.get(0, 0))


def _ask(path: Path, query: str, arguments: tuple[int, ...]) -> list[Any]:
    if not path.exists():
        raise FileNotFoundError(str(path))
    with closing(connect_reader(path)) as db:
        # A gateway that has only just begun may not have laid out its file yet.
        laid_out = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'batch'").fetchone()
        return db.execute(query, arguments).fetchall() if laid_out else []
