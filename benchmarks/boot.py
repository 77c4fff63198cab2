"""A real guest: POST to ACTIVE and POST to its login prompt, over the same domain started by raw libvirt."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import table, uploads, waiting
from benchmarks.caller import Caller
from benchmarks.processes import appliance
from benchmarks.raw_guest import PROMPT, RawLibvirt, content
from benchmarks.samples import Samples
from novalite.drivers.storage import guest_image

AIM_RATIO = 1.15
_ACTIVE_TIMES = 7
_LOGIN_TIMES = 3
_SERVERS = "/compute/v2.1/servers"


def run(directory: Path, *, with_libvirt: bool) -> None:
    if not with_libvirt:
        print("\nboot: left out, it needs root and libvirt on qemu:///system")
        return
    table.heading(
        "Boot of a real guest",
        "The floor is the same domain, disk and network: raw libvirt defines it and starts it on a prepared overlay.\n"
        "ACTIVE: from the POST to the server's launched_at. Login: to the prompt on the serial console.",
    )
    image = directory / "guest.qcow2"
    guest_image.build(image, progress=lambda _: None)
    state_dir = directory / "state"
    options = {"compute.stop_timeout_seconds": 0}
    with appliance(state_dir, driver="libvirt", options=options) as program:
        caller = program.await_ready()
        caller.log_in(state_dir)
        image_id = uploads.new(caller, "bench", "qcow2")
        uploads.send(caller, image_id, image)
        lab = Lab(caller, state_dir, image_id)
        lab.pair(Samples(), Samples(), until_login=False)  # fills the image cache and libvirt's own
        active, active_floor, login, login_floor = Samples(), Samples(), Samples(), Samples()
        for _ in range(_ACTIVE_TIMES):
            lab.pair(active, active_floor, until_login=False)
        for _ in range(_LOGIN_TIMES):
            lab.pair(login, login_floor, until_login=True)
        caller.close()
    rows = []
    for name, ours, floor, digits in (
        ("POST to ACTIVE", active, active_floor, 3),
        ("POST to login prompt", login, login_floor, 2),
    ):
        rows.append([name, ours.told(1, digits), floor.told(1, digits), f"{ours.paired_over(floor):.2f}"])
    table.show(["what", "NovaLite s", "raw libvirt s", "ratio"], rows)
    print("The ratio is the median of those of single servers, each measured both ways in a row.")
    table.verdict("POST to ACTIVE over raw libvirt", active.paired_over(active_floor), AIM_RATIO)


class Lab:
    """Boots one server after the other, each once by the API and once, as its own floor, by raw libvirt."""

    def __init__(self, caller: Caller, state_dir: Path, image_id: str) -> None:
        self._caller = caller
        flavor = {"name": "bench", "ram": 256, "vcpus": 1, "disk": 1}
        flavor_id = caller.post("/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"]
        self._body = {"name": "bench", "imageRef": image_id, "flavorRef": flavor_id, "networks": "auto"}
        self._raw = RawLibvirt(state_dir)

    def pair(self, ours: Samples, floor: Samples, *, until_login: bool) -> None:
        """One measurement of each."""
        began = time.time()
        server_id = self._caller.post(_SERVERS, {"server": self._body})["server"]["id"]
        where = f"{_SERVERS}/{server_id}"
        if until_login:
            log = self._raw.console_log(server_id)
            waiting.until(lambda: PROMPT in content(log), 0.02)
            ours.add(time.time() - began)
            waiting.status(self._caller, where, "ACTIVE")
        else:
            launched = waiting.status(self._caller, where, "ACTIVE")["OS-SRV-USG:launched_at"]
            ours.add(datetime.fromisoformat(launched).replace(tzinfo=UTC).timestamp() - began)
        self._caller.call("POST", f"{where}/action", {"os-stop": None})
        waiting.status(self._caller, where, "SHUTOFF")
        floor.add(self._raw.start(server_id, until_login=until_login))
        self._caller.call("DELETE", where)
        waiting.until(lambda: not self._caller.get(f"{_SERVERS}?limit=1")["servers"], 0.1)
