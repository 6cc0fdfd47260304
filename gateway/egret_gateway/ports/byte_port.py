"""What the transaction layer asks of a port."""

from __future__ import annotations

from typing import Protocol

FINE_S = 0.001  # an event loop rounds its timers up to whole ms: one character at 9600 baud


class BytePort(Protocol):
    """A half-duplex line of characters.

    Every method raises `egret_gateway.errors.PortError` when the port has gone.

    Attributes:
        char_s: seconds one character takes on the wire.
        gap_s: 3.5 characters of silence; fixed 1.75 ms above 19200 baud.
        last_byte_s: monotonic time at which bytes last came in.
    """

    char_s: float
    gap_s: float
    last_byte_s: float

    def write(self, data: bytes) -> None:
        """Send a whole request."""

    def take(self) -> bytes:
        """Return what has come in, b"" for nothing; never waits."""

    async def wait(self, until_s: float, missing: int = 1) -> None:
        """Return when bytes are there, or at `until_s` of the monotonic clock.

        While a frame comes in, `missing` characters are known to lack: no need to wake for each.

        The last millisecond is waited without giving way, so that it ends on time.
        """
