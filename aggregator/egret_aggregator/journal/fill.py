"""How full the journal is, and what that means for the gateways."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from egret_core.messages import Taking

SAY_SO = 0.5  # an operator still has half the room to act in
FRESH_ONLY = 0.8  # the last fifth is kept for what warnings need
TRIM_TO = 0.45  # consumed entries go first, so that reaching 50 % means a consumer is behind


class Level(StrEnum):
    """Steps of a filling journal."""

    ROOM = "room"
    FILLING = "filling"
    FRESH_ONLY = "fresh_only"
    FULL = "full"


class Fill(NamedTuple):
    """Bytes in use and allowed."""

    used_b: int
    max_b: int

    @property
    def share(self) -> float:
        """Return the used share, 0 to 1 and above."""
        return self.used_b / self.max_b

    @property
    def level(self) -> Level:
        """Return the step reached."""
        if self.share >= 1:
            return Level.FULL
        if self.share >= FRESH_ONLY:
            return Level.FRESH_ONLY
        return Level.FILLING if self.share >= SAY_SO else Level.ROOM

    @property
    def taking(self) -> Taking:
        """Return what the gateways are told."""
        return {Level.FULL: Taking.NONE, Level.FRESH_ONLY: Taking.FRESH}.get(self.level, Taking.ALL)
