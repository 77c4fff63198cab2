"""A real guest: POST to ACTIVE and POST to its login prompt, over the same domain started by raw libvirt."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt

from benchmarks import table
from benchmarks.caller import Caller
from benchmarks.leftovers import remove_domain
from benchmarks.processes import appliance
from benchmarks.samples import Samples
from novalite.drivers.compute.libvirt.guest import Names
from novalite.drivers.storage import guest_image

AIM_RATIO = 1.15
_ACTIVE_TIMES = 7
_LOGIN_TIMES = 3
_LONGEST_SECONDS = 120.0
_SERVERS = "/compute/v2.1/servers"
_PROMPT = b" login:"


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
        lab = Lab(caller, state_dir, _upload(caller, image))
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


def _upload(caller: Caller, file: Path) -> str:
    body = {"name": "bench", "disk_format": "qcow2", "container_format": "bare"}
    image_id: str = caller.post("/image/v2/images", body)["id"]
    caller.call("PUT", f"/image/v2/images/{image_id}/file", data=file.read_bytes())
    return image_id


class Lab:
    """Boots one server after the other, each once by the API and once, as its own floor, by raw libvirt."""

    def __init__(self, caller: Caller, state_dir: Path, image_id: str) -> None:
        self._caller, self._state_dir = caller, state_dir
        flavor = {"name": "bench", "ram": 256, "vcpus": 1, "disk": 1}
        flavor_id = caller.post("/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"]
        self._body = {"name": "bench", "imageRef": image_id, "flavorRef": flavor_id, "networks": "auto"}
        self._names = Names((state_dir / "appliance-id").read_text().strip())
        self._libvirt = libvirt.open("qemu:///system")

    def pair(self, ours: Samples, floor: Samples, *, until_login: bool) -> None:
        """One measurement of each."""
        began = time.time()
        server_id = self._caller.post(_SERVERS, {"server": self._body})["server"]["id"]
        log = self._state_dir / "guests" / server_id / "console.log"
        if until_login:
            _await(lambda: _PROMPT in _content(log), 0.02)
            ours.add(time.time() - began)
            self._await_status(server_id, "ACTIVE")
        else:
            launched = self._await_status(server_id, "ACTIVE")["OS-SRV-USG:launched_at"]
            ours.add(datetime.fromisoformat(launched).replace(tzinfo=UTC).timestamp() - began)
        self._caller.call("POST", f"{_SERVERS}/{server_id}/action", {"os-stop": None})
        self._await_status(server_id, "SHUTOFF")
        floor.add(self._raw(server_id, log, until_login=until_login))
        self._caller.call("DELETE", f"{_SERVERS}/{server_id}")
        _await(lambda: not self._caller.get(f"{_SERVERS}?limit=1")["servers"], 0.1)

    def _await_status(self, server_id: str, status: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def reached() -> bool:
            found.update(self._caller.get(f"{_SERVERS}/{server_id}")["server"])
            if found["status"] == "ERROR":
                raise RuntimeError(f"the server failed: {found.get('fault')}")
            return bool(found["status"] == status and not found["OS-EXT-STS:task_state"])

        _await(reached, 0.05)
        return found

    def _raw(self, server_id: str, log: Path, *, until_login: bool) -> float:
        """Seconds that libvirt alone needs for the domain that NovaLite made, on a fresh disk."""
        domain = self._libvirt.lookupByName(self._names.domain(server_id))
        definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        remove_domain(domain)
        _renew(Path(_source(definition)))
        log.write_bytes(b"")
        began = time.perf_counter()
        domain = self._libvirt.defineXML(definition)
        domain.create()
        if until_login:
            _await(lambda: _PROMPT in _content(log), 0.02)
        taken = time.perf_counter() - began
        domain.destroy()
        return taken


def _await(what: Callable[[], bool], pause_seconds: float) -> None:
    end = time.monotonic() + _LONGEST_SECONDS
    while not what():
        if time.monotonic() > end:
            raise RuntimeError(f"it did not become so in {_LONGEST_SECONDS:.0f} s")
        time.sleep(pause_seconds)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _source(definition: str) -> str:
    source = ElementTree.fromstring(definition).find("./devices/disk[@device='disk']/source")
    assert source is not None, "the domain has no disk"
    return source.attrib["file"]


def _renew(overlay: Path) -> None:
    """The same overlay as it was before the first boot."""
    argv = ["qemu-img", "info", "--output=json", "-f", "qcow2", str(overlay)]
    facts = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout)
    overlay.unlink()
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", facts["backing-filename"]]
    argv += ["-F", facts["backing-filename-format"], str(overlay), str(facts["virtual-size"])]
    subprocess.run(argv, check=True, timeout=30)
