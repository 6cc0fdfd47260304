"""A series of a timeline: one line of text in, samples out. Pure.

```text
st1/wl from 10m every 1m: 2.0x5 2.0..3.2x13 _x3 3.2!suspect 3.3x2~25s
st1/rn in mm from 0 every 10m received 6h: 0 +0.5x12 +5x4!maintenance missing
```

| value | means |
|---|---|
| `2.5` | a reading; `-0.3` too |
| `2.0..3.2x13` | thirteen readings from 2.0 to 3.2, evenly |
| `+0.5` | so much more than the value before it in the line: for totals |
| `missing` | a reading without a value, flag 9; `fail`: flag 4 |
| `_` | no reading at all |
| `...x12` | twelve of it |
| `...!suspect` | its quality: a flag or reasons, divided by commas, in small letters |
| `...~25s` | it is received so much later |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from egret_core.instants import length_ms
from egret_core.quality import Flag, Reason

SAMPLES_MAX = 200_000  # of one file: some seconds of judging
_NUMBER = r"-?\d+(?:\.\d+)?"
_SAMPLE = re.compile(
    rf"(?:(?P<gap>_)|(?P<word>missing|fail)|(?P<rise>\+(?:\d+(?:\.\d+)?))"
    rf"|(?P<first>{_NUMBER})(?:\.\.(?P<last>{_NUMBER}))?)"
    r"(?:x(?P<times>\d{1,6}))?(?:!(?P<quality>[a-z_,]+))?(?:~(?P<late>[0-9a-z.]+))?",
    re.ASCII,
)
_FLAGS = {flag.name.lower(): int(flag) for flag in Flag}
_REASONS = {str(reason.name).lower(): int(reason) for reason in Reason if reason}


class SeriesError(ValueError):
    """A part of a series that cannot be read; `seen` is that part."""

    def __init__(self, seen: str, remedy: str) -> None:
        self.seen = seen
        super().__init__(remedy)


class Sample(NamedTuple):
    """One reading to be.

    Attributes:
        time_ms: after the start; received_ms: likewise.
        number: in the series' unit, None without a value; rises: it is added to the one before.
        flag, reasons: its quality.
    """

    time_ms: int
    received_ms: int
    number: float | None
    rises: bool
    flag: int
    reasons: int


def samples(text: str, from_ms: int, every_ms: int, received_ms: int | None) -> list[Sample]:
    """Return the samples of a series' values.

    Args:
        text: what stands after the colon.
        from_ms: of the first.
        every_ms: the step.
        received_ms: of all of them; None for the time of each, or its `~`.

    Raises:
        SeriesError: names the part that cannot be read, and the remedy.
    """
    out: list[Sample] = []
    at_ms = from_ms
    for word in text.split():
        match = _SAMPLE.fullmatch(word)
        if match is None:
            raise SeriesError(word, "write a value as 2.5, 2.0..3.2x13, +0.5x10, missing or _x3")
        times = int(match["times"] or 1)
        if not 1 <= times <= SAMPLES_MAX or len(out) + times > SAMPLES_MAX:
            raise SeriesError(word, f"write 1 to {SAMPLES_MAX} readings in a file")
        if match["gap"] is None:
            out += _made(word, match, (at_ms, every_ms, received_ms), times)
        at_ms += times * every_ms
    if not out:
        raise SeriesError(text.strip(), "write at least one value after the colon")
    return out


def _made(
    word: str, match: re.Match[str], when: tuple[int, int, int | None], times: int
) -> list[Sample]:
    at_ms, every_ms, received_ms = when
    flag, reasons = _quality(word, match)
    late_ms = _late(word, match["late"])
    if match["last"] is not None and times < 2:  # noqa: PLR2004  (its two ends)
        raise SeriesError(word, "say over how many readings it rises, e.g. 2.0..3.2x13")
    out = []
    for n in range(times):
        time_ms = at_ms + n * every_ms
        came_ms = time_ms + late_ms if received_ms is None else max(received_ms, time_ms)
        rises = match["rise"] is not None
        out.append(Sample(time_ms, came_ms, _number(match, n, times), rises, flag, reasons))
    return out


def _number(match: re.Match[str], n: int, times: int) -> float | None:
    if match["word"] is not None:
        return None
    if match["rise"] is not None:
        return float(match["rise"])
    first = float(match["first"])
    if match["last"] is None:
        return first
    return round(first + (float(match["last"]) - first) * n / (times - 1), 9)


def _quality(word: str, match: re.Match[str]) -> tuple[int, int]:
    flag = _FLAGS[match["word"]] if match["word"] else int(Flag.GOOD)
    reasons = 0
    for name in (match["quality"] or "").split(","):
        if name in _FLAGS:
            flag = _FLAGS[name]
        elif name in _REASONS:
            reasons |= _REASONS[name]
        elif name or match["quality"]:
            known = ", ".join([*_FLAGS, *_REASONS])
            raise SeriesError(word, f"no quality is called {name!r}; known: {known}")
    return flag, reasons


def _late(word: str, text: str | None) -> int:
    try:
        return length_ms(text or "0")
    except ValueError as error:
        raise SeriesError(word, str(error)) from None
