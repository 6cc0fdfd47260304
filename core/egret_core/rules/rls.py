"""Recursive least squares with forgetting, and a ridge that forgetting does not forget.

    k = P x / (f + x' P x)     w' = w + k (y - x' w)     P' = (P - k x' P) / f

x: k terms; y: what followed; w: weights, 0 at first; P: inverse of the weighted sum of x x', at
first 1/ridge on its diagonal; f: forgetting, 1 remembers all. Units are those of x and y. With
f = 1 the weights are those of ridge regression over all that was learned. With f < 1 the plain
recursion forgets its ridge too, and P grows without bound where x never points (wind-up). So
each sample gives back what was forgotten of it, to one term in turn: as learning y = 0 from x = c
at that term, c = sqrt(k (1-f) ridge). Sources: Ljung, System Identification (1999), 11.2 (named,
not read); the ridge in turn is our choice.

P is kept symmetric: one triangle is computed. Where rounding still leaves no positive x' P x or
diagonal, P begins anew and the weights stay. State: k + k(k+1)/2 floats and a count. Cost: O(k^2).
"""

from __future__ import annotations

from math import isfinite, sqrt
from operator import mul
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class RecursiveLeastSquares:
    """The state of one regression.

    Args:
        terms: k; ridge: on each weight's square, in units of y squared.
        forgetting: f, more than 0 and at most 1.

    Attributes:
        weights: one a term; learned: samples so far; resets: how often P began anew.
    """

    __slots__ = ("_inverse", "_shrink", "forgetting", "learned", "resets", "ridge", "weights")

    def __init__(self, terms: int, ridge: float, forgetting: float) -> None:
        self.ridge = ridge
        self.forgetting = forgetting
        self.weights = [0.0] * terms
        self.learned = 0
        self.resets = 0
        self._shrink = sqrt(terms * (1 - forgetting) * ridge)
        self._inverse = self._first()

    def estimate(self, terms: Sequence[float]) -> float:
        """Return x' w."""
        found: float = sum(map(mul, self.weights, terms))
        return found

    def learn(self, terms: Sequence[float], target: float) -> None:
        """Take what followed these terms; all finite, and their squares too."""
        self._absorb(terms, target, self.forgetting)
        if self._shrink:
            at = self.learned % len(terms)
            ridge = [0.0] * len(terms)
            ridge[at] = self._shrink
            self._absorb(ridge, 0.0, 1.0)
        self.learned += 1

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        lower = [row[: at + 1] for at, row in enumerate(self._inverse)]
        return [self.weights, lower, self.learned, self.resets]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        weights, lower, self.learned, self.resets = saved
        self.weights = list(weights)
        size = range(len(lower))
        self._inverse = [[lower[max(a, b)][min(a, b)] for b in size] for a in size]

    def _absorb(self, terms: Sequence[float], target: float, forgetting: float) -> None:
        across = [sum(map(mul, row, terms)) for row in self._inverse]  # P x
        spread = sum(map(mul, across, terms))
        if not (isfinite(spread) and spread >= 0.0):
            self._begin_anew()
            return
        error = target - self.estimate(terms)
        scale = forgetting + spread
        gain = [one / scale for one in across]
        self.weights = [
            weight + one * error for weight, one in zip(self.weights, gain, strict=True)
        ]
        self._shed(across, gain, forgetting)

    def _shed(self, across: list[float], gain: list[float], forgetting: float) -> None:
        """P becomes (P - k x' P) / f, one triangle of it."""
        inverse = self._inverse
        for at, (row, one) in enumerate(zip(inverse, gain, strict=True)):
            for to in range(at + 1):
                row[to] = inverse[to][at] = (row[to] - one * across[to]) / forgetting
            if not row[at] > 0.0:
                self._begin_anew()
                return

    def _begin_anew(self) -> None:
        self._inverse = self._first()
        self.resets += 1

    def _first(self) -> list[list[float]]:
        size = range(len(self.weights))
        return [[1 / self.ridge if a == b else 0.0 for b in size] for a in size]
