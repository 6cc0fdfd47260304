from __future__ import annotations

from egret_gateway.bus.quiet import QUIET_S, USELESS_MAX, Quiet


class Line:
    """Polls one after the other, each a tenth of a second, and the silence that is kept."""

    def __init__(self, fixed_s: float | None = None, load: float = 0.8) -> None:
        self.quiet = Quiet(fixed_s, load)
        self.now = 0.0

    def hear(self, *words: str) -> float:
        """Take in "7" for an answer of unit 7, "-7" for none; return the silence wanted last."""
        for word in words:
            self.now += 0.1
            if word.startswith("-"):
                self.quiet.failed(word[1:], self.now)
                self.now += self.quiet.s
            else:
                self.quiet.answered(word, self.now)
        return self.quiet.s


def test_until_it_is_known_the_first_failures_are_followed_by_silence() -> None:
    line = Line()
    assert [line.hear("1", "-9") for _ in range(3)] == [QUIET_S] * 3
    assert line.quiet.deaf is None, "nobody was asked while a deaf one would not have heard"


def test_the_next_failure_of_a_dead_unit_is_the_test_and_a_neighbour_that_hears_ends_it() -> None:
    line = Line()
    line.hear("1", "-9", "1", "-9", "1", "-9", "1")
    assert line.hear("-9") == 0.0
    assert line.hear("1", "-9") == 0.0
    assert line.quiet.deaf is False
    assert line.hear("-8") == 0.0, "also for another one"


def test_a_line_with_time_to_spare_tries_nothing() -> None:
    line = Line(load=0.3)
    assert [line.hear("1", "-9") for _ in range(9)] == [QUIET_S] * 9


def test_a_neighbour_that_does_not_hear_is_deaf() -> None:
    line = Line()
    line.hear("1", "2", "-9", "1", "-9", "1", "-9", "1")
    assert line.hear("-9") == 0.0
    assert line.hear("-1") == QUIET_S
    assert line.quiet.deaf is True
    assert line.hear("1", "-9") == QUIET_S


def test_a_deaf_neighbour_shows_later_too() -> None:
    line = Line()
    line.hear("1", "-9", "1", "-9", "1", "-9", "1", "-9", "1")
    assert line.quiet.deaf is False
    assert line.hear("2", "-9", "-2") == QUIET_S


def test_a_unit_asked_long_after_proves_nothing() -> None:
    line = Line()
    line.hear("1", "-9", "1", "-9", "1", "-9", "1", "-9")
    line.now += QUIET_S
    line.hear("1")
    assert line.quiet.deaf is None


def test_a_unit_that_fails_by_itself_makes_nobody_deaf() -> None:
    line = Line()
    line.hear("1", "-1", "-1", "-1", "-1", "-1", "2")
    assert line.quiet.deaf is False
    line = Line()
    line.hear(*["-9", "-8"] * 6)
    assert line.quiet.deaf is None, "neither was ever well"


def test_what_the_site_says_holds() -> None:
    assert Line(0.2).hear("1", "-9", "-1") == 0.2
    assert Line(0.0).hear("1", "-9", "-1", "1", "-9", "-1") == 0.0


def test_silence_that_does_not_help_is_given_up() -> None:
    line = Line()
    line.quiet.deaf = True
    for _ in range(USELESS_MAX - 1):
        assert line.hear("1", "-9", "-1") == QUIET_S
    assert line.hear("1", "-9", "-1") == 0.0
    assert line.quiet.deaf is False
