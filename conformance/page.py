"""Writes the tables of docs/conformance.md from the lists here and from what the last runs have stored:
``python -m conformance.page``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from conformance import known, results
from conformance.known import Known
from conformance.results import Result
from conformance.tempest import LEFT_OUT

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
RUNS = ROOT / ".cache" / "conformance"
_PART = "<!-- {name}: made by python -m conformance.page -->\n{text}<!-- end of {name} -->"


def lists() -> str:
    """What does not depend on a run: features that are off, failures, and what is left out."""
    lines = ["| switched off in tempest.conf | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in LEFT_OUT.items()]
    failures = known.load()
    lines += ["", "| fails | with | why |", "|---|---|---|"] if failures else ["", "No test is known to fail."]
    lines += [f"| `{each.test}` | {_when(each)} | {each.reason} |" for each in failures]
    return "\n".join(lines) + "\n"


def _when(each: Known) -> str:
    return ", ".join(each.drivers) + (", sometimes" if each.sometimes else "")


def runs(told: str = "") -> str:
    """What the last runs have shown. Of those whose results are not here, what is ``told`` stays."""
    found = dict(_parts(told))
    for directory in sorted(RUNS.glob("*-*")):
        if (directory / "run.json").exists():
            found |= _parts("\n".join([*_run(directory), ""]))
    return "\n".join(found[name] for name in sorted(found))


def _parts(told: str) -> dict[str, str]:
    """Each run by suite and driver: the version in its heading may be another one next time."""
    texts = (part for part in re.split(r"^(?=### )", told, flags=re.MULTILINE) if part.startswith("### "))
    return {re.sub(r" [\d.]+,", ",", text.partition("\n")[0]): text.rstrip("\n") + "\n" for text in texts}


def _run(directory: Path) -> Iterator[str]:
    told = json.loads((directory / "run.json").read_text())
    found = results.read(directory / "results.jsonl")
    yield f"### {told['suite']} {told['version']}, {told['driver']} driver"
    yield ""
    yield f"{told['date']}, {told['tests']}, {told['seconds']:.0f} s, the doctor found {told['findings'] or 'nothing'}."
    yield ""
    yield "| tests | passed | failed | skipped |"
    yield "|---|--:|--:|--:|"
    for row in results.by_room(found):
        yield "| " + " | ".join(row) + " |"
    yield ""
    failed = [each for each in found if each.end == "failed"]
    yield from (f"- failed: `{known.plain(each.test)}`" for each in failed)
    skips, by_reason = known.load_skips(), dict[str, list[Result]]()
    for each in found:
        if each.end == "skipped":
            by_reason.setdefault(known.why(each, skips, told["driver"]), []).append(each)
    for why, left_out in by_reason.items():
        yield from _skipped(why, left_out)


def _skipped(why: str, left_out: list[Result]) -> Iterator[str]:
    yield f"- skipped ({len(left_out)}): {why or 'unexplained'}"
    for each in left_out:
        yield f"    - `{known.plain(each.test)}`"


def write(page: str, name: str, text: str) -> str:
    """``page`` with its part ``name`` replaced. Raises ``ValueError`` when it has none."""
    mark = re.compile(rf"<!-- {name}: .*?<!-- end of {name} -->", re.DOTALL)
    made, count = mark.subn(lambda _: _PART.format(name=name, text=text), page)
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} parts named {name}")
    return made


def main() -> int:
    page = PAGE.read_text()
    told = page.partition("<!-- runs: ")[2].partition("<!-- end of runs")[0]
    PAGE.write_text(write(write(page, "lists", lists()), "runs", runs(told)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
