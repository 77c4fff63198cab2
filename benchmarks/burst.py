"""Boots per second: 200 requests for one server each, as fast as they are taken, with simulated guests."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import populate, table
from benchmarks.caller import Caller
from benchmarks.processes import appliance

NUMBER = 200
_CALLERS = 4
_LONGEST_SECONDS = 180.0
_SERVERS = "/compute/v2.1/servers"


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading(
        f"A burst of {NUMBER} boots, simulated guests",
        f"From the first POST to the launched_at of the last server; {_CALLERS} connections, one server a request.\n"
        "The last line asks for all of them in a single request.",
    )
    rows = []
    for name, together in ((f"{NUMBER} requests", False), (f"1 request for {NUMBER}", True)):
        state_dir = directory / f"burst-{together}"
        built = populate.build(state_dir)
        image_id, flavor_id = populate.add_image(built, populate.admin(built)), populate.add_flavor(built)
        built.database.close()
        with appliance(state_dir, options=populate.SETTINGS) as program:
            caller = program.await_ready()
            caller.log_in(state_dir)
            body = {"name": "burst", "imageRef": image_id, "flavorRef": flavor_id, "networks": "auto"}
            began, asked = _ask(caller, body, together=together)
            ended = _await_all(caller)
            rows.append([name, f"{asked:.2f}", f"{ended - began:.2f}", f"{NUMBER / (ended - began):.1f}"])
            caller.close()
    table.show(["burst", "all accepted after s", "all ACTIVE after s", "boots per second"], rows)


def _ask(caller: Caller, body: dict[str, Any], *, together: bool) -> tuple[float, float]:
    """When the first request left (Unix time), and after how many seconds the last was answered."""
    began = time.time()
    if together:
        caller.post(_SERVERS, {"server": {**body, "min_count": NUMBER, "max_count": NUMBER}})
        return began, time.time() - began
    share = NUMBER // _CALLERS

    def some(_: int) -> None:
        own = Caller(caller.port, caller.token)
        for _ in range(share):
            own.post(_SERVERS, {"server": body})
        own.close()

    with ThreadPoolExecutor(_CALLERS) as pool:
        list(pool.map(some, range(_CALLERS)))
    return began, time.time() - began


def _await_all(caller: Caller) -> float:
    """Unix time of the last server's launch. Raises ``RuntimeError`` when one failed or time is up."""
    end = time.monotonic() + _LONGEST_SECONDS
    while caller.get(f"{_SERVERS}?status=BUILD&limit=1")["servers"]:
        if time.monotonic() > end:
            raise RuntimeError(f"not all servers were ACTIVE after {_LONGEST_SECONDS:.0f} s")
        time.sleep(0.25)
    made = caller.get(f"{_SERVERS}/detail")["servers"]
    failed = [each for each in made if each["status"] != "ACTIVE"]
    if failed or len(made) != NUMBER:
        raise RuntimeError(f"{len(made)} servers, {len(failed)} not ACTIVE: {failed[:1]}")
    launched = (datetime.fromisoformat(each["OS-SRV-USG:launched_at"]).replace(tzinfo=UTC) for each in made)
    return max(launched).timestamp()
