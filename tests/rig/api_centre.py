"""The API on a real socket: real ledger and tokens, a small catalogue, a store in memory."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
from rig.catalogues import level_rule, rung

from egret_aggregator.api.app import create_app
from egret_aggregator.api.context import Context
from egret_aggregator.api.hub import Hub
from egret_aggregator.api.server import ApiServer, listening
from egret_aggregator.backtest.jobs import Backtests
from egret_aggregator.catalogue import load
from egret_aggregator.charts import Charts
from egret_aggregator.clock import Clock
from egret_aggregator.config import ApiSettings
from egret_aggregator.database import Database
from egret_aggregator.feed import Feed
from egret_aggregator.intake.pace_orders import PaceOrders
from egret_aggregator.journal import Journal
from egret_aggregator.store import MemoryStore
from egret_aggregator.store.rollups import Rollups
from egret_aggregator.tokens import Role, Tokens
from egret_aggregator.warnings import Ledger
from egret_core.rules.screened import Shown
from egret_core.timescale import Timescale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

PATIENCE_S = 30.0
TLS = ssl.create_default_context()  # every client would read the machine's certificates anew
NOW_MS = 1_503_018_000_000  # the centre's clock starts here and goes on in real time

STATIONS = """
[[station]]
id = "st0007"
name = "Luoling bridge"
latitude = 24.5
longitude = 118.1
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Luoling"
gateway = "XM-TA-0042"
[[station.channel]]
id = "rain"
quantity = "rain_total"
gateway = "XM-TA-0042"
[[station]]
id = "st0008"
name = "Dam"
latitude = 24.6
longitude = 118.2
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Dam"
gateway = "XM-TA-0043"
"""
FED = """
[[station]]
id = "st0009"
name = "Bureau"
latitude = 24.7
longitude = 118.3
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Bureau"
feed = "feeder1"
[[station.channel]]
id = "temp"
quantity = "temperature"
feed = "feeder1"
"""
RULES = (
    level_rule(rung("blue", 3.0, 2.8), rung("red", 4.0, 3.8))
    + "persistence_s = 0\nhold_s = 0\nflap_s = 0\n"
)


@dataclass
class StillLine:
    """A line whose figures a test sets."""

    judged: int | None = NOW_MS
    recorded: int | None = NOW_MS
    rolled: int | None = NOW_MS
    heard: dict[str, dict[str, Any]] = field(default_factory=dict)
    behind: int = 0
    wrong: tuple[str, ...] = ()
    stand: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    doubts: dict[tuple[str, str], Shown] = field(default_factory=dict)
    force: str | None = None
    told: dict[str, float] = field(default_factory=lambda: {"egret_journal_head": 7.0})

    def judged_ms(self) -> int | None:
        return self.judged

    def recorded_ms(self) -> int | None:
        return self.recorded

    def rolled_ms(self) -> int | None:
        return self.rolled

    async def unmarked(self) -> int:
        return self.behind

    def screened(self, station: str, channel: str) -> Shown:
        return self.doubts.get((station, channel), Shown((), {}))

    def in_force(self) -> str | None:
        return self.force

    def standings(self, station: str) -> dict[str, dict[str, str]]:
        return self.stand.get(station, {})

    def standing_counts(self) -> dict[str, int]:
        return self.counted

    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        return self.heard

    def gateway(self, name: str) -> Mapping[str, Any] | None:
        return self.heard.get(name)

    def faults(self) -> Sequence[str]:
        return self.wrong

    async def figures(self, now_ms: int) -> Mapping[str, float]:
        return {**self.told, "egret_consumer_lag_seconds": NOW_MS - now_ms}


class ApiCentre:
    """What a test talks to: `client` has no token, `seat(role)` has one."""

    def __init__(self, context: Context, database: Database, url: str) -> None:
        self.context = context
        self.database = database
        self.ledger = context.ledger
        self.store: Any = context.series
        self.journal = context.feed.journal
        self.rollups: Any = context.charts.rollups
        self.line: Any = context.line
        self.url = url
        self.token: dict[str, str] = {}

    async def admit(self, role: Role) -> None:
        """Make a token; it is a line of the ledger."""
        self.token[str(role)], _ = await self.context.tokens.add(f"{role}1", role)

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token[role]}"}

    async def get(self, path: str, role: str = "viewer", **more: Any) -> httpx2.Response:
        return await self.ask(
            "GET", path, headers=self.bearer(role) | more.pop("headers", {}), **more
        )

    async def post(self, path: str, role: str = "officer", **more: Any) -> httpx2.Response:
        more.setdefault("json", {})
        return await self.ask(
            "POST", path, headers=self.bearer(role) | more.pop("headers", {}), **more
        )

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, verify=TLS) as client:
            return await client.request(method, path, **more)


def catalogue_folder(folder: Path, stations: str = STATIONS, rules: str = RULES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "stations.toml").write_text(stations)
    (folder / "rules.toml").write_text(rules)
    return folder


@asynccontextmanager
async def api_centre(
    tmp_path: Path,
    settings: ApiSettings | None = None,
    *,
    stations: str = STATIONS,
    rules: str = RULES,
    store: Any = None,
    backtest: Sequence[str] = (),
) -> AsyncIterator[ApiCentre]:
    """Serve the API until the block ends."""
    real = Clock()
    clock = Clock(Timescale(1.0, real.now_ms(), NOW_MS))
    database = Database(tmp_path / "egret.db")
    await database.open()
    ledger = Ledger(database, clock.now_ms)
    await ledger.open()
    hub = Hub(clock.now_ms)
    ledger.listen(hub.records)
    series, rollups = store or MemoryStore(), Rollups(tmp_path / "rollups.db")
    await rollups.open()
    journal = Journal(tmp_path / "journal.db", keep_ms=10**12, max_bytes=64 * 2**20)
    await journal.open()
    places = load(catalogue_folder(tmp_path / "catalogue", stations, rules))
    context = Context(
        settings=settings or ApiSettings(port=0),
        clock=clock,
        real=real,
        ledger=ledger,
        tokens=Tokens(database, ledger, real.now_ms),
        places=places,
        series=series,
        charts=Charts(series, rollups),
        line=StillLine(),
        hub=hub,
        feed=Feed(journal, places, clock.now_ms),
        backtests=Backtests(backtest or ("false",), clock.now_ms),
        pace=PaceOrders("run1"),
        since_ms=NOW_MS,
    )
    listener = listening("127.0.0.1", 0)
    server = ApiServer(create_app(context), hub)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(server.up.wait(), PATIENCE_S)
    centre = ApiCentre(context, database, f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        for role in (Role.VIEWER, Role.OFFICER, Role.ADMIN):
            await centre.admit(role)
        yield centre
    finally:
        await context.backtests.close()
        server.stop()
        await asyncio.wait_for(serving, PATIENCE_S)
        listener.close()
        await journal.close()
        await rollups.close()
        await database.close()
