"""What an operator should know before it hurts: each room looked at, each finding with a remedy."""

from egret_aggregator.doctor.examination import examine
from egret_aggregator.doctor.finding import Finding, Result

__all__ = ["Finding", "Result", "examine"]
