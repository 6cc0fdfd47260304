"""The centre's log: set up here and nowhere else.

One line per unit of work on standard error, key=value or `--log json`; systemd and docker keep it.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egret_core import logline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

FORMS = ("text", "json")
_PACKAGE = "egret_aggregator."
_FOREIGN = (
    "alembic",
    "mqtt",
    "uvicorn",
    "asyncio",
)  # they speak of every message: only their warnings


def set_up(form: str, *, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Log to a stream, standard error by default.

    Args:
        form: one of `FORMS`.
        verbose: debug lines too.
        stream: where to.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines(as_json=form == "json"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)


class Lines(logging.Formatter):
    """Each record as one line: time, level, room, then what the call says in its own order."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback goes into `detail`."""
        pairs: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix(_PACKAGE),
            **said(record),
        }
        if record.exc_info:
            pairs["detail"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(pairs, ensure_ascii=False)
        return logline.logfmt(pairs)


def said(record: logging.LogRecord) -> Mapping[str, object]:
    """Return what a log call says; one that is not of our form becomes its event."""
    arguments = record.args or ()
    if isinstance(record.msg, str) and isinstance(arguments, tuple):
        try:
            return logline.fields(record.msg, arguments)
        except (TypeError, ValueError):
            return {"event": record.msg, "text": repr(arguments)}
    return {"event": record.getMessage()}


def _rfc3339(at_s: float) -> str:
    text = datetime.fromtimestamp(at_s, tz=UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
