"""What rules would have said: history through the same fold as the judge's, and its skill.

Public surface: `Backtest` over a `History`, `Span`, `Outcome`, and `Backtests`, the API's jobs.
"""

from egret_aggregator.backtest.history import CsvHistory, History
from egret_aggregator.backtest.replay import Backtest, Outcome, Span, Told

__all__ = ["Backtest", "CsvHistory", "History", "Outcome", "Span", "Told"]
