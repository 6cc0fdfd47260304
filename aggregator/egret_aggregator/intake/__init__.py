"""From the broker to the journal: batches in, refused ones named, acks out after the commit."""

from egret_aggregator.intake.broker import BrokerChild, find_nats
from egret_aggregator.intake.gateways import GatewayView
from egret_aggregator.intake.intake import Intake

__all__ = ["BrokerChild", "GatewayView", "Intake", "find_nats"]
