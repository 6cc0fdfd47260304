"""What stands where in the data folder, or is named by the settings instead."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from egret_aggregator.enrolment.folder import BrokerFolder
from egret_aggregator.intake.broker import reload as reload_broker
from egret_aggregator.store import chosen

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig, DatabaseSettings
    from egret_aggregator.enrolment.settings import EnrolmentSettings


def database_place(settings: CentreConfig) -> Path | DatabaseSettings:
    """Return where ledger, warnings and tokens are kept."""
    return settings.database if settings.database.url else settings.data / "egret.db"


def series_path(settings: CentreConfig) -> Path:
    """Return the store's own file: raw readings, or what is kept beside a database of them."""
    return chosen.file(settings.store, settings.data)


def rollups_path(settings: CentreConfig) -> Path:
    """Return where ten-minute and hourly buckets are kept, whatever the store is."""
    return settings.data / "rollups.db"


def broker_folder(settings: CentreConfig, enrolment: EnrolmentSettings) -> BrokerFolder:
    """Return the folder of CA and accounts; a change of it reloads a broker of ours."""
    reload = partial(reload_broker, settings.data / "broker") if settings.broker.embedded else None
    return BrokerFolder(enrolment, settings.broker.port, reload)
