"""What can go wrong in the centre.

EgretError
  AggregatorError           abstract: nobody raises it; `remedy` says what the operator can do
    JournalError            a commit failed or the journal is closed: nothing of it was acknowledged
      JournalClosedError    it is closed or its writer died: nothing will be committed any more
    StoreError              the time-series store could not write or read; retrying may help
    DatabaseError           the store of ledger, warnings and tokens cannot be opened
      DatabaseUnavailableError  it does not answer now; retrying may help
    BrokerError             the broker cannot be found or started, or refuses us
    EnrolmentError          CA, accounts or a bundle cannot be made or used
    BackupError             a backup cannot be made, is damaged, or does not fit here
    ImportRefusedError      the running centre does not take what a file holds
    DataFolderError         the data folder is another centre's just now, or cannot be written
"""

from __future__ import annotations

from egret_core.errors import EgretError


class AggregatorError(EgretError):
    """Root of the centre's own errors.

    Attributes:
        remedy: what the operator can do, one sentence; "" where there is nothing to say.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__(f"{text}: {remedy}" if remedy else text)


class JournalError(AggregatorError):
    """The journal could not commit; whoever waited is not acknowledged and sends again."""


class JournalClosedError(JournalError):
    """The journal is closed, or its writer died: trying again is of no use in this process."""


class StoreError(AggregatorError):
    """The time-series store failed; the journal keeps what was not written."""


class DatabaseError(AggregatorError):
    """The store of ledger, warnings and tokens is none of ours, or of a later version."""


class DatabaseUnavailableError(DatabaseError):
    """The store of ledger, warnings and tokens does not answer now; retrying may help."""


class BrokerError(AggregatorError):
    """The broker is missing, would not start, or refused a subscription."""


class EnrolmentError(AggregatorError):
    """CA, accounts or a bundle cannot be made or used."""


class BackupError(AggregatorError):
    """A backup cannot be made or put back, or it is not whole."""


class ImportRefusedError(AggregatorError):
    """The running centre refuses readings of a file, or does not answer; what was sent is in."""


class DataFolderError(AggregatorError):
    """The data folder cannot be used."""
