"""The command: starts a cloud, runs Tempest against it, tells and stores what came of it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from benchmarks import table
from conformance import cloud, configuration, environment, known, results, suite
from conformance.results import Result

_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "conformance"
_PACKAGES = ("tempest",)


def main() -> int:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, _leave)
    suites = environment.prepare(_CACHE / "venv", _PACKAGES, offline=chosen.offline)
    print(", ".join(f"{name} {version}" for name, version in suites.versions.items()), flush=True)
    kept = _CACHE / chosen.driver
    kept.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="novalite-conformance-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        try:
            found, findings = _run(directory, suites, chosen)
        finally:
            _keep(directory, kept)
    results.store(kept / "results.jsonl", found)
    verdict = known.judge(found, known.load(), chosen.driver)
    _tell(found, verdict, findings)
    print(f"\n{time.monotonic() - began:.0f} s; the results are in {kept}")
    return 0 if verdict.good and not findings else 1


def _run(
    directory: Path, suites: environment.Environment, chosen: argparse.Namespace
) -> tuple[list[Result], list[dict[str, object]]]:
    workspace = directory / "tempest"
    workspace.mkdir()
    given = dict(pair.split("=", 1) for pair in chosen.set)
    with cloud.running(directory, chosen.driver, given) as made:
        configuration.write(workspace / "tempest.conf", made)
        tests = chosen.tests or (suite.SMOKE if chosen.smoke else suite.WHOLE)
        found = suite.run(suites, workspace, tests, workers=chosen.workers, seconds=chosen.hours * 3600)
        return found, made.findings()


def _keep(directory: Path, kept: Path) -> None:
    """Logs and the stream, without the passwords of tempest.conf."""
    for file in (directory / "state" / "serve.log", directory / "tempest" / "progress.log",
                 directory / "tempest" / "logs" / "tempest.log"):  # fmt: skip
        if file.exists():
            shutil.copyfile(file, kept / file.name)


def _tell(found: list[Result], verdict: known.Verdict, findings: list[dict[str, object]]) -> None:
    table.show(["tests", "passed", "failed", "skipped"], results.by_room(found))
    for title, each in (("failed", verdict.unknown), ("failed, as is known", verdict.known)):
        if each:
            print(f"\n{title}:")
            print("\n".join(f"  {known.plain(result.test)}\n      {result.reason[:300]}" for result in each))
    if verdict.mended:
        print("\nlisted as failing, but passed:\n" + "\n".join(f"  {entry.test}" for entry in verdict.mended))
    for finding in findings:
        print(f"the doctor finds: {finding}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run conformance", description=__doc__)
    parser.add_argument("--driver", choices=("fake", "libvirt"), default="fake", help="how guests run")
    parser.add_argument("--smoke", action="store_true", help="only Tempest's smoke tests")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="tests at a time")
    parser.add_argument("--offline", action="store_true", help="use the environment as it is")
    parser.add_argument("--hours", type=float, default=6.0, help="longest time for all tests")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the appliance")
    parser.add_argument("tests", nargs="?", metavar="REGEX", help="tests by a regular expression (after --)")
    return parser.parse_args()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
