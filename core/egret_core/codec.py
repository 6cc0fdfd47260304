"""Batches to bytes and back: JSON, zlib above 512 B; the first byte tells which.

| key | meaning |
|---|---|
| v | format version, 1 |
| gw, log, seq | identity of the batch |
| k | kind |
| mv | meta version in force |
| ts, bt | cut at; base time of the entries; ms since 1970 UTC |
| clk | `{"src": gnss, ntp, rtc, centre or none, "off_ms": N}` |
| e | entries |

Entries are checked one by one (`egret_core.entries`): one bad entry never costs its neighbours.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeGuard

from egret_core.errors import WireError
from egret_core.messages import (
    COMPRESS_ABOVE_B,
    ENTRIES_MAX,
    HASH_B,
    INFLATED_MAX_B,
    INTEGER_MAX,
    LOG_B,
    PAYLOAD_MAX_B,
    VERSION,
    Batch,
    ClockStamp,
    Reject,
)
from egret_core.topics import is_id

if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN = frozenset(("v", "gw", "log", "seq", "k", "mv", "ts", "bt", "clk", "e"))
_ZLIB_FIRST = 0x78  # RFC 1950, 2.2: CMF of a 32 kB window, the only one zlib writes
_JSON_FIRST = 0x7B
_WORD_MAX = 64  # characters of kind, meta version and clock source
_LEVEL = 6
DEPTH_MAX = 32  # of free-form facts; honest ones have three or four levels


def payload_hash(payload: bytes) -> str:
    """Return the first 8 bytes of SHA-256 of the bytes as sent, in hex."""
    return hashlib.sha256(payload).digest()[:HASH_B].hex()


def canonical_json(value: object) -> bytes:
    """Return compact JSON with the keys in the order given; NaN and infinity raise ValueError."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def is_plain_json(value: object, depth: int = DEPTH_MAX) -> bool:
    """Tell whether what was read can be written again, to a disk or to a client.

    JSON can spell what nothing else takes: 1e999 is infinite, an escape can be half a character,
    and a thousand brackets are deeper than a writer further down may go.
    """
    if isinstance(value, str):
        return value.isascii() or _is_text(value)
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        inner: Iterable[object] = chain(value, value.values())
    elif isinstance(value, list):
        inner = value
    else:
        return True
    return depth > 0 and all(is_plain_json(item, depth - 1) for item in inner)


def encode_batch(batch: Batch) -> bytes:
    """Return the bytes of a batch; equal batches give equal bytes.

    Raises:
        ValueError: NaN or infinity inside, or a payload over 64 kB.
    """
    body: dict[str, Any] = {
        "v": VERSION,
        "gw": batch.gateway,
        "log": batch.log,
        "seq": batch.seq,
        "k": batch.kind,
        "mv": batch.meta_version,
        "ts": batch.cut_ms,
        "bt": batch.base_ms,
        "clk": {"src": str(batch.clock.source), "off_ms": batch.clock.offset_ms},
        **batch.extra,
        "e": batch.entries,
    }
    plain = canonical_json(body)
    payload = zlib.compress(plain, _LEVEL) if len(plain) > COMPRESS_ABOVE_B else plain
    if len(payload) > PAYLOAD_MAX_B or len(plain) > INFLATED_MAX_B:
        raise ValueError(f"batch of {len(payload)} B ({len(plain)} B plain) is over the limit")
    return payload


def inflate(payload: bytes) -> bytes:
    """Return the JSON text of a payload.

    Raises:
        WireError: too_large, bomb or unreadable.
    """
    if len(payload) > PAYLOAD_MAX_B:
        raise WireError(Reject.TOO_LARGE, f"{len(payload)} B, at most {PAYLOAD_MAX_B} B")
    if not payload:
        raise WireError(Reject.UNREADABLE, "empty body")
    if payload[0] == _JSON_FIRST:
        return payload
    if payload[0] != _ZLIB_FIRST:
        raise WireError(
            Reject.UNREADABLE, f"first byte 0x{payload[0]:02x} is neither JSON nor zlib"
        )
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(payload, INFLATED_MAX_B)
    except zlib.error as error:
        raise WireError(Reject.UNREADABLE, f"zlib: {error}") from None
    if stream.unconsumed_tail:
        raise WireError(Reject.BOMB, f"inflates beyond {INFLATED_MAX_B} B")
    if not stream.eof or stream.unused_data:
        raise WireError(Reject.UNREADABLE, "zlib stream is cut short or has a tail")
    return plain


def decode_batch(payload: bytes) -> Batch:
    """Return the batch in a payload; its entries are not looked at yet.

    Raises:
        WireError: `why` is a `Reject`; nothing of the batch was taken.
    """
    body = _parse(inflate(payload))
    version = body.get("v")
    if not _is_int(version):
        raise WireError(Reject.MALFORMED, "v is not a version number")
    if version != VERSION:
        raise WireError(Reject.VERSION, f"version {version}, this side speaks {VERSION}")
    gateway, log, entries = body.get("gw"), body.get("log"), body.get("e")
    if not is_id(gateway):
        raise WireError(Reject.MALFORMED, f"gw {_quoted(gateway)} is not an id")
    if not is_log(log):
        raise WireError(Reject.MALFORMED, f"log {_quoted(log)} is not 32 hex digits")
    if not isinstance(entries, list) or len(entries) > ENTRIES_MAX:
        raise WireError(Reject.MALFORMED, f"e is not a list of at most {ENTRIES_MAX} entries")
    return Batch(
        gateway=gateway,
        log=log,
        seq=_integer(body, "seq", 1),
        kind=_word(body, "k"),
        meta_version=_word(body, "mv"),
        cut_ms=_integer(body, "ts", -INTEGER_MAX),
        base_ms=_integer(body, "bt", -INTEGER_MAX),
        clock=_clock(body.get("clk")),
        entries=tuple(entries),
        extra={key: value for key, value in body.items() if key not in _KNOWN},
    )


def is_log(text: object) -> TypeGuard[str]:
    """Tell whether text is a log id: 32 lower-case hex digits."""
    return isinstance(text, str) and len(text) == 2 * LOG_B and set(text) <= set("0123456789abcdef")


def _parse(plain: bytes) -> dict[str, Any]:
    # NaN and Infinity are not JSON; as words they spoil one entry and not the whole batch.
    try:
        body = json.loads(plain, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise WireError(Reject.UNREADABLE, f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise WireError(Reject.MALFORMED, "the body is not an object")
    return body


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(body: dict[str, Any], key: str, least: int) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= INTEGER_MAX:
        raise WireError(Reject.MALFORMED, f"{key} {_quoted(value)} is not a whole number in range")
    return value


def _word(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or len(value) > _WORD_MAX or not is_plain_json(value):
        raise WireError(Reject.MALFORMED, f"{key} {_quoted(value)} is not a short word")
    return value


def _clock(value: object) -> ClockStamp:
    if not isinstance(value, dict):
        raise WireError(Reject.MALFORMED, "clk is not an object")
    return ClockStamp(_word(value, "src"), _integer(value, "off_ms", -INTEGER_MAX))


def _quoted(value: object) -> str:
    return repr(value)[:_WORD_MAX]
