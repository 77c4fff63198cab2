"""The lists of failures and of what suites leave out, what comes of a run beside them, and the page that tells it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conformance import known, page, results
from conformance.known import Known, Skip
from conformance.results import Result


def ended(name: str, end: str, reason: str = "") -> Result:
    return Result(f"{name}[id-1,smoke]", end, reason, 0.5)


def test_a_run_is_good_when_all_that_failed_is_listed_and_all_that_was_left_out_is_explained() -> None:
    run = [
        ended("a.b.passes", "passed"),
        ended("a.b.fails", "failed", "Boom"),
        ended("a.b.left", "skipped", "one host"),
    ]
    verdict = known.judge(run, [Known("a.b.fails", "why", ("fake",))], [Skip("one host", "why", ("fake",))], "fake")
    assert verdict.good
    assert [each.test for each in verdict.known] == ["a.b.fails[id-1,smoke]"]


@pytest.mark.parametrize(
    ("end", "reason", "failures", "skips"),
    [
        ("failed", "Boom", [], []),
        ("failed", "Boom", [Known("a.b.t", "only with real guests", ("libvirt",))], []),
        ("passed", "", [Known("a.b.t", "mended meanwhile", ("fake",))], []),
        ("skipped", "new", [], [Skip("^old", "why", ("fake",))]),
        ("skipped", "old", [], [Skip("^old", "why", ("libvirt",))]),
    ],
)
def test_what_spoils_a_run(end: str, reason: str, failures: list[Known], skips: list[Skip]) -> None:
    assert not known.judge([ended("a.b.t", end, reason)], failures, skips, "fake").good


@pytest.mark.parametrize("end", ["passed", "failed"])
def test_what_fails_sometimes_may_pass(end: str) -> None:
    sometimes = Known("a.b.t", "at odds with others", ("fake",), sometimes=True)
    assert known.judge([ended("a.b.t", end)], [sometimes], [], "fake").good


def test_the_projects_own_lists_can_be_read() -> None:
    assert all(each.test.count(".") > 2 and each.reason for each in known.load())
    assert all(re.compile(each.said) and each.why for each in known.load_skips())


def test_the_page_has_the_lists_as_they_are() -> None:
    text = page.PAGE.read_text()
    assert page.write(text, "lists", page.lists()) == text, "python -m conformance.page"


def test_the_page_tells_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "suite-fake"
    kept.mkdir()
    results.store(kept / "results.jsonl", [ended("a.b.c.d.good", "passed"), ended("a.b.c.d.bad", "failed", "Boom")])
    told = {"suite": "suite", "version": "9", "driver": "fake", "date": "2026-01-01", "tests": "all tests",
            "seconds": 7, "findings": 0}  # fmt: skip
    (kept / "run.json").write_text(json.dumps(told))
    monkeypatch.setattr(page, "RUNS", tmp_path)
    text = page.runs()
    assert "### suite 9, fake driver" in text
    assert "| a.b.c.d | 1 | 1 | 0 |" in text
    assert "- failed: `a.b.c.d.bad`" in text
    kept_too = "### other 1.2, fake driver\n\nas it was\n"
    old = "### suite 8, fake driver\n\nlong ago\n"
    assert page.runs(f"made by\n{kept_too}\n{old}") == f"{kept_too}\n{text}"


def test_results_are_told_by_the_exception_and_what_it_says() -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nlib.Bad: it broke\nDetails: 409\n'
    )
    lines = [
        json.dumps({"id": "a.b.t", "status": "fail", "seconds": 1.0, "details": {"traceback": traceback}}),
        json.dumps({"id": "a.b.s", "status": "skip", "seconds": 0.0, "details": {"reason": "one host\n"}}),
        json.dumps({"id": "setUpClass (a.b.c.d.E)", "status": "success", "seconds": 0.0, "details": {}}),
    ]
    left, failed, passed = results.parse(lines)
    assert (left.end, left.reason) == ("skipped", "one host")
    assert (failed.end, failed.reason) == ("failed", "lib.Bad: it broke Details: 409")
    assert (passed.end, passed.room) == ("passed", "a.b.c.d")
