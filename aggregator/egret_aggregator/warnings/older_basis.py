"""What was said of a warning's basis before every level that holds had one of its own. Pure.

    basis = that of the newest rise that reached the level then holding

It stayed where a lower level came to hold. Lines and rows that were written so are as they were
written: none of them is wrong, and what goes on from such a row may say either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_aggregator.warnings.record import Kind, canonical
from egret_aggregator.warnings.state import OBSERVED, Step, to_json
from egret_core.rules.event import Change, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.warnings.record import Record
    from egret_aggregator.warnings.state import WarningState

_BASIS_AT = Step._fields.index("basis")  # it came last, and is left out where observed
_RISING = (str(Change.RAISED), str(Change.UPGRADED))


def basis_after(basis: str, before: WarningState | None, record: Record) -> str:
    """Return the basis that a line's warning had after it, as it was told then.

    Args:
        basis: the same before the line.
        before: the warning, None where the line opens it.
        record: the line.
    """
    if record.kind != Kind.EVENT:
        return basis
    event = record.content["event"]
    evidence = event["evidence"]
    own = str(evidence.get("basis", OBSERVED))
    if before is None:
        return own
    live = not evidence.get("retrospective") and event["phase"] != Phase.REFUTED
    reaches = event["change"] in _RISING and event["rank"] >= before.holding_rank
    return own if live and reaches else basis


def is_older(state: WarningState) -> bool:
    """Tell whether a state is of a row in which the levels that hold have no basis yet."""
    return bool(state.steps) and state.steps[-1].basis != state.basis


def is_kept_of(body: Mapping[str, Any], state: WarningState, basis: str) -> bool:
    """Tell whether a row may be of a state: the same but for what its levels rest on.

    Args:
        body: the row's, JSON values.
        state: as the ledger has it.
        basis: as it was told then.
    """
    right, told = to_json(state), body.get("basis", OBSERVED)
    if told not in (state.basis, basis) or _bare(body) != _bare(right):
        return False
    known = zip(body["steps"], state.steps, strict=True)
    return all(row[_BASIS_AT:] in ([], [step.basis]) for row, step in known)


def _bare(body: Mapping[str, Any]) -> str:
    steps = [row[:_BASIS_AT] for row in body["steps"]]
    return canonical({**body, "basis": OBSERVED, "steps": steps})
