"""What can go wrong in the gateway.

EgretError (core)
  ConfigError (core)        ours to fix: file, key, value seen, remedy
  GatewayError              abstract: nobody raises it
    PortError               the machine's or the cabling's: a port that cannot be used just now
    DecodeError             the device's: registers that do not make the value the profile promises
      ReplyError            the device's: a line that is not the reply asked for; `fault` says how
    OutboxError             the outbox cannot be opened or written; `remedy` says what to do
    UplinkError             the broker refused us or is gone; trying again later may help
    MaintenanceError        a maintenance cannot be declared; the message says why
    AskError                a bus cannot answer a question just now; the message says why
    StatusError             the running service does not answer; the message says what to do
      NotRunningError       none runs on this data
"""

from __future__ import annotations

from enum import StrEnum

from egret_core.errors import EgretError


class GatewayError(EgretError):
    """Root of the gateway's own errors."""


class PortFault(StrEnum):
    """Why a port cannot be used."""

    MISSING = "missing"
    DENIED = "denied"
    BUSY = "busy"
    UNFIT = "unfit"
    VANISHED = "vanished"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    LOST = "lost"

    @property
    def remedy(self) -> str:
        """What a technician does about it, one sentence."""
        return _REMEDIES[self]


_REMEDIES = {
    PortFault.MISSING: "plug the adapter in, or name the port that `ls -l /dev/serial/by-id` shows",
    PortFault.DENIED: "add the service's user to the group that owns the port (Debian: dialout)",
    PortFault.BUSY: "another program holds the port (a second gateway, ModemManager, brltty): "
    "stop it (`fuser -v PORT` names it)",
    PortFault.UNFIT: "this is not a serial line that takes these settings: "
    "check port, baud, parity and stop_bits",
    PortFault.VANISHED: "the adapter was unplugged or lost power: check plug and supply; "
    "it is taken up again by itself",
    PortFault.REFUSED: "nothing listens at that address: check host and port, and whether the "
    "other side takes one more connection (serial servers often take one only)",
    PortFault.UNREACHABLE: "nobody answers at that address: check host, cable, route and firewall",
    PortFault.LOST: "the connection ended: check the other side's supply and its network; "
    "it is taken up again by itself",
}


class PortError(GatewayError):
    """A port that cannot be opened or has gone; trying again later may help.

    Attributes:
        port: its path; fault: the named reason; detail: what the system said.
    """

    def __init__(self, port: str, fault: PortFault, detail: str) -> None:
        self.port = port
        self.fault = fault
        self.detail = detail
        super().__init__(f"{port}: {fault} ({detail}): {fault.remedy}")


class DecodeError(GatewayError):
    """Registers that do not make a value of the type asked for; asking again does not help."""


class ReplyFault(StrEnum):
    """Why a line is not the reply asked for."""

    ADDRESS = "address"
    FORM = "form"
    LENGTH = "length"
    CRC = "crc"


class ReplyError(DecodeError):
    """A line that is not exactly the reply asked for; asking again may help.

    Attributes:
        fault: the named reason; line: as it came.
    """

    def __init__(self, fault: ReplyFault, line: bytes) -> None:
        self.fault = fault
        self.line = line
        super().__init__(f"{line!r} is not the reply asked for: {fault}")


class OutboxError(GatewayError):
    """The outbox cannot be used; retrying helps only after the remedy.

    Attributes:
        path: the file; remedy: one sentence.
    """

    def __init__(self, path: str, what: str, remedy: str) -> None:
        self.path = path
        self.remedy = remedy
        super().__init__(f"{path}: {what}: {remedy}")


class UplinkError(GatewayError):
    """The broker refused us or is gone; the uplink tries again by itself.

    Attributes:
        refused: it was our credential that the broker refused; another one may do.
    """

    def __init__(self, text: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(text)


class MaintenanceError(GatewayError):
    """A maintenance cannot be declared; the message says why."""


class AskError(GatewayError):
    """A bus cannot answer a question just now; the message says why."""


class StatusError(GatewayError):
    """The running service does not answer; the message says what to do."""


class NotRunningError(StatusError):
    """No service runs on this data."""
