"""The last number of every channel of the gateway, and which derived channels are due.

Shared by all buses of one event loop: the barometer may hang on another line than the piezometer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.quality import counts
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
        watchers: Sequence[Callable[[str, Sample], None]] = (),
    ) -> None:
        """Store what is given.

        Args:
            timescale: ages are scaled seconds.
            derived: in their order.
            watchers: they see every sample, with its `station/channel`.
        """
        self._watchers = tuple(watchers)
        self._real_s = timescale.real_s
        self._derived = tuple(derived)
        self._held: dict[str, Held] = {}
        self._silent = [{one.source for one in settings.of} for settings in self._derived]
        self._parts: dict[str, list[int]] = {}
        for index, sources in enumerate(self._silent):
            for key in sources:
                self._parts.setdefault(key, []).append(index)
        self._due: list[int] = []

    def note(self, sample: Sample) -> None:
        """Take a sample; one without a number that counts only says that its channel spoke.

        So does one read in maintenance: somebody may hold the barometer in a bucket.
        """
        key = f"{sample.station}/{sample.channel}"
        if sample.value is not None and counts(sample.flag, sample.reasons):
            self._held[key] = Held(sample.value, sample.mono_ms, sample.flag)
        for take in self._watchers:
            take(key, sample)
        for index in self._parts.get(key, ()):
            silent = self._silent[index]
            if key in silent:
                silent.remove(key)
                if not silent:
                    self._due.append(index)

    def look(self, inputs: Iterable[Input], at_ms: int) -> Looked:
        """Return what the inputs of a conversion give at an instant, monotonic ms."""
        return look(inputs, self._held, at_ms, self._real_s)

    def due(self, at_ms: int) -> tuple[DerivedSettings, Converted] | None:
        """Return the next derived channel all of whose channels spoke since its last value."""
        if not self._due:
            return None
        index = self._due.pop(0)
        settings = self._derived[index]
        self._silent[index] = {one.source for one in settings.of}
        return settings, derive(settings, self.look(settings.of, at_ms))
