"""The valley in time: rain at the ridge, stage at the weir and at the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from egret_demo.valley.runoff import Catchment, Reach
from egret_demo.valley.storm import draw

STEP_S = 10.0
CYCLE_S = 6 * 3600.0  # one storm every six hours, so that a long demo has something to tell
GUST = 0.35  # a minute's rain differs by so much from the smooth storm, either way
HORIZON_S = 40 * 86_400.0  # a valley asked for more than 40 days is asked by mistake

WEIR = Catchment(
    area_km2=14, loss_mm=10, runoff_share=0.8, reservoirs=2, k_s=240, base_m3_s=2,
    rating_a=60, rating_b=1.67, rating_zero_m=0.15,
)  # fmt: skip
BRIDGE = Catchment(
    area_km2=42, loss_mm=12, runoff_share=0.75, reservoirs=3, k_s=300, base_m3_s=6,
    rating_a=95, rating_b=1.67, rating_zero_m=0.3,
)  # fmt: skip


class Moment(NamedTuple):
    """The valley at one instant.

    Attributes:
        rain_mm: fallen at the ridge since the beginning; never decreases.
        weir_m: stage at the weir, upstream; bridge_m: stage at the bridge, in town.
    """

    rain_mm: float
    weir_m: float
    bridge_m: float


@dataclass(slots=True)
class _Gusts:
    minute: int = -1
    factor: float = 1.0


class Valley:
    """The make-believe valley; the same seed gives the same water, however it is asked.

    Attributes:
        seed: any integer.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._weir = Reach(WEIR)
        self._bridge = Reach(BRIDGE)
        self._gusts = _Gusts()
        self._storm = draw(Random(f"{seed}/storm/0"), 0.0)
        self._steps = [
            Moment(0.0, self._weir.step(0.0, STEP_S), self._bridge.step(0.0, STEP_S)),
        ]

    def at(self, at_s: float) -> Moment:
        """Return the valley so many seconds after its beginning (before it: the beginning).

        Raises:
            ValueError: beyond the horizon of 40 days.
        """
        if at_s > HORIZON_S:
            raise ValueError(f"{at_s} s is beyond the valley's horizon of {HORIZON_S} s")
        place = max(at_s, 0.0) / STEP_S
        index = int(place)
        while len(self._steps) <= index + 1:
            self._grow()
        share = place - index
        before, after = self._steps[index], self._steps[index + 1]
        return Moment(*(a + (b - a) * share for a, b in zip(before, after, strict=True)))

    def _grow(self) -> None:
        now_s = (len(self._steps) - 1) * STEP_S
        cycle = int(now_s // CYCLE_S)
        if self._storm.begins_s != cycle * CYCLE_S:
            self._storm = draw(Random(f"{self.seed}/storm/{cycle}"), cycle * CYCLE_S)
        rain_mm = self._storm.intensity_mm_h(now_s) * self._gust(now_s) * STEP_S / 3600
        self._steps.append(
            Moment(
                self._steps[-1].rain_mm + rain_mm,
                self._weir.step(rain_mm, STEP_S),
                self._bridge.step(rain_mm, STEP_S),
            )
        )

    def _gust(self, now_s: float) -> float:
        minute = int(now_s // 60)
        if minute != self._gusts.minute:
            swing = Random(f"{self.seed}/gust/{minute}").uniform(-GUST, GUST)
            self._gusts = _Gusts(minute, 1 + swing)
        return self._gusts.factor
