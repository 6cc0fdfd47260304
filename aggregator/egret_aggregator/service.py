"""The centre as one process: what stands where, what runs, and how it starts and stops.

Broker, journal, store and database open in this order and close in reverse; the parts that run
between are supervised: when one ends by itself, the process ends and says which.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator import data_folder, data_lock, garbage, kernel_clock
from egret_aggregator.api.app import create_app
from egret_aggregator.api.context import JUDGED_STALE_S, Context
from egret_aggregator.api.envelope import standing
from egret_aggregator.api.hub import Hub, beat
from egret_aggregator.api.observations import Observations
from egret_aggregator.api.server import ApiServer, listening
from egret_aggregator.backtest.jobs import Backtests
from egret_aggregator.charts import Charts
from egret_aggregator.clock import Clock
from egret_aggregator.database import Database
from egret_aggregator.enrolment.clock_trust import ClockTrust
from egret_aggregator.enrolment.folder import NATS_ACCOUNTS
from egret_aggregator.enrolment.office import Office
from egret_aggregator.enrolment.render import nats_tls
from egret_aggregator.enrolment.renewal import Renewals
from egret_aggregator.feed import Feed
from egret_aggregator.intake import BrokerChild, Intake
from egret_aggregator.intake.nats import Secured
from egret_aggregator.journal import Journal
from egret_aggregator.journal.inspection import inspect
from egret_aggregator.judge import Judge
from egret_aggregator.line import RunningLine
from egret_aggregator.recorder import Recorder
from egret_aggregator.retention import Retention
from egret_aggregator.roller import Reached, Roller
from egret_aggregator.service_manager import ServiceManager
from egret_aggregator.store import SqliteStore, chosen
from egret_aggregator.store.rollups import Rollups
from egret_aggregator.supervision import supervise
from egret_aggregator.tokens import Tokens
from egret_aggregator.warmup import StoredPast
from egret_aggregator.warnings import Ledger
from egret_aggregator.warnings.clerk import Clerk
from egret_aggregator.witness import Witness
from egret_core.sources import is_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.config import CentreConfig
    from egret_aggregator.enrolment.settings import EnrolmentSettings
    from egret_aggregator.store import TimeSeriesStore

STALE_REAL_S = 10.0  # on a scaled clock a minute is short: this much real time is allowed

_DAY_MS = 86_400_000
_MB = 1024 * 1024
_LOG = logging.getLogger(__name__)


async def run(
    settings: CentreConfig, catalogue: Catalogue, ready: Callable[[str, int], None]
) -> int:
    """Run the centre until SIGTERM or SIGINT; 0 for an orderly end.

    Args:
        settings: checked settings.
        catalogue: checked catalogue.
        ready: told the API's host and port once it answers.

    Raises:
        AggregatorError: something could not be opened, or a part ended by itself.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        centre = await Centre.opened(stack, settings, catalogue)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, centre.stop)
            stack.callback(loop.remove_signal_handler, number)
        await centre.run(ready)
    _LOG.info("centre state=stopped")
    return 0


class _Files(NamedTuple):
    """What is kept on disk, open."""

    database: Database
    ledger: Ledger
    journal: Journal
    store: TimeSeriesStore
    rollups: Rollups

    @classmethod
    async def opened(cls, stack: AsyncExitStack, settings: CentreConfig, clock: Clock) -> _Files:
        database = Database(data_folder.database_place(settings))
        stack.push_async_callback(database.close)
        await database.open()
        ledger = Ledger(database, clock.now_ms)
        await ledger.open()
        journal = Journal(
            settings.data / "journal.db",
            keep_ms=int(settings.journal.keep_days * _DAY_MS),
            max_bytes=settings.journal.max_mb * _MB,
        )
        await journal.open()
        stack.push_async_callback(journal.close)
        store = chosen.store(settings.store, settings.data)
        await store.open()
        stack.push_async_callback(store.close)
        rollups = Rollups(data_folder.rollups_path(settings))
        await rollups.open()
        stack.push_async_callback(rollups.close)
        return cls(database, ledger, journal, store, rollups)


async def _broker(stack: AsyncExitStack, settings: CentreConfig) -> BrokerChild | None:
    if not settings.broker.embedded:
        return None
    secured = await asyncio.to_thread(_accounts, settings)
    broker = BrokerChild(
        settings.data / "broker", settings.broker.host, settings.broker.port, secured
    )
    stack.push_async_callback(broker.stop)
    await broker.start()
    return broker


def _accounts(settings: CentreConfig) -> Secured | None:
    """Return TLS and accounts of the embedded broker; EnrolmentError before `ca init`."""
    if settings.enrolment is None:
        return None
    data_folder.broker_folder(settings, settings.enrolment).book()
    folder = settings.enrolment.folder.absolute()
    # NATS looks for it from its own file's folder.
    accounts = os.path.relpath(folder / NATS_ACCOUNTS, (settings.data / "broker").absolute())
    return Secured(nats_tls(str(folder), settings.enrolment.by), accounts)


async def _line(
    stack: AsyncExitStack,
    settings: CentreConfig,
    catalogue: Catalogue,
    clock: Clock,
    *,
    files: _Files,
    broker: BrokerChild | None,
) -> RunningLine:
    journal = files.journal
    await Witness(journal, files.ledger).compare()
    known = {(place.station, place.channel) for place in catalogue.places()}
    recorder = Recorder(journal, files.store, owner=catalogue.owner, known=known)
    await recorder.open()
    # Rollups that outlived journal and store must meet no id a second time either.
    rolled = (await files.rollups.progress()).positions
    await journal.leap(max(rolled.values(), default=0))
    judge = Judge(
        journal,
        Clerk(files.ledger).take,
        catalogue,
        clock.now_ms,
        past=StoredPast(files.store, lambda: recorder.position),
        decoded=journal.decoded,
        readings=journal.readings,
    )
    stack.push_async_callback(judge.flush)
    intake = Intake(settings.broker, journal, clock)
    if settings.enrolment is not None:
        newest_ms = (await asyncio.to_thread(inspect, settings.data / "journal.db")).newest_ms
        intake.renewals = _renewals(
            settings, settings.enrolment, files.ledger, intake.run_id, newest_ms
        )
    roller = Roller(
        journal,
        files.store,
        files.rollups,
        lambda: Reached(recorder.position, recorder.recorded_to_ms),
        clock.monotonic_s,
    )
    owners = {place.gateway for place in catalogue.places()}
    catalogued = frozenset(owner for owner in owners if owner and is_gateway(owner))
    return RunningLine(broker, intake, journal, recorder, judge, roller, catalogued)


def _renewals(
    settings: CentreConfig, enrolment: EnrolmentSettings, ledger: Ledger, run: str, newest_ms: int
) -> Renewals:
    folder, real = data_folder.broker_folder(settings, enrolment), Clock()
    office = Office(enrolment, folder, ledger, real.now_ms, settings.broker.port)
    trust = ClockTrust(real.now_ms, real.monotonic_s, newest_ms, kernel_clock.synchronised)
    return Renewals(office, enrolment, run, real.now_ms, real.monotonic_s, trusted=trust.good)


class Centre:
    """Every room of the centre, open and wired."""

    def __init__(
        self,
        context: Context,
        parts: RunningLine,
        hosts: tuple[str, int],
        retention: Retention,
    ) -> None:
        self._context = context
        self._parts = parts
        self._retention = retention
        self._listener = listening(*hosts)
        self._server = ApiServer(create_app(context), context.hub)
        self._stop = asyncio.Event()
        self._stopping = False
        self._manager = ServiceManager(os.environ)

    @classmethod
    async def opened(
        cls, stack: AsyncExitStack, settings: CentreConfig, catalogue: Catalogue
    ) -> Centre:
        """Open everything on `stack`, which closes it again in reverse.

        Raises:
            AggregatorError: what cannot be opened, and why.
        """
        stack.enter_context(data_lock.held(settings.data))  # before a broker of it is replaced
        clock = Clock(settings.timescale)
        broker = await _broker(stack, settings)
        files = await _Files.opened(stack, settings, clock)
        line = await _line(stack, settings, catalogue, clock, files=files, broker=broker)
        hub = Hub(clock.now_ms)
        backtests = Backtests.over(Path(settings.file), clock.now_ms)
        stack.push_async_callback(backtests.close)
        files.ledger.listen(hub.records)
        context = Context(
            settings=settings.api,
            clock=clock,
            real=Clock(),
            ledger=files.ledger,
            tokens=Tokens(files.database, files.ledger, Clock().now_ms),
            places=catalogue,
            series=files.store,
            charts=Charts(files.store, files.rollups),
            line=line,
            hub=hub,
            feed=Feed(files.journal, catalogue, clock.now_ms),
            backtests=backtests,
            pace=line.intake.pace,
            since_ms=clock.now_ms(),
            stale_s=max(JUDGED_STALE_S, STALE_REAL_S * settings.timescale.scale),
        )
        garbage.settle()
        own = files.store if isinstance(files.store, SqliteStore) else None
        retention = Retention(own, files.rollups, settings.retention, files.store)
        centre = cls(context, line, (settings.api.host, settings.api.port), retention)
        stack.callback(centre._listener.close)
        return centre

    def stop(self) -> None:
        """Begin an orderly end: the streams first, then the API, then the rest."""
        if not self._stopping:
            self._stopping = True
            _LOG.info("centre state=stopping")
            self._manager.stopping()
            self._server.stop()

    async def run(self, ready: Callable[[str, int], None]) -> None:
        """Run until `stop`.

        Raises:
            TaskDiedError: a part ended by itself.
        """
        context, broker = self._context, self._parts.broker
        renewals = self._parts.intake.renewals
        await supervise(
            {
                **({"broker": broker.watch()} if broker else {}),
                "intake": self._parts.intake.run(),
                **({"renewals": renewals.run()} if renewals else {}),
                "recorder": self._parts.recorder.run(),
                "judge": self._parts.judge.run(),
                **({"roller": self._parts.roller.run()} if self._parts.roller else {}),
                "retention": self._retention.run(context.clock),
                "witness": Witness(self._parts.journal, context.ledger).run(),
                "heartbeat": beat(context.hub, self._heartbeat),
                "observations": Observations(context).run(),
                "announcement": self._announce(ready),
                "service manager": self._manager.watch(self._parts.pulses, self._status),
                "api": self._serve(),
            },
            self._stop,
        )

    async def _serve(self) -> None:
        await self._server.serve(sockets=[self._listener])
        if self._stopping:
            self._stop.set()
            await asyncio.Event().wait()

    async def _announce(self, ready: Callable[[str, int], None]) -> None:
        await self._server.up.wait()
        host, port = self._listener.getsockname()[:2]
        _LOG.info("centre state=up api=http://%s:%d run=%s", host, port, self._parts.intake.run_id)
        self._manager.ready(self._status())
        ready(host, port)
        await asyncio.Event().wait()

    def _status(self) -> str:
        state, _, _ = self._context.judgement()
        why = ", ".join(self._parts.faults()) or "readings come in"
        return f"judgement {state}; {why}; ledger {self._context.ledger.head.seq}"

    def _heartbeat(self) -> Mapping[str, Any]:
        return {**standing(self._context), "hash": self._context.ledger.head.hash}
