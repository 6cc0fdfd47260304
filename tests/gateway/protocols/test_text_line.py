"""Lines found in whatever comes: whole, byte by byte, with a tail, behind noise; never glued."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret_gateway.protocols.text_line import (
    BCC,
    CHECKSUMS,
    CONTENT_MAX_B,
    CRC16,
    LINE_MAX_B,
    NMEA,
    NONE,
    SUM8,
    Flaw,
    Framing,
    Lines,
    checksum,
)

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)
SENTENCE = Framing(prefix=b"$", checksum=NMEA)
PLAIN = Framing()
FRAMINGS = {
    "plain": PLAIN,
    "sentence": SENTENCE,
    "sum8": Framing(prefix=b"#", terminator=b"\r\n", checksum=SUM8),
    "crc": Framing(terminator=b"\r", checksum=CRC16),
    "stx-etx": Framing(prefix=b"\x02", terminator=b"\x03", checksum=BCC),
}
DEPTH = b"$SDDPT,2.4,,*53\r\n"  # IEC 61162-1 layout, checksum worked out by hand


def framed(framing: Framing, content: bytes) -> bytes:
    digits = checksum(framing.checksum, content, framing.terminator)
    if framing.checksum == BCC:
        return framing.prefix + content + framing.terminator + digits
    return framing.prefix + content + digits + framing.terminator


def heard(framing: Framing, *chunks: bytes, begun: bool = True) -> list[tuple[Flaw, str]]:
    lines = Lines(framing)
    if begun:
        lines.forget()
    return [(line.flaw, line.text) for chunk in chunks for line in lines.feed(chunk, 0.0)]


def whole(framing: Framing, *chunks: bytes) -> list[str]:
    return [text for flaw, text in heard(framing, *chunks) if flaw is Flaw.NONE]


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_a_line_whole_byte_by_byte_and_with_a_tail(framing: Framing) -> None:
    line = framed(framing, b"X=+00.430,Y=-1")
    expected = [(Flaw.NONE, "X=+00.430,Y=-1")]
    assert heard(framing, line) == expected
    assert heard(framing, *(bytes((byte,)) for byte in line)) == expected
    assert heard(framing, line + framing.prefix + b"X=") == expected
    assert heard(framing, line + line) == expected * 2


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_every_changed_byte_of_a_summed_line_is_noticed(framing: Framing) -> None:
    if framing.checksum == NONE:
        return
    line = framed(framing, b"12.5")
    for at in range(len(line)):
        for flip in (1, 0x10, 0x80):
            broken = line[:at] + bytes((line[at] ^ flip,)) + line[at + 1 :]
            # A damaged end takes the next line with it; that one after it is found again.
            found = whole(framing, broken, framed(framing, b"7"), framed(framing, b"8"))
            assert "12.5" not in found
            assert found[-1:] == ["8"]


def test_the_checksums_are_those_of_their_definitions() -> None:
    assert checksum(NMEA, b"SDDPT,2.4,,") == b"*53"
    assert checksum(CRC16, b"123456789") == b"4B37"
    assert checksum(SUM8, b"123456789") == b"DD"
    assert checksum(BCC, b"12", b"\x03") == b"\x00"
    assert checksum(NONE, b"12") == b""
    assert len(CHECKSUMS) == 5


@pytest.mark.parametrize("digits", [b"", b"*", b"*5", b"*5 3", b"*053", b"*54", b"53", b"*5\xb3"])
def test_a_sentence_without_its_two_digits_is_damaged(digits: bytes) -> None:
    assert heard(SENTENCE, b"$SDDPT,2.4,," + digits + b"\r\n") == [(Flaw.DAMAGED, "")]


def test_digits_may_be_small_letters() -> None:
    assert whole(SENTENCE, b"$GPX,a" + checksum(NMEA, b"GPX,a").lower() + b"\n") == ["GPX,a"]


def test_a_line_whose_beginning_was_not_heard_is_none() -> None:
    assert heard(PLAIN, b"2.34\r\n12.34\r\n", begun=False) == [
        (Flaw.HEADLESS, ""),
        (Flaw.NONE, "12.34"),
    ]
    assert heard(SENTENCE, b"2.4,,*53\r\n" + DEPTH) == [
        (Flaw.HEADLESS, ""),
        (Flaw.NONE, "SDDPT,2.4,,"),
    ]


def test_a_prefix_begins_a_line_anew() -> None:
    assert whole(SENTENCE, b"\x00\xff$SDDPT,2." + DEPTH) == ["SDDPT,2.4,,"]


def test_halves_with_a_pause_between_are_not_glued() -> None:
    lines = Lines(PLAIN)
    lines.forget()
    assert lines.feed(b"1", 10.0) == []
    found = lines.feed(b"2.34\n5.6\n", 10.6)
    assert [(line.flaw, line.text, line.raw, line.at_s) for line in found] == [
        (Flaw.HALF, "", b"1", 10.0),
        (Flaw.HEADLESS, "", b"2.34\n", 10.6),
        (Flaw.NONE, "5.6", b"5.6\n", 10.6),
    ]


def test_a_line_has_the_time_of_its_last_byte() -> None:
    lines = Lines(SENTENCE)
    assert lines.feed(DEPTH[:5], 3.0) == []
    assert [line.at_s for line in lines.feed(DEPTH[5:], 3.25)] == [3.25]


def test_what_is_forgotten_in_the_middle_of_a_line_leaves_no_other_half() -> None:
    lines = Lines(PLAIN)
    lines.forget()
    lines.feed(b"12.", 0.0)
    lines.forget()
    assert [line.flaw for line in lines.feed(b"34\n", 0.1)] == [Flaw.HEADLESS]


@pytest.mark.parametrize("framing", [PLAIN, SENTENCE], ids=["plain", "sentence"])
def test_a_line_without_an_end_is_dropped_and_the_next_one_found(framing: Framing) -> None:
    lines = Lines(framing)
    lines.forget()
    flaws = {line.flaw for _ in range(5) for line in lines.feed(b"7" * LINE_MAX_B, 0.0)}
    assert flaws == {Flaw.LONG}
    assert len(lines._buffer) <= LINE_MAX_B
    assert not [x for x in lines.feed(b"8\n", 0.0) if x.flaw is Flaw.NONE]
    assert [x.text for x in lines.feed(framed(framing, b"GP,9"), 0.0)] == ["GP,9"]


def test_a_sentence_behind_much_noise_is_found() -> None:
    for noise in (b"\xff" * (LINE_MAX_B - 5), b"\xff" * 3 * LINE_MAX_B):
        assert whole(SENTENCE, noise + DEPTH) == ["SDDPT,2.4,,"]
        assert whole(SENTENCE, *(bytes((b,)) for b in noise + DEPTH)) == ["SDDPT,2.4,,"]


def test_the_longest_line() -> None:
    assert whole(PLAIN, b"1" * CONTENT_MAX_B + b"\r\n") == ["1" * CONTENT_MAX_B]
    assert heard(PLAIN, b"1" * (CONTENT_MAX_B + 1) + b"\r\n") == [(Flaw.LONG, "")]


def test_text_is_latin_and_nothing_else() -> None:
    assert whole(PLAIN, b"T=21.5\xb0C\n") == ["T=21.5°C"]
    assert heard(PLAIN, b"T=\x0721\n\x80\n") == [(Flaw.BINARY, ""), (Flaw.BINARY, "")]


def test_empty_lines_are_nothing() -> None:
    assert heard(PLAIN, b"\r\n\n\r\r\n") == []


@EXAMPLES
@given(st.binary(max_size=400), st.sampled_from(sorted(FRAMINGS)))
def test_any_stream_whole_or_byte_by_byte_gives_the_same_lines(data: bytes, name: str) -> None:
    framing = FRAMINGS[name]
    parts = [bytes((byte,)) for byte in data]
    assert heard(framing, data) == heard(framing, *parts)


@EXAMPLES
@given(
    st.binary(max_size=300),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60),
    st.sampled_from(["sentence", "sum8", "stx-etx"]),
)
def test_a_good_line_behind_any_noise_is_heard(noise: bytes, text: str, name: str) -> None:
    framing = FRAMINGS[name]
    if framing.prefix.decode() in text:
        return
    # The end of the noise is not part of the line; a byte that sums the noise up comes with it.
    stream = noise + framing.terminator + b"\n" * 2 + framed(framing, text.encode())
    assert whole(framing, stream)[-1:] == [text]


@EXAMPLES
@given(st.lists(st.tuples(st.binary(max_size=50), st.floats(0, 2)), max_size=20))
def test_pauses_and_noise_never_raise(steps: list[tuple[bytes, float]]) -> None:
    for framing in FRAMINGS.values():
        lines = Lines(framing)
        at_s = 0.0
        for data, pause_s in steps:
            at_s += pause_s
            for line in lines.feed(data, at_s):
                assert (line.text != "") <= (line.flaw is Flaw.NONE)
                assert len(line.raw) <= LINE_MAX_B
