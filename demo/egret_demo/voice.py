"""What the demo says, and how: one place that writes to the terminal."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from egret_demo import site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_demo.audit import Verdict

PAINT = {"blue": "34", "yellow": "33", "orange": "38;5;208", "red": "1;31"}
RISES = ("raised", "upgraded")
NAMES_MAX = 5  # lost readings named one by one; the rest is counted


class Voice:
    """Speaks to whoever started the demo; every line carries the wall time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty()
        self._rain_from: float | None = None

    @property
    def since_s(self) -> float:
        """Wall seconds since the demo began."""
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        """Write a line as it is."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Write a line with the time since the start before it."""
        minutes, seconds = divmod(int(self.since_s), 60)
        self.say(f"{minutes:3d}:{seconds:02d}  {text}")

    def welcome(self, where: site.Site, scale: float, viewer: str, officer: str) -> None:
        """Say where everything is, and what to try."""
        self.say(f"""
Egret: a make-believe valley, and a storm on its way.
One second here is {scale:.0f} seconds there. Real: the serial line at 9600 baud, the gateway,
the MQTT broker, the centre. Make-believe: the valley's clock, its water and its broken sensors.

  API            {where.url}/api/v1/openapi.json
  viewer token   {viewer}
  officer token  {officer}
  data and logs  {where.folder}

Try in another terminal:
  export TOKEN={viewer}
  curl -H "Authorization: Bearer $TOKEN" {where.url}/api/v1/latest
  curl -H "Authorization: Bearer $TOKEN" {where.url}/api/v1/warnings
  curl -N -H "Authorization: Bearer $TOKEN" {where.url}/api/v1/warnings/stream
Ctrl-C ends it.
""")

    def warning(self, level: str, change: str, text: str) -> None:
        """Tell a step of a warning, its level in its own colour on a terminal.

        Downwards it is a proposal: a person lowers and closes.
        """
        mark = f"{level.upper() or 'NONE':7}"  # none: no level holds any more
        if self._colour and level in PAINT:
            mark = f"\x1b[{PAINT[level]}m{mark}\x1b[0m"
        self.tell(f"{'WARNING' if change in RISES else 'EASES':8} {mark} {text}")

    def invite(self, url: str, warning: str) -> None:
        """Show how an officer takes a warning over."""
        self.say(f"""
  It is acknowledged by a person, with the officer's token in OFFICER:
  curl -X POST -H "Authorization: Bearer $OFFICER" -H "Idempotency-Key: first" \\
    --json '{{"note": "seen"}}' {url}/api/v1/warnings/{warning}/acknowledge
""")

    def progress(
        self,
        latest: Mapping[tuple[str, str], float | None],
        stored: int,
        settled: int,
        polls: Mapping[str, int],
    ) -> None:
        """Tell how the valley is, and how the readings travel."""
        levels = "  ".join(
            f"{station} {_metres(latest.get((station, channel)))}"
            for station, channel in (site.WEIR, site.BRIDGE, site.CULVERT)
        )
        rain = latest.get(site.RIDGE)
        if self._rain_from is None:
            self._rain_from = rain  # the bucket has counted for years
        since = None if rain is None or self._rain_from is None else rain - self._rain_from
        fallen = "-" if since is None else f"{since:.1f} mm"
        line = f"{polls['ok']} answers, {polls['timeout']} silent, {polls['crc']} damaged"
        self.tell(f"{levels}  rain {fallen:8} | {stored} stored, {settled} batches | line: {line}")

    def verdict(self, verdict: Verdict, undated: int, red_after_s: float | None) -> None:
        """Say how it ended."""
        red = (
            "The storm never led to a red warning."
            if red_after_s is None
            else f"The storm led to a red warning after {red_after_s:.0f} s."
        )
        self.say(f"\n{red}")
        if verdict.kept and not undated:
            self.say(
                f"{verdict.taken} readings taken by the gateway, {verdict.stored} stored at the"
                " centre: each one, once, unchanged."
            )
            return
        self.say(f"{verdict.taken} readings taken, {verdict.stored} stored, {undated} undated.")
        for what in ("missing", "altered", "foreign"):
            found = getattr(verdict, what)
            for identity in found[:NAMES_MAX]:
                self.say(f"  {what}: {identity}")
            if len(found) > NAMES_MAX:
                self.say(f"  {what}: {len(found)} in all")


def told(event: Mapping[str, Any]) -> str:
    """Return one line for a condition event: where, what, on what evidence and since when."""
    at = datetime.fromisoformat(str(event["time"])).strftime("%H:%M:%S")
    return f"{event['subject']:10}  {_why(event)}; {event['change']} as of {at}, {event['phase']}"


def _why(event: Mapping[str, Any]) -> str:
    """Return an event's evidence in words; one of an unknown kind shows its numbers."""
    evidence = event["evidence"]
    try:
        if event["hazard"] == "level":
            unit, datum = evidence["unit"], evidence["datum"]
            value, threshold = evidence["value"], evidence["threshold"]
            return f"{value:.2f} {unit} against {threshold:.2f} {unit} ({datum})"
        if event["hazard"] == "rain":
            window, amount = evidence["window_h"], evidence["value"]
            return f"{amount:.1f} mm in {window:g} h against {evidence['threshold']:g} mm"
        if event["hazard"] == "absence":
            return f"no good reading for {evidence['limit_s'] / 60:g} min"
    except (KeyError, TypeError, ValueError):
        pass  # an event without these numbers is told by the ones it has
    return ", ".join(f"{key} {value}" for key, value in evidence.items())


def _metres(value: float | None) -> str:
    return "-     " if value is None else f"{value:.2f} m"
