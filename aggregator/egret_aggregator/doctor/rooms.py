"""Journal, store and ledger: whole, and consumed; the files of a centre that runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.database.examination import examine
from egret_aggregator.doctor.finding import Finding, Result
from egret_aggregator.journal.fill import SAY_SO
from egret_aggregator.journal.inspection import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

LOOK_S = 2.0  # at one file; of a large one only the first part is read
BEHIND_ENTRIES = 10_000  # a consumer so far back is stuck, or was stopped for hours
_MB = 1024 * 1024
_RESTORE = "stop the centre, keep the file, and put a backup in its place"


def journal(settings: CentreConfig) -> Result:
    """Look at the journal's file, its fill and its consumers."""
    path = settings.data / "journal.db"
    result = file("journal", path)
    if result.findings or not path.exists():
        return result
    found, inside = [], inspect(path)
    share = inside.used_b / (settings.journal.max_mb * _MB)
    if share >= SAY_SO:
        found.append(
            Finding(
                f"the journal is {share:.0%} full",
                "see which consumer is behind; raise [journal] max_mb where the disk has room",
            )
        )
    for name, position in inside.positions.items():
        behind = inside.head - position
        if name in ("judge", "recorder") and behind > BEHIND_ENTRIES:
            found.append(
                Finding(
                    f"{name} is {behind} entries behind",
                    "look for its errors in the log; a store that refuses is named there",
                )
            )
    return result._replace(findings=tuple(found))


def store(settings: CentreConfig) -> Result:
    """Look at the time series' file."""
    return file("store", settings.data / "series.db")


def ledger(settings: CentreConfig) -> Result:
    """Look at the file of ledger, warnings and tokens; its chain is for `audit verify`."""
    return file("ledger", settings.data / "egret.db")


def file(room: str, path: Path) -> Result:
    """Look at one file; one that is not there yet is made by the centre."""
    if not path.exists():
        return Result(room, f"{path}: not there")
    found = examine(path, LOOK_S)
    extent = "whole" if found.whole else "the part that was read is whole"
    seen = f"{path.name}: {found.used_b / _MB:.1f} MB, {extent}"
    if found.fault:
        return Result(room, str(path), (Finding(f"{path.name}: {found.fault}", _RESTORE),))
    return Result(room, seen)
