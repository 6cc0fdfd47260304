"""What a server's answer to a write means: a named verdict, and how long to wait. Pure.

| answer | verdict |
|---|---|
| 204 | done |
| 400, 422 that names lines | partial: the good lines are in, the others are set aside |
| 401, 403 | credentials |
| 404 | missing: bucket, database or mapping |
| 413 | too large: halved |
| 429, 503 with Retry-After | busy |
| no answer, 5xx | down |
| any other | strange: it is no line's fault, nothing is set aside for it |
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOW_S = 30.0  # between two tries while a person is needed
BUSY_S = 5.0  # where 429 names no time
RETRY_AFTER_MAX_S = 300.0  # a server that asks for more is asked again all the same
WHY_MAX = 300  # characters of the server's words that are kept
NO_ANSWER = 0  # in place of a status

_DROPPED = re.compile(r"dropped=(\d+)")
_NAMED = re.compile(r"unable to parse '|\"line_number\"")  # once for each line that is not in
_OF_LINES = re.compile(
    r"partial write|unable to parse|dropped=\d|field type conflict|beyond retention"
    r"|original_line|line protocol|invalid (tag|field|number|boolean|timestamp)|missing (tag|field)"
    r"|time outside range",
    re.IGNORECASE,
)
# A full server is no fault of the line that came last: it waits until there is room.
_OF_SERVER = re.compile(r"limit exceeded|max-series|max-values", re.IGNORECASE)


class Verdict(StrEnum):
    """What to do next."""

    DONE = "done"
    PARTIAL = "partial"
    CREDENTIALS = "credentials"
    MISSING = "missing"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    DOWN = "down"
    STRANGE = "strange"


class Answer(NamedTuple):
    """A judged answer.

    Attributes:
        verdict: what to do; why: the server's words, short.
        pause_s: before the next try; 0 leaves it to who tries.
        dropped: lines that are not in, where the server counts or names them; -1 where not.
    """

    verdict: Verdict
    why: str = ""
    pause_s: float = 0.0
    dropped: int = -1


def judged(status: int, text: str, headers: Mapping[str, str]) -> Answer:
    """Judge the answer to a write.

    Args:
        status: HTTP status, `NO_ANSWER` for none.
        text: body, or why there is no answer.
        headers: names in any case.
    """
    why = f"{status} {words(text)}".strip() if status else words(text)
    plain = {
        204: Answer(Verdict.DONE),
        401: Answer(Verdict.CREDENTIALS, why, SLOW_S),
        403: Answer(Verdict.CREDENTIALS, why, SLOW_S),
        404: Answer(Verdict.MISSING, why, SLOW_S),
        413: Answer(Verdict.TOO_LARGE, why),
        NO_ANSWER: Answer(Verdict.DOWN, why),
    }
    if status in plain:
        return plain[status]
    if status in (429, 503):
        return _busy(status, why, headers)
    if status in (400, 422):
        return _refused(text, why)
    return Answer(Verdict.DOWN if status >= 500 else Verdict.STRANGE, why)  # noqa: PLR2004  (HTTP)


def words(text: str) -> str:
    """Return a server's words, out of the JSON it may have put them in; one line, short."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if isinstance(told, dict):
        found = [str(told[key]) for key in ("error", "message") if told.get(key)]
        text = ": ".join(found) or text
    return " ".join(text.split())[:WHY_MAX]


def _busy(status: int, why: str, headers: Mapping[str, str]) -> Answer:
    asked = next((value for key, value in headers.items() if key.lower() == "retry-after"), "")
    if asked.strip().isdigit():
        return Answer(Verdict.BUSY, why, min(float(asked), RETRY_AFTER_MAX_S))
    if status == 429:  # noqa: PLR2004  (HTTP)
        return Answer(Verdict.BUSY, why, BUSY_S)
    return Answer(Verdict.DOWN, why)


def _refused(text: str, why: str) -> Answer:
    if _OF_SERVER.search(text) or not _OF_LINES.search(text):
        return Answer(Verdict.STRANGE, why, SLOW_S)
    dropped = _DROPPED.search(text)
    named = len(_NAMED.findall(text))
    count = named + int(dropped[1]) if dropped else named or -1
    return Answer(Verdict.PARTIAL, why, 0.0, count)
