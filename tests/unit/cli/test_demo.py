"""How the demo follows a console."""

from __future__ import annotations

from novalite.cli.demo_server import _LOGIN, Follower, Lines


def test_only_what_is_new_is_told() -> None:
    seen = Follower()
    assert seen.feed("a\nb") == "a\nb"
    assert seen.feed("a\nb\nc") == "\nc"
    assert seen.feed("a\nb\nc") == ""
    assert seen.text == "a\nb\nc"


def test_a_log_that_lost_its_beginning_is_followed_by_its_end() -> None:
    seen = Follower()
    old = "".join(f"line {number}\n" for number in range(100))
    seen.feed(old)
    assert seen.feed(old[300:] + "new\n") == "new\n"


def test_a_log_that_began_anew_is_all_new() -> None:
    seen = Follower()
    seen.feed("old host login: ")
    assert seen.feed("booting") == "booting"


def test_a_login_prompt_from_before_the_start_does_not_count() -> None:
    seen = Follower()
    seen.skip("boot\nhello login: ")
    seen.feed("boot\nhello login: \nboot again\n")
    assert not _LOGIN.search(seen.text)
    seen.feed("boot\nhello login: \nboot again\nhello login: ")
    assert _LOGIN.search(seen.text)


def test_lines_are_told_whole_and_empty_ones_not_at_all() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    for piece in ("on", "e\n\ntw", "o\nthree"):
        lines.feed(piece)
    assert told == ["one", "two"]
