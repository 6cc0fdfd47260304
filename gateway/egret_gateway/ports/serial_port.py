"""A tty: opened, configured and locked by pyserial, read by the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from typing import TYPE_CHECKING

import serial

from egret_gateway.errors import PortError, PortFault
from egret_gateway.ports.byte_port import FINE_S

if TYPE_CHECKING:
    from egret_gateway.bus_settings import BusSettings

GAP_CHARS = 3.5  # MODBUS over Serial Line V1.02 2.5.1.1
GAP_FAST_S = 0.00175  # fixed above 19200 baud, same clause
FAST_BAUD = 19200
NAP_SPARE_S = 0.002  # a timer is up to 1 ms late: the last bytes are waited for awake
NAP_SHARE = 0.9  # of the time the missing characters take: few wakeups, and none too late
ASCII_BITS = 7  # characters that are text, and on a line without CRC proven by their parity only
_SELECT_MAX = 1024  # FD_SETSIZE: a box with a thousand connections has descriptors above it
_CHUNK_B = 4096  # a tty's own buffer
_FAULTS = {
    errno.ENOENT: PortFault.MISSING,
    errno.ENODEV: PortFault.MISSING,
    errno.ENXIO: PortFault.MISSING,
    errno.EACCES: PortFault.DENIED,
    errno.EPERM: PortFault.DENIED,
    errno.EBUSY: PortFault.BUSY,
    errno.EAGAIN: PortFault.BUSY,
}


class SerialPort:
    """One open tty; see `BytePort` for the meaning of its members."""

    def __init__(self, line: serial.Serial, path: str, char_s: float, gap_s: float) -> None:
        self.path = path
        self.char_s = char_s
        self.gap_s = gap_s
        self.last_byte_s = time.monotonic()
        self._line = line
        self._fd: int = line.fileno()

    def write(self, data: bytes) -> None:
        """Send a whole request; PortError when the line has gone or takes no more."""
        try:
            sent = os.write(self._fd, data)
        except OSError as error:
            raise self._gone(error) from error
        if sent != len(data):
            raise PortError(self.path, PortFault.VANISHED, f"took {sent} of {len(data)} bytes")

    def take(self) -> bytes:
        """Return what has come in; PortError when the line has gone."""
        try:
            data = os.read(self._fd, _CHUNK_B)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise PortError(self.path, PortFault.VANISHED, "end of file")
        self.last_byte_s = time.monotonic()
        return data

    async def wait(self, until_s: float, missing: int = 1) -> None:
        """Return when bytes (or a hang-up) are there, or at `until_s`."""
        coming_s = missing * self.char_s
        nap_s = min(coming_s * NAP_SHARE, coming_s - NAP_SPARE_S)
        if nap_s > FINE_S:
            await asyncio.sleep(max(0.0, min(nap_s, until_s - time.monotonic())))
        if until_s - time.monotonic() > FINE_S:
            await self._readable(until_s - FINE_S)
        left_s = until_s - time.monotonic()
        _await_readable(self._fd, max(0.0, min(left_s, FINE_S)))

    async def _readable(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(self._fd, wake)
        timer = loop.call_at(until_s, wake)
        try:
            await ready
        finally:
            timer.cancel()
            loop.remove_reader(self._fd)

    def spacing(self, *, on: bool) -> None:
        """Begin or end a break; PortError when the line has gone."""
        try:
            self._line.break_condition = on
        except OSError as error:
            raise self._gone(error) from error

    def close(self) -> None:
        """Unlock and close; a line that has gone is closed all the same."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        with contextlib.suppress(OSError, termios.error):
            self._line.close()

    def _gone(self, error: OSError) -> PortError:
        return PortError(self.path, PortFault.VANISHED, str(error))


def _await_readable(descriptor: int, for_s: float) -> None:
    """Return when a descriptor is readable, or after `for_s`; nothing else runs meanwhile."""
    if descriptor < _SELECT_MAX:
        select.select([descriptor], [], [], for_s)  # to the microsecond, where poll has whole ms
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll(for_s * 1000)


def line_times(baud: int, parity: str, stop_bits: int, data_bits: int = 8) -> tuple[float, float]:
    """Return (seconds per character, seconds of silence between frames)."""
    bits = 1 + data_bits + (parity != "N") + stop_bits
    char_s = bits / baud
    return char_s, GAP_FAST_S if baud > FAST_BAUD else GAP_CHARS * char_s


def open_serial(settings: BusSettings) -> SerialPort:
    """Open, configure and lock the bus's tty.

    Raises:
        PortError: missing, denied, busy, or not a line that takes these settings.
    """
    path = settings.port
    try:
        line = serial.Serial(
            path,
            settings.baud,
            bytesize=settings.data_bits,
            parity=settings.parity,
            stopbits=settings.stop_bits,
            timeout=0,
            inter_byte_timeout=0,  # VMIN 1: nothing there and hung up can be told apart
            exclusive=True,  # an advisory lock, which other users of pyserial heed
        )
    except (OSError, ValueError, termios.error) as error:
        raise PortError(path, _fault(error), str(error)) from error
    try:
        fcntl.ioctl(line.fileno(), termios.TIOCEXCL)  # and this one binds everyone but root
        termios.tcflush(line.fileno(), termios.TCIOFLUSH)
        if settings.data_bits == ASCII_BITS:
            _check_parity(line.fileno())
    except (OSError, termios.error) as error:
        line.close()
        raise PortError(path, PortFault.UNFIT, str(error)) from error
    times = line_times(settings.baud, settings.parity, settings.stop_bits, settings.data_bits)
    return SerialPort(line, path, *times)


def _check_parity(descriptor: int) -> None:
    """Have a character with wrong parity come in as NUL: where there is no CRC, it is the proof."""
    attributes = termios.tcgetattr(descriptor)
    attributes[0] |= termios.INPCK
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _fault(error: Exception) -> PortFault:
    # pyserial keeps the system's number; termios.error, no OSError, has it as its first argument.
    number = getattr(error, "errno", None)
    return _FAULTS.get(number, PortFault.UNFIT) if number else PortFault.UNFIT
