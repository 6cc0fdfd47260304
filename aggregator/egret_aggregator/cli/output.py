"""What a command says: lines for people, or one JSON object for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Output:
    """Standard output and error of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def said(self, lines: Sequence[str], body: Mapping[str, Any]) -> None:
        """Give the result: `lines` to people, `body` to programs."""
        text = json.dumps(body, ensure_ascii=False) if self._as_json else "\n".join(lines)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def failed(self, kind: str, text: str, body: Mapping[str, Any] | None = None) -> None:
        """Give an error: a line on standard error, and an object where JSON was asked for."""
        sys.stderr.write(f"egret-aggregator: {text}\n")
        if self._as_json:
            error = {"error": kind, "detail": text, **(body or {})}
            sys.stdout.write(json.dumps(error, ensure_ascii=False) + "\n")
            sys.stdout.flush()
