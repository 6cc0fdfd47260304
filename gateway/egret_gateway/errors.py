"""What can go wrong in the gateway.

EgretError                  abstract: nobody raises it
  OutboxError               the outbox cannot be opened or written; `remedy` says what to do
  UplinkError               the broker refused us; trying again later may help
"""

from __future__ import annotations

from egret_core.errors import EgretError


class OutboxError(EgretError):
    """The outbox cannot be used; retrying helps only after the remedy.

    Attributes:
        path: the file; remedy: one sentence.
    """

    def __init__(self, path: str, what: str, remedy: str) -> None:
        self.path = path
        self.remedy = remedy
        super().__init__(f"{path}: {what}: {remedy}")


class UplinkError(EgretError):
    """The broker refused a connection or a subscription; the uplink tries again by itself."""
