"""Other people's test-suites against a cloud of their own: starts it, runs them, tells and stores what came of it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks import table
from conformance import cloud, environment, known, results, suite
from conformance.novaclient import NOVACLIENT
from conformance.results import Result
from conformance.tempest import TEMPEST

_LOCK = Path(__file__).resolve().parent.parent / "requirements" / "conformance.txt"
_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "conformance"
_SUITES = {each.name: each for each in (TEMPEST, NOVACLIENT)}


def main() -> int:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, _leave)
    named = chosen.suite or ([TEMPEST.name] if chosen.tests or chosen.part else list(_SUITES))
    suites = [_SUITES[name] for name in dict.fromkeys(named)]
    packages = tuple(dict.fromkeys(package for each in suites for package in each.packages))
    installed = environment.prepare(
        _place(chosen) / "venv", packages, offline=chosen.offline,
        lock=_LOCK if chosen.part else None,
    )  # fmt: skip
    print(", ".join(f"{each.packages[0]} {installed.versions[each.packages[0]]}" for each in suites), flush=True)
    return max([_run(each, installed, chosen) for each in suites])


def _run(one: suite.Suite, installed: environment.Environment, chosen: argparse.Namespace) -> int:
    """A suite from the start of its cloud to what is told of it; the status to exit with."""
    kept, began = _place(chosen) / f"{one.name}-{chosen.driver}", time.monotonic()
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="novalite-conformance-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        try:
            found, findings = _tested(one, directory, installed, chosen)
        finally:
            _keep(directory, kept)
    results.store(kept / "results.jsonl", found)
    seconds = time.monotonic() - began
    told = {
        "suite": one.packages[0], "version": installed.versions[one.packages[0]], "driver": chosen.driver,
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "tests": _what(one, chosen), "seconds": seconds,
        "findings": len(findings),
    }  # fmt: skip
    (kept / "run.json").write_text(json.dumps(told))
    verdict = known.judge(found, known.load(), known.load_skips(), chosen.driver)
    _tell(found, verdict, findings)
    print(f"\n{seconds:.0f} s; the results are in {kept}", flush=True)
    return 0 if verdict.good and not findings else 1


def _place(chosen: argparse.Namespace) -> Path:
    """The part has its own environment, and its results are no run that the page tells of."""
    return _CACHE / "part" if chosen.part else _CACHE


def _what(one: suite.Suite, chosen: argparse.Namespace) -> str:
    if chosen.tests:
        return f"tests that match `{chosen.tests}`"
    if chosen.part:
        return "a part"
    return "smoke tests" if chosen.smoke else "all tests"


def _tested(
    one: suite.Suite, directory: Path, installed: environment.Environment, chosen: argparse.Namespace
) -> tuple[list[Result], list[dict[str, object]]]:
    workspace = directory / "suite"
    workspace.mkdir()
    given = dict(pair.split("=", 1) for pair in chosen.set)
    tests = chosen.tests or (one.part if chosen.part else one.smoke if chosen.smoke else one.whole)
    with cloud.running(directory, chosen.driver, given) as made:
        found = suite.run(
            one, installed, made, workspace, tests, workers=chosen.workers, seconds=chosen.hours * 3600
        )  # fmt: skip
        return found, made.findings()


def _keep(directory: Path, kept: Path) -> None:
    """Logs, without the passwords of configurations."""
    for file in (directory / "state" / "serve.log", directory / "suite" / "progress.log",
                 directory / "suite" / "logs" / "tempest.log"):  # fmt: skip
        if file.exists():
            shutil.copyfile(file, kept / file.name)


def _tell(found: list[Result], verdict: known.Verdict, findings: list[dict[str, object]]) -> None:
    table.show(["tests", "passed", "failed", "skipped"], results.by_room(found))
    for title, each in (("failed", verdict.unknown), ("failed, as is known", verdict.known)):
        if each:
            print(f"\n{title}:")
            print("\n".join(f"  {known.plain(result.test)}\n      {result.reason[:300]}" for result in each))
    if verdict.unexplained:
        print("\nskipped for a reason that conformance/skips.toml does not have:")
        print("\n".join(f"  {known.plain(each.test)}\n      {each.reason[:300]}" for each in verdict.unexplained))
    if verdict.mended:
        print("\nlisted as failing, but passed:\n" + "\n".join(f"  {entry.test}" for entry in verdict.mended))
    for finding in findings:
        print(f"the doctor finds: {finding}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run conformance", description=__doc__)
    parser.add_argument("--driver", choices=("fake", "libvirt"), default="fake", help="how guests run")
    parser.add_argument("--suite", action="append", choices=tuple(_SUITES), help="default: all, in turn")
    parser.add_argument("--smoke", action="store_true", help="only the smoke tests")
    parser.add_argument(
        "--part", action="store_true", help="what continuous integration runs: some of Tempest, of a known release"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="tests at a time")
    parser.add_argument("--offline", action="store_true", help="use the environment as it is")
    parser.add_argument("--hours", type=float, default=6.0, help="longest time for all tests of a suite")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the appliance")
    parser.add_argument(
        "tests", nargs="?", metavar="REGEX", help="tests of Tempest, or of --suite, by a regular expression (after --)"
    )
    return parser.parse_args()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
