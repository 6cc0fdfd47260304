"""The course of the demo: start everything, show what happens, and prove that nothing was lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

from egret_core.timescale import Timescale
from egret_demo import audit, site
from egret_demo.centre import Centre, CentreError
from egret_demo.processes import ChildError, Family
from egret_demo.voice import told
from egret_gateway.outbox import second_copy

if TYPE_CHECKING:
    from egret_demo.centre import Event, Listener
    from egret_demo.voice import Voice

SCALE = 60  # a minute of storm in a second of demo
BAUD = 9600
START_LIMIT_S = 45.0  # a small machine starts Python, a broker and a database in this
SETTLE_LIMIT_S = 30.0  # three resends, were an ack lost
RECORD_LIMIT_S = 10.0  # the recorder is milliseconds behind the journal, unless it is stuck
GRACE_S = 2.0  # a reading is committed a cut after its time: a quarter of a second here
HOUR_MS = 3_600_000
COMMAND_LIMIT_S = 30.0
PROGRESS_S = 5.0
LOOK_S = 0.2
RED = "red"


class Story:
    """One run of the demo.

    Attributes:
        folder: of all files; port: of the API; broker_port, seed: as in `egret_demo.site`.
        voice: what it speaks with.
    """

    def __init__(self, folder: Path, port: int, broker_port: int, seed: int, voice: Voice) -> None:
        now_ms = round(time.time() * 1000)
        timescale = Timescale(SCALE, now_ms, now_ms)
        self._site = site.Site(folder, port, broker_port, seed, timescale)
        self._voice = voice
        self._family = Family(folder)
        self._red_after_s: float | None = None
        self._listener: Listener | None = None
        self._seat = Centre(port)

    def tell(self, for_s: float | None) -> int:
        """Run until the time is up (or for ever); return the exit code."""
        self._begin()
        deadline = float("inf") if for_s is None else for_s
        progress_s = 0.0
        while self._voice.since_s < deadline:
            self._family.check()
            self._show_events()
            if self._voice.since_s >= progress_s:
                progress_s = self._voice.since_s + PROGRESS_S
                try:
                    self._show_progress()
                except CentreError as error:  # the next look may find it answering again
                    self._voice.tell(str(error))
            time.sleep(LOOK_S)
        return self._close()

    def end(self) -> None:
        """Stop everything that still runs."""
        if self._listener:
            self._listener.stop()
        self._family.stop_all()

    def _begin(self) -> None:
        """Start the valley, the centre and the gateway."""
        site.write(self._site)
        python = [sys.executable, "-m"]
        self._voice.say("demo: starting the valley, the centre and the gateway ...")
        line = [*python, "egret_demo.paced_bus", str(self._site.bus), "1", str(BAUD)]
        self._family.start("bus", line)
        master = self._site.bus / "master"
        self._family.wait_until(master.exists, "the serial line", START_LIMIT_S)
        valley = str(self._site.file("valley.toml"))
        self._family.start("valley", [*python, "egret_demo.station", valley])
        centre = str(self._site.file("aggregator.toml"))
        self._family.start("aggregator", [_command("egret-aggregator"), "run", centre])
        self._family.wait_until(self._seat.alive, "the centre", START_LIMIT_S)
        viewer, officer = self._token("viewer"), self._token("officer")
        self._seat = Centre(self._site.port, viewer)
        self._listener = self._seat.listen()
        gateway = str(self._site.file("gateway.toml"))
        self._family.start("gateway", [_command("egret-gateway"), "run", gateway])
        self._family.wait_until(self._outbox().exists, "the gateway", START_LIMIT_S)
        self._voice.welcome(self._site, SCALE, viewer, officer)

    def _token(self, role: str) -> str:
        """Have a token made, as an operator would."""
        config = str(self._site.file("aggregator.toml"))
        command = [_command("egret-aggregator"), "token", "add", config]
        done = subprocess.run(  # noqa: S603  (our own command, no shell)
            [*command, "--role", role, "--name", f"demo-{role}", "--json"],
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            raise ChildError(f"token add: {done.stderr.strip() or done.stdout.strip()}")
        token: str = json.loads(done.stdout)["token"]
        return token

    def _show_events(self) -> None:
        while self._listener:
            try:
                event = self._listener.events.get_nowait()
            except Empty:
                return
            self._show(event)

    def _show(self, event: Event) -> None:
        """Show what the judge said of a warning; the acts of people are shown by their seats."""
        happened, after = event.data.get("event"), event.data.get("warning")
        if event.name != "warning" or not happened or not after:
            return
        first_red = self._red_after_s is None and after["level"] == RED
        if first_red and happened["phase"] != "refuted":
            self._red_after_s = self._voice.since_s
        # What was told when it was provisional is not told again when it is settled.
        if happened["phase"] != "settled" or not happened.get("provisional_id"):
            self._voice.warning(happened["level"], happened["change"], told(happened))
        if first_red:
            self._voice.invite(self._site.url, after["id"])

    def _show_progress(self) -> None:
        """Show the river, the rain and how much has been stored."""
        latest = {
            (item["station"], item["channel"]): (item["reading"] or {}).get("value")
            for item in self._seat.get("/api/v1/latest")["items"]
        }
        settled = second_copy.tally(self._outbox()).settled
        stored = self._seat.figure("egret_recorder_readings_total")
        self._voice.progress(latest, stored, settled, self._polls())

    def _polls(self) -> Counter[str]:
        """Return how the polls of the line ended, as the gateway last told the centre."""
        counts: Counter[str] = Counter()
        for gateway in self._seat.get("/api/v1/gateways")["items"]:
            for bus in ((gateway["status"] or {}).get("buses") or {}).values():
                for unit in bus["units"].values():
                    counts.update({key: unit[key] for key in ("ok", "timeout", "crc")})
        return counts

    def _close(self) -> int:
        """Take a moment, wait until all before it is settled, and hold both sides together.

        The line goes on meanwhile: what is read after that moment is nobody's loss.
        """
        self._voice.tell("the storm is told; comparing what was taken with what was stored ...")
        moment_ms = self._site.timescale.at(time.time() * 1000)
        time.sleep(GRACE_S)
        last = max((copy.row for copy in second_copy.read(self._outbox())), default=0)
        self._family.wait_until(lambda: self._settled(last), "the last ack", SETTLE_LIMIT_S)
        taken = audit.taken((copy.payload for copy in second_copy.read(self._outbox())), moment_ms)
        self._family.wait_until(
            lambda: not audit.compare(taken, self._stored(taken, moment_ms)).missing,
            "the recorder",
            RECORD_LIMIT_S,
        )
        self._show_events()
        verdict = audit.compare(taken, self._stored(taken, moment_ms))
        self._voice.verdict(verdict, taken.undated, self._red_after_s)
        good = verdict.kept and not taken.undated and self._red_after_s is not None
        return 0 if good else 1

    def _outbox(self) -> Path:
        return self._site.gateway_data / "outbox.db"

    def _settled(self, last: int) -> bool:
        return second_copy.tally(self._outbox(), last).waiting == 0

    def _stored(self, taken: audit.Taken, moment_ms: int) -> dict[audit.Identity, float | None]:
        """Ask the API for every reading of every channel before a moment."""
        span = (self._site.timescale.to_ms - HOUR_MS, moment_ms)
        channels = {(station, channel) for station, channel, _ in taken.readings}
        return {
            (station, channel, time_ms): reading.value
            for station, channel in sorted(channels)
            for time_ms, reading in self._seat.readings(station, channel, *span)
        }


def _command(name: str) -> str:
    """Return the path of one of our own commands: it stands beside this Python."""
    return str(Path(sys.executable).with_name(name))
