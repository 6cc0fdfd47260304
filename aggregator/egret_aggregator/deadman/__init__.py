"""A dead man's switch on another machine: it calls somebody when a centre falls silent."""

from egret_aggregator.deadman.service import run, try_out
from egret_aggregator.deadman.settings import DeadmanSettings, load

__all__ = ["DeadmanSettings", "load", "run", "try_out"]
