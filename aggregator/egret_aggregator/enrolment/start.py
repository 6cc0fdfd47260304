"""The broker's folder at the centre's start: what a kill left half done is made good."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from egret_aggregator import data_folder
from egret_aggregator.errors import EnrolmentError

if TYPE_CHECKING:
    from egret_aggregator.config import CentreConfig

_log = logging.getLogger(__name__)


def make_ready(settings: CentreConfig, now_ms: int) -> None:
    """Make the folder good before anything reads it.

    Where that fails it is logged: a full disk must not keep a centre down whose files still
    serve, and where they do not, what needs them says so.
    """
    if settings.enrolment is None:
        return
    try:
        data_folder.broker_folder(settings, settings.enrolment).ready(now_ms)
    except EnrolmentError as error:
        _log.warning("event=accounts_unwritten error=%r remedy=%r", str(error), error.remedy)
    except OSError as error:
        _log.warning("event=accounts_unwritten error=%r", str(error))
