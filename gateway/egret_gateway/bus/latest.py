"""The last number of every channel of the gateway, and which derived channels are due.

Shared by all buses of one event loop: the barometer may hang on another line than the piezometer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.quality import Flag
from egret_gateway.convert.derived import derive
from egret_gateway.convert.inputs import Held, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.convert import Converted
    from egret_gateway.convert.derived import DerivedSettings
    from egret_gateway.convert.formula import Input
    from egret_gateway.convert.inputs import Looked
    from egret_gateway.sample import Sample


class Latest:
    """What was last measured."""

    def __init__(
        self,
        timescale: Timescale,
        derived: Sequence[DerivedSettings] = (),
        watchers: Sequence[Callable[[Sample], None]] = (),
    ) -> None:
        """Store what is given.

        Args:
            timescale: ages are scaled seconds.
            derived: in their order.
            watchers: they see every sample.
        """
        self._watchers = tuple(watchers)
        self._real_s = timescale.real_s
        self._derived = tuple(derived)
        self._held: dict[str, Held] = {}
        self._spoke: list[set[str]] = [set() for _ in self._derived]
        self._wanted = [{one.source for one in settings.of} for settings in self._derived]

    def note(self, sample: Sample) -> None:
        """Take a sample; one without a number that counts only says that its channel spoke."""
        key = f"{sample.station}/{sample.channel}"
        if sample.value is not None and sample.flag != Flag.FAIL:
            self._held[key] = Held(sample.value, sample.mono_ms, sample.flag)
        for take in self._watchers:
            take(sample)
        for spoke, wanted in zip(self._spoke, self._wanted, strict=True):
            if key in wanted:
                spoke.add(key)

    def look(self, inputs: Iterable[Input], at_ms: int) -> Looked:
        """Return what the inputs of a conversion give at an instant, monotonic ms."""
        return look(inputs, self._held, at_ms, self._real_s)

    def due(self, at_ms: int) -> tuple[DerivedSettings, Converted] | None:
        """Return the next derived channel all of whose channels spoke since its last value."""
        for index, settings in enumerate(self._derived):
            if self._spoke[index] >= self._wanted[index]:
                self._spoke[index] = set()
                return settings, derive(settings, self.look(settings.of, at_ms))
        return None
