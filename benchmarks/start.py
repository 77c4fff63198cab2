"""Time from the start of the program to its first authenticated answer."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks import table
from benchmarks.processes import appliance, bare_flask, tidy_up
from benchmarks.samples import Samples, repeat

AIM_SECONDS = 2.0
_TIMES = 5


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading(
        "Start to first authenticated answer",
        "Seconds from exec: a login by password, then a list with the new token. Second and later starts.",
    )
    interpreter = repeat(_TIMES, lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    bare = Samples()
    for _ in range(_TIMES):
        began = time.perf_counter()
        with bare_flask(directory) as program:
            program.await_ready("/").close()
            bare.add(time.perf_counter() - began)
    rows = [_row("floor: the bare interpreter", interpreter), _row("floor: bare Flask under gunicorn", bare)]
    found = {}
    for driver in ("fake", *(["libvirt"] if with_libvirt else [])):
        first, later, ready = _starts(directory / f"start-{driver}", driver)
        rows.append([f"NovaLite, {driver} driver: first start", first.told(digits=2), _ratio(first, bare)])
        rows.append([f"NovaLite, {driver} driver: later starts", later.told(digits=2), _ratio(later, bare)])
        rows.append([f"NovaLite, {driver} driver: until /healthz says ok", ready.told(digits=2), _ratio(ready, bare)])
        found[driver] = later
    table.show(["program", "seconds", "over bare Flask"], rows)
    for driver, later in found.items():
        table.verdict(f"{driver} driver, second start", later.median, AIM_SECONDS, " s")


def _row(name: str, samples: Samples) -> list[str]:
    return [name, samples.told(digits=2), ""]


def _ratio(samples: Samples, floor: Samples) -> str:
    return f"{samples.over(floor):.2f}"


def _starts(state_dir: Path, driver: str) -> tuple[Samples, Samples, Samples]:
    """The first start, those after it, and until those are ready. Networks stay between starts, as they do."""
    first, later, ready = Samples(), Samples(), Samples()
    try:
        for number in range(_TIMES + 1):
            began = time.perf_counter()
            with appliance(state_dir, driver=driver, tidy=False) as program:
                caller = program.await_port()
                caller.get("/identity/v3")  # answered only when the credentials of a first start are written
                caller.log_in(state_dir)
                caller.get("/identity/v3/users")
                (later if number else first).add(time.perf_counter() - began)
                program.await_ready().close()
                if number:
                    ready.add(time.perf_counter() - began)
                caller.close()
    finally:
        if driver == "libvirt":
            tidy_up(state_dir)
    return first, later, ready
