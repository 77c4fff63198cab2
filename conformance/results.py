"""What a run has shown: each test's end, counted and told as tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ENDS = {"success": "passed", "fail": "failed", "skip": "skipped", "xfail": "passed", "uxsuccess": "failed"}
_EXCEPTION = re.compile(r"^(\w+\.)*\w*(Error|Exception|Exceeded|Found|Request|Conflict|Unauthorized|Forbidden|\w+): ")


@dataclass(frozen=True)
class Result:
    """One test. ``end`` is passed, failed or skipped; ``reason`` is empty when it passed."""

    test: str
    end: str
    reason: str
    seconds: float

    @property
    def room(self) -> str:
        """The part of the suite: tempest.api.compute.servers and its like."""
        words = self.test.partition(" (")[2].rstrip(")") or self.test.partition("[")[0]
        return ".".join(words.split(".")[:4])


def parse(lines: Iterable[str]) -> list[Result]:
    """Results from the lines that ``stream`` prints."""
    return sorted((_result(json.loads(line)) for line in lines), key=lambda each: each.test)


def _result(told: dict[str, object]) -> Result:
    details, status = told["details"], str(told["status"])
    assert isinstance(details, dict)
    end = _ENDS.get(status, "failed")
    reason = ""
    if end == "skipped":
        reason = str(details.get("reason", "")).strip()
    elif end == "failed":
        texts = [text for name, text in sorted(details.items()) if name.startswith("traceback")]
        reason = _first_error(texts[0]) if texts else f"it ended as {status}"
    return Result(str(told["id"]), end, reason, float(str(told["seconds"])))


def _first_error(traceback: str) -> str:
    """The exception of a traceback with what it says, on one line."""
    lines = traceback.strip().splitlines()
    start = max((n for n, line in enumerate(lines) if line.startswith("  ")), default=-1) + 1
    words = " ".join(line.strip() for line in lines[start:] if line.strip())
    return words or lines[-1].strip()


def counts(results: Iterable[Result]) -> Counter[str]:
    return Counter(each.end for each in results)


def by_room(results: Sequence[Result]) -> list[list[str]]:
    """Rows of room, passed, failed, skipped; the last is the sum."""
    rooms = sorted({each.room for each in results})
    rows = []
    for name, chosen in [*((room, [r for r in results if r.room == room]) for room in rooms), ("all", list(results))]:
        found = counts(chosen)
        rows.append([name, *(str(found[end]) for end in ("passed", "failed", "skipped"))])
    return rows


def read(file: Path) -> list[Result]:
    """What ``store`` has written."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [Result(row["test"], row["end"], row["reason"], row["seconds"]) for row in rows]


def store(file: Path, results: Iterable[Result]) -> None:
    """One line of JSON for each test."""
    lines = (
        {"test": each.test, "end": each.end, "reason": each.reason, "seconds": round(each.seconds, 3)}
        for each in results
    )
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
