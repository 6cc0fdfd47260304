"""Raw numbers to canonical values with their quality; pure.

One file per family of formulas; `formulas` lists them by the id that meta carries.
"""

from egret_gateway.convert.channel import Converted, formula_of, is_identity, to_canonical
from egret_gateway.convert.counter import LOST, memory_of
from egret_gateway.convert.formulas import COUNTER, COUNTERS

__all__ = [
    "COUNTER",
    "COUNTERS",
    "LOST",
    "Converted",
    "formula_of",
    "is_identity",
    "memory_of",
    "to_canonical",
]
