"""Whether the ledger is what was written, and the warnings what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.database import ledger_rows, warning_rows
from egret_aggregator.warnings import fold
from egret_aggregator.warnings.older_basis import basis_after, is_kept_of
from egret_aggregator.warnings.record import EMPTY, STREAMED, Head, is_sealed
from egret_aggregator.warnings.state import OBSERVED, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.database import Database
    from egret_aggregator.warnings.record import Record
    from egret_aggregator.warnings.state import WarningState

PAGE = 1000  # lines read at once
FINDINGS_MAX = 100  # named ones; one flipped byte needs one

_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError)


class Wrong(StrEnum):
    """What is wrong with a line, or with a row of the warnings' table."""

    GAP = "gap"  # a seq is missing
    CHAIN = "chain_broken"  # not chained to the line before
    HASH = "hash_differs"  # the line does not say what was sealed
    UNREADABLE = "unreadable"  # sealed, yet it cannot be folded
    FOLD = "fold_differs"  # what it says of its warning does not follow from the lines before
    TABLE = "table_differs"  # the warnings' table does not follow from the ledger
    NOTED = "noted_line_differs"  # a line noted down elsewhere is missing or another


class Finding(NamedTuple):
    """Something wrong: at which line, what, and a word for the operator."""

    seq: int
    why: Wrong
    detail: str


class Noted(NamedTuple):
    """A line noted down outside: its seq and hash."""

    seq: int
    hash: str


class Report(NamedTuple):
    """The outcome: how many lines were read, the newest one, and what is wrong."""

    lines: int
    head: Head
    findings: list[Finding]


async def verify(database: Database, noted: Noted | None = None) -> Report:
    """Read the whole ledger, fold it anew, and compare the warnings' table with the fold."""
    check = _Check(noted)
    async with database.reading() as connection:
        while lines := await ledger_rows.after(connection, check.read_to, PAGE):
            for line in lines:
                check.line(line)
        async for row in warning_rows.everything(connection):
            check.row(row)
    check.end()
    return Report(check.lines, check.head, check.findings)


async def rebuild(database: Database) -> int:
    """Write the warnings' table anew from the ledger; return how many warnings there are."""
    check = _Check(None)
    async with database.writing() as connection:
        while lines := await ledger_rows.after(connection, check.read_to, PAGE):
            for line in lines:
                check.line(line)
        await warning_rows.clear(connection)
        await warning_rows.put(connection, check.states.values())
    return len(check.states)


class _Check:
    """The ledger read so far."""

    def __init__(self, noted: Noted | None) -> None:
        self._noted = noted
        self._rows: set[str] = set()
        self._older: dict[str, str] = {}  # bases of warnings as they were told before, by id
        self.states: dict[str, WarningState] = {}
        self.findings: list[Finding] = []
        self.head = EMPTY
        self.lines = 0
        self.read_to = 0

    def line(self, record: Record) -> None:
        if record.seq != self.head.seq + 1:
            self._found(record.seq, Wrong.GAP, f"the line before it is {self.head.seq}")
        elif record.prev_hash != self.head.hash:
            self._found(record.seq, Wrong.CHAIN, "it is not chained to the line before")
        if not is_sealed(record):
            self._found(record.seq, Wrong.HASH, "it does not say what was sealed")
        elif record.kind in STREAMED:
            self._fold(record)
        if self._noted is not None and record.seq == self._noted.seq:
            if record.hash != self._noted.hash:
                self._found(record.seq, Wrong.NOTED, "its hash is not the one noted down")
            self._noted = None
        self.head = Head(record.seq, record.hash)
        self.read_to = record.seq
        self.lines += 1

    def row(self, row: Mapping[str, Any]) -> None:
        self._rows.add(row["id"])
        state = self.states.get(row["id"])
        if state is None:
            self._found(row["last_seq"], Wrong.TABLE, f"warning {row['id']} is not in the ledger")
            return
        right = warning_rows.row_of(state)
        wrong = [name for name in right if right[name] != row[name]]
        if wrong and not (wrong == ["body"] and self._is_older(row["body"], state)):
            detail = f"warning {row['id']}: {', '.join(wrong)}"
            self._found(state.last_seq, Wrong.TABLE, detail)

    def end(self) -> None:
        for id_, state in self.states.items():
            if id_ not in self._rows:
                self._found(state.last_seq, Wrong.TABLE, f"warning {id_} is missing")
        if self._noted is not None:
            self._found(self._noted.seq, Wrong.NOTED, "the ledger ends before it")

    def _fold(self, record: Record) -> None:
        try:
            said, before = record.content.get("after"), self.states.get(record.warning)
            state = fold.after(before, record)
            older = basis_after(self._older.get(record.warning, OBSERVED), before, record)
        except _MISSHAPEN as error:
            self._found(record.seq, Wrong.UNREADABLE, f"{type(error).__name__} {error}"[:200])
            return
        right: list[Any] = [None]
        if state is not None:
            self.states[state.id], self._older[state.id] = state, older
            told = (state, replace(state, basis=older))
            right = [json.loads(json.dumps(summary(one))) for one in told]
        if said not in right or (state is not None and state.id != record.warning):
            self._found(record.seq, Wrong.FOLD, "what it says of its warning does not follow")

    def _is_older(self, body: str, state: WarningState) -> bool:
        """Tell whether a row differs only as one does that was kept before, or goes on from it."""
        try:
            return is_kept_of(json.loads(body), state, self._older[state.id])
        except _MISSHAPEN:
            return False

    def _found(self, seq: int, why: Wrong, detail: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(seq, why, detail))
