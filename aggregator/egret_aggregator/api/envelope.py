"""What every list carries: as of when, how fresh judgement is, and where the next page starts."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.api.context import Context

_CURSOR_MAX = 400  # characters; longer is not one of ours
_NUMBER_MAX = 2**63 - 1  # the largest number of a line that a database holds


def standing(context: Context) -> dict[str, Any]:
    """Return `as_of`, how far judging and recording are, the ledger's head: never green by silence.

    Behind `recorded_to` the series may lack what has arrived; warnings do not wait for it.
    """
    state, judged_ms, age_s = context.judgement()
    kept, kept_ms, kept_age_s = context.recording()
    return {
        "as_of": rfc3339(context.clock.now_ms()),
        "judgement": {
            "state": str(state),
            "judged_to": None if judged_ms is None else rfc3339(judged_ms),
            "age_s": age_s,
        },
        "recording": {
            "state": str(kept),
            "recorded_to": None if kept_ms is None else rfc3339(kept_ms),
            "age_s": kept_age_s,
        },
        "head": context.ledger.head.seq,
    }


def headers(context: Context) -> dict[str, str]:
    """Return the same as headers, for answers without a body."""
    state, _, age_s = context.judgement()
    return {
        "Egret-As-Of": rfc3339(context.clock.now_ms()),
        "Egret-Judgement": str(state),
        "Egret-Judgement-Age-S": "" if age_s is None else f"{age_s:.1f}",
    }


def paged(context: Context, items: Sequence[Any], next_cursor: str | None = None) -> dict[str, Any]:
    """Return a list's answer."""
    return {**standing(context), "items": items, "next": next_cursor}


def limit_of(context: Context, asked: int | None) -> int:
    """Return how many items a page has; a ProblemError where more are asked for than is allowed."""
    most = context.settings.page_max
    if asked is None:
        return min(100, most)
    if not 1 <= asked <= most:
        raise ProblemError(400, "limit_out_of_range", f"limit {asked}: 1 to {most}")
    return asked


def cursor(position: object, question: object) -> str:
    """Return a cursor: a position within the answer to one question."""
    text = json.dumps([position, _digest(question)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(text: str, question: object) -> Any:  # noqa: ANN401  (what `cursor` was given)
    """Return the position in a cursor.

    Raises:
        ProblemError: 400, it is no cursor of ours or belongs to another question.
    """
    padded = text[:_CURSOR_MAX] + "=" * (-len(text) % 4)
    try:
        place, digest = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise ProblemError(400, "bad_cursor", "use `next` of the page before, as it is") from None
    if digest != _digest(question):
        raise ProblemError(400, "bad_cursor", "the cursor belongs to other filters")
    return place


def number_at(text: str, question: object) -> int:
    """Return the line or id in a cursor; a ProblemError where it holds none."""
    place = position(text, question)
    if type(place) is not int or not 0 <= place <= _NUMBER_MAX:
        raise ProblemError(400, "bad_cursor", "use `next` of the page before, as it is")
    return place


def _digest(question: object) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:8]
