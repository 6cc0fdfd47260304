"""Outbox to centre: sent until the centre itself says that it has it."""

from egret_gateway.uplink.uplink import Uplink

__all__ = ["Uplink"]
