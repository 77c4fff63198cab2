"""Tables in a pipe, and what a terminal never gets to see."""

from __future__ import annotations

import pytest

from novalite.cli import output
from novalite.cli.console import harmless


def test_a_table_in_a_pipe_is_aligned_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["Name", "vCPUs"], [["a", 1], ["longer", 16]])
    assert capsys.readouterr().out == "NAME    VCPUS\na       1\nlonger  16\n"


def test_an_empty_table_still_has_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["Name"], [])
    assert capsys.readouterr().out == "NAME\n"


def test_a_terminal_gets_a_table_that_shows_brackets_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    output.table(["Name", "Status"], [["[red]x", "ACTIVE"]])
    assert "[red]x" in capsys.readouterr().out


def test_a_narrow_terminal_gets_names_without_ids() -> None:
    headers, row = ["ID", "Name"], ["6f1d0c1e-7b0a-4a57-9a53-0d4b8f9f2b11", "web"]
    assert output.fitting(headers, [row], 80) == (headers, [row])
    assert output.fitting(headers, [row], 40) == (["Name"], [["web"]])
    assert output.fitting(["ID"], [row[:1]], 10) == (["ID"], [row[:1]]), "where ids are all there is, they stay"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        ([], "-"),
        (["a", "b"], "a, b"),
        ({"a": ["1", "2"]}, "a=1, 2"),
        ("evil\x1b[2Jname\n", "evil·[2Jname·"),
    ],
)
def test_values_are_shown_without_steering_the_terminal(value: object, text: str) -> None:
    assert output.printable(value) == text


def test_a_console_log_keeps_its_lines_and_loses_its_escapes() -> None:
    assert harmless("a\r\n\x1b[31mred\tb\x07") == "a\n[31mred\tb"
