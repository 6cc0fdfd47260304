"""The heart of the centre: committed entries, in order, with a durable position per consumer."""

from egret_aggregator.journal.entry import Entry, EntryKind
from egret_aggregator.journal.fill import Fill, Level
from egret_aggregator.journal.journal import Journal
from egret_aggregator.journal.receipt import Incoming, Verdict

__all__ = ["Entry", "EntryKind", "Fill", "Incoming", "Journal", "Level", "Verdict"]
