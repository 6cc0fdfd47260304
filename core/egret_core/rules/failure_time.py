"""When an accelerating slope fails: inverse velocity from the onset of acceleration (D11).

    u'' = A u'^alpha  (Voight)      v^(1 - alpha) = A (alpha - 1) (t_f - t), for alpha = 2: 1/v
    Saito, three times of equal steps of u: t_f = t1 + (t2-t1)^2 / 2 / ((t2-t1) - (t3-t1) / 2)

So v^(1 - alpha) falls on a line, and t_f is where the line meets 0. v is in mm/d at the mean time
of its window: set at its end, every t_f would be late by half a window. `FailureTime` fits several
lines at once and says how far they lie apart:
  interval  newest `fit` span, with the window's velocity and with that of twice the window, and
            all since the onset of acceleration, alpha = 2; what does not converge is dropped
  band      newest `fit` span at alpha 2.2 (early end) and 1.5 (late end); the last is the forecast
            where 1/v itself is no line any more
Onset: from then on the window's velocity is above that of twice the window and at least twice that
of uniform creep. (PFTF's onset, Leinauer et al. 2023, s43247-023-00909-z, asks whether 1/v falls
in all windows and below its historic low; here v_eq stands for the history.) A velocity that is
not above 0 ends all lines. Sources: Voight 1989; Fukuzono 1985; Saito 1969.
State: five lines of at most 34 points. Cost: O(lines) a reading, by running sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.rules.line import Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.line import Fit
    from egret_core.rules.velocity import Motion

LINEAR = 2.0  # the alpha at which 1/v itself is a line
LOW, HIGH = 1.5, 2.2  # ends of the band of alpha; at the high end it fails earliest
SINCE_FITS = 3  # the line since onset looks back over at most this many fit spans
FASTER = 2.0  # times uniform creep: below it nothing has begun to accelerate
_UNITS = 10**12  # whole numbers in one (mm/d)^(1 - alpha)
_SLOWEST = 1e-6  # mm/d; below it nothing moves
_FASTEST = 1e9  # mm/d; above it no slope moves
_FILLED = 0.75  # part of a fit span that its velocities must span
_POINTS_MIN = 5
_AHEAD_FITS = 10  # a line drawn on for longer than this many fit spans says nothing


def inverse_velocity(mm_per_day: float, alpha: float = LINEAR) -> float:
    """Return v^(1 - alpha); the velocity above 0, mm/d."""
    return float(mm_per_day ** (1.0 - alpha))


def saito_failure_time(t1: float, t2: float, t3: float) -> float | None:
    """Return t_f from three times at equal steps of displacement, in the unit of the times.

    None where the second step took no less time than the first: it does not accelerate.
    """
    first, both = t2 - t1, t3 - t1
    if not 0 < both < 2 * first:
        return None
    return t1 + 0.5 * first * first / (first - 0.5 * both)


class Forecast(NamedTuple):
    """When it fails, if it goes on as it does; ms since 1970.

    Attributes:
        failure_ms: by the window's velocity over the newest fit span.
        alpha: 2, and 1.5 where 1/v itself is no line any more; r2: of that line.
        early_ms, late_ms: first and last of all lines that converge; lines: how many.
        alpha_early_ms, alpha_late_ms: at alpha 2.2 and 1.5, None where that line does not converge.
        onset_ms: since when it accelerates, None where it does not.
    """

    failure_ms: int
    alpha: float
    r2: float
    early_ms: int
    late_ms: int
    lines: int
    alpha_early_ms: int | None
    alpha_late_ms: int | None
    onset_ms: int | None


class FailureTime:
    """The state of the lines.

    Args:
        fit_ms: the newest span that is fitted; r2_min: a line that explains less is dropped.
    """

    def __init__(self, fit_ms: int, r2_min: float) -> None:
        self._fit_ms = fit_ms
        self._r2_min = r2_min
        self._recent = {alpha: Line(fit_ms) for alpha in (HIGH, LINEAR, LOW)}
        self._slow = Line(fit_ms)
        self._since = Line(SINCE_FITS * fit_ms)
        self._onset_ms: int | None = None

    def take(
        self, short: Motion, long: Motion | None, uniform_mm_per_day: float | None
    ) -> Forecast | None:
        """Take the velocities after a reading; return a forecast, None while none converges.

        Args:
            short: over the window.
            long: over twice the window, None where that is not filled.
            uniform_mm_per_day: of uniform creep, None while it is not known.
        """
        if not _SLOWEST <= short.mm_per_day <= _FASTEST:
            self._end()
            return None
        for alpha, line in self._recent.items():
            line.take(short.time_ms, _counted(short, alpha))
        if long is not None:
            self._mark_onset(short, long, uniform_mm_per_day)
            if _SLOWEST <= long.mm_per_day <= _FASTEST:
                self._slow.take(long.time_ms, _counted(long, LINEAR))
            else:
                self._slow.clear()
        return self._forecast()

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        lines = (*self._recent.values(), self._slow, self._since)
        return [self._onset_ms, *(line.dump() for line in lines)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._onset_ms, *lines = saved
        for line, one in zip((*self._recent.values(), self._slow, self._since), lines, strict=True):
            line.restore(one)

    def _mark_onset(self, short: Motion, long: Motion, uniform: float | None) -> None:
        rises = short.mm_per_day > max(long.mm_per_day, 0.0)
        if uniform is None or not rises or short.mm_per_day < FASTER * uniform:
            self._onset_ms = None
            self._since.clear()
            return
        if self._onset_ms is None:
            self._onset_ms = short.time_ms
        self._since.take(short.time_ms, _counted(short, LINEAR))

    def _forecast(self) -> Forecast | None:
        fits = {alpha: line.fit() for alpha, line in self._recent.items()}
        zeros = {alpha: self._zero(fit) for alpha, fit in fits.items()}
        # Where 1/v bends upward near the end, alpha is below 2 and only the other line stays one.
        alpha = LINEAR if zeros[LINEAR] is not None else LOW
        primary, fit = zeros[alpha], fits[alpha]
        if primary is None or fit is None:
            return None
        others = (self._zero(self._slow.fit()), self._zero(self._since.fit(), 0.5))
        all_ms = [primary, *(found for found in others if found is not None)]
        return Forecast(
            failure_ms=primary,
            alpha=alpha,
            r2=fit.r2,
            early_ms=min(all_ms),
            late_ms=max(all_ms),
            lines=len(all_ms),
            alpha_early_ms=zeros[HIGH],
            alpha_late_ms=zeros[LOW],
            onset_ms=self._onset_ms,
        )

    def _zero(self, fit: Fit | None, filled: float = _FILLED) -> int | None:
        """Return where a line meets 0, ms; None where it does not converge."""
        if fit is None or fit.zero_ms is None or fit.slope >= 0 or fit.r2 < self._r2_min:
            return None
        if fit.points < _POINTS_MIN or fit.span_ms < filled * self._fit_ms:
            return None
        far = fit.zero_ms - fit.mean_ms > _AHEAD_FITS * self._fit_ms
        return None if far else round(fit.zero_ms)

    def _end(self) -> None:
        for line in (*self._recent.values(), self._slow, self._since):
            line.clear()
        self._onset_ms = None


def evidence_of(forecast: Forecast | None) -> Mapping[str, Any]:
    """Return a forecast as evidence; empty where nothing converges."""
    if forecast is None:
        return {}
    return {
        "failure_ms": forecast.failure_ms,
        "failure_alpha": forecast.alpha,
        "failure_from_ms": forecast.early_ms,
        "failure_to_ms": forecast.late_ms,
        "failure_alpha_2_2_ms": forecast.alpha_early_ms,
        "failure_alpha_1_5_ms": forecast.alpha_late_ms,
        "onset_ms": forecast.onset_ms,
        "inverse_velocity_r2": round(forecast.r2, 4),
        "inverse_velocity_lines": forecast.lines,
    }


def _counted(motion: Motion, alpha: float) -> int:
    return round(inverse_velocity(motion.mm_per_day, alpha) * _UNITS)
