"""When silence is an outage, and when it is over. Pure: time is an argument that never steps."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is told."""

    SILENT = "silent"
    BACK = "back"
    TEST = "test"  # somebody tries whether calls arrive


class Vigil:
    """One centre's heartbeats.

    Args:
        silence_s: no good heartbeat for so long is an outage.
        now_s: when the vigil begins; until then nobody can be called silent.
        out: an outage was told of before a restart, and not yet its end.
    """

    def __init__(self, silence_s: float, now_s: float, *, out: bool = False) -> None:
        self._silence_s = silence_s
        self._heard_s = now_s
        self.out = out
        self.why = "no answer yet"

    def beat(self, fault: str, now_s: float) -> Kind | None:
        """Take a heartbeat, or why there was none; return what is to be told, once an outage."""
        if not fault:
            self._heard_s = now_s
            self.why = ""
            if self.out:
                self.out = False
                return Kind.BACK
            return None
        self.why = fault
        return self.look(now_s)

    def look(self, now_s: float) -> Kind | None:
        """Return what is to be told of the time that has passed."""
        if self.out or now_s - self._heard_s < self._silence_s:
            return None
        self.out = True
        return Kind.SILENT

    def silent_s(self, now_s: float) -> float:
        """Return how long there was no good heartbeat."""
        return now_s - self._heard_s
