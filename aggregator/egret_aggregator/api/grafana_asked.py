"""What Grafana asks with: bounds as it sends them, and ids joined by commas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.times import parsed

if TYPE_CHECKING:
    from egret_aggregator.catalogue import Catalogue

FILTER_MAX = 2000  # characters of one filter: forty ids
_EPOCH_MS = re.compile(r"\d{1,14}", re.ASCII)  # to the year 5138

Words = Annotated[str, StringConstraints(max_length=FILTER_MAX)]


class Limited(BaseModel):
    """How many rows are wanted: `page_max` where it is left out."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    limit: int | None = None


class Named(Limited):
    """Figures by name, joined by commas; all for ""."""

    name: Words = ""


class AtStation(Limited):
    """Rows of some stations: ids, joined by commas as Grafana's `${station:csv}`; all for ""."""

    station: Words = ""


class OfChannel(AtStation):
    """Rows of some channels or quantities there; joined by commas too."""

    channel: Words = ""
    quantity: Words = ""

    def wants(self, key: tuple[str, str], places: Catalogue) -> bool:
        """Tell whether a (station, channel) passes every filter."""
        place = places.place(*key)
        facts = (*key, "" if place is None else place.quantity)
        filters = (self.station, self.channel, self.quantity)
        pairs = zip(facts, filters, strict=True)
        return all(not text or fact in listed(text) for fact, text in pairs)


class Between(BaseModel):
    """Two instants: ms since 1970, or RFC 3339 with an offset."""

    from_: str = Field(alias="from")
    to: str

    def span(self) -> tuple[int, int]:
        """Return both in ms.

        Raises:
            ProblemError: 400, one is no instant, or they stand the wrong way round.
        """
        from_ms, to_ms = _instant("from", self.from_), _instant("to", self.to)
        if from_ms > to_ms:
            raise ProblemError(400, "from_after_to", f"from {self.from_} lies after to {self.to}")
        return from_ms, to_ms


class SpanAt(Between, AtStation):
    """What stood at some stations between two instants."""


class LinesOf(Between, OfChannel):
    """Lines of some channels, drawn between two instants."""


def listed(text: str) -> tuple[str, ...]:
    """Return the words of a filter, each once."""
    return tuple(dict.fromkeys(word for word in text.split(",") if word))


def _instant(key: str, text: str) -> int:
    try:
        return int(text) if _EPOCH_MS.fullmatch(text) else parsed(text)
    except ValueError as error:
        raise ProblemError(400, "bad_time", f"{key} {text[:40]!r}: {error}") from None
