"""What can go wrong in the shared core.

EgretError                  abstract: nobody raises it
  ConfigError               ours to fix: file, key, value seen, remedy (edges raise it too)
  WireError                 the sender's fault; `why` is the name sent back in an ack
"""

from __future__ import annotations


class EgretError(Exception):
    """Root of every error Egret raises on purpose."""


class ConfigError(EgretError):
    """A setting that cannot be used; retrying without an edit does not help.

    Attributes:
        file: the file the setting stands in, as the user named it.
        key: dotted path of the key, e.g. ``bus[0].device[2].unit``.
        seen: the value found, as its author would recognise it.
        remedy: what to write instead, one sentence.
    """

    def __init__(self, file: str, key: str, seen: object, remedy: str) -> None:
        self.file = file
        self.key = key
        self.seen = seen
        self.remedy = remedy
        found = f"{key} = {seen!r}" if key else f"{seen}"  # no key: it is about the whole file
        super().__init__(f"{file}: {found}: {remedy}")


class WireError(EgretError):
    """A message that cannot be read; the same bytes will never be readable.

    Attributes:
        why: a value of `egret_core.messages.Reject`, the promise on the wire.
        detail: one line for the operator; peer text in it is quoted.
    """

    def __init__(self, why: str, detail: str) -> None:
        self.why = why
        self.detail = detail
        super().__init__(f"{why}: {detail}")
