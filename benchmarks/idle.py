"""Memory when nothing happens: PSS of the whole process tree."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import table
from benchmarks.processes import Program, appliance, bare_flask, pss_mib, tree
from benchmarks.samples import Samples

AIM_MIB = 150.0
_SETTLE_SECONDS = 5.0
_WEIGHINGS = 5


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading("Memory when idle", "PSS of the whole process tree, MiB, after logging in and listing once.")
    rows: list[list[str]] = []
    total: dict[str, float] = {}
    with bare_flask(directory) as bare:
        bare.await_ready("/").close()
        rows.append(_row("floor: bare Flask under gunicorn", bare, total))
    for driver in ("fake", *(["libvirt"] if with_libvirt else [])):
        state_dir = directory / f"idle-{driver}"
        with appliance(state_dir, driver=driver) as program:
            caller = program.await_ready()
            caller.log_in(state_dir)
            for path in ("/identity/v3/users", "/image/v2/images"):
                caller.get(path)
            caller.close()
            rows.append(_row(f"NovaLite, {driver} driver", program, total))
    table.show(["program", "tree", "by process (parent first)"], rows)
    for name, value in list(total.items())[1:]:
        table.verdict(f"{name}, whole tree", value, AIM_MIB, " MiB")


def _row(name: str, program: Program, total: dict[str, float]) -> list[str]:
    time.sleep(_SETTLE_SECONDS)
    weighed, parts = Samples(), {}
    for _ in range(_WEIGHINGS):
        parts = {pid: pss_mib(pid) for pid in tree(program.pid)}
        weighed.add(sum(parts.values()))
        time.sleep(0.2)
    total[name] = weighed.median
    return [name, weighed.told(), " + ".join(f"{value:.1f}" for value in parts.values())]
