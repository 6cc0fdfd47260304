"""Whole lines out of a stream of bytes: our own echo and what is no character are struck out.

On one wire a recorder hears itself, a break is heard as a NUL, and a driver that is switched on
as anything. All of that may stand before a reply and never inside it.
"""

from __future__ import annotations

from typing import NamedTuple

LINE_MAX_B = 81  # address, 75 characters of values, CRC, CR LF
BUFFER_MAX_B = 512  # several lines and echoes; what is older belongs to no reply any more
LINE_END = b"\r\n"
_NO_CHARACTERS = bytes([*range(0x21), *range(0x7F, 0x100)])


class Lines(NamedTuple):
    """What a buffer holds.

    Attributes:
        whole: lines without CR LF; rest: what may become one; both without echo and noise before.
        left: how many bytes at the buffer's end `rest` was made of.
    """

    whole: tuple[bytes, ...]
    rest: bytes
    left: int

    @classmethod
    def of(cls, buffer: bytes, echo: bytes = b"") -> Lines:
        """Split a buffer at every CR LF.

        Args:
            buffer: as it came.
            echo: the command just sent, which may be heard before its reply.
        """
        *whole, rest = buffer.split(LINE_END)
        lines = (_bare(line, echo) for line in whole)
        return cls(tuple(line for line in lines if line), _rest(rest, echo), len(rest))


def _bare(line: bytes, echo: bytes) -> bytes:
    line = line.lstrip(_NO_CHARACTERS)
    while echo and line.startswith(echo):
        line = line[len(echo) :].lstrip(_NO_CHARACTERS)
    return line


def _rest(rest: bytes, echo: bytes) -> bytes:
    """Return what has come of the next line; half an echo is nothing yet."""
    bare = _bare(rest, echo)
    return b"" if echo.startswith(bare) else bare
