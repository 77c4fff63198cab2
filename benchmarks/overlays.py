"""Twenty servers of one image of 1 GiB: the first brings it to the host, the others cost an overlay."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import payload, table, uploads, waiting
from benchmarks.caller import Caller
from benchmarks.processes import appliance
from benchmarks.raw_guest import RawLibvirt
from benchmarks.samples import Samples
from novalite.drivers.storage import guest_image

AIM_FIRST, AIM_RATIO, AIM_MIB = 2.0, 1.25, 1.0
NUMBER = 20
_SIZE = 1 << 30
_MIB = 1 << 20
_SERVERS = "/compute/v2.1/servers"


def run(directory: Path, *, with_libvirt: bool) -> None:
    if not with_libvirt:
        print("\noverlays: left out, it needs root and libvirt on qemu:///system")
        return
    table.heading(
        f"{NUMBER} servers of an image of 1 GiB",
        "From the POST to the server's launched_at, and what lies on the disk more than before. One after the other,\n"
        "each turned off before the next. Floor: an overlay and the same domain by raw libvirt; for the first server\n"
        "a copy of the image with sha512 as well.",
    )
    image = directory / "image.qcow2"
    make_image(image, _SIZE)
    copying = payload.timed(lambda: payload.copy(image, directory / "copy"))
    (directory / "copy").unlink()
    state_dir = directory / "state"
    options = {"compute.stop_timeout_seconds": 0, "quota.instances": -1, "quota.cores": -1, "quota.ram_mib": -1}
    with appliance(state_dir, driver="libvirt", options=options) as program:
        caller = program.await_ready()
        caller.log_in(state_dir)
        image_id = uploads.new(caller, "bench", "qcow2")
        uploads.send(caller, image_id, image)
        lab = _Lab(caller, state_dir, image_id)
        found = [lab.boot() for _ in range(NUMBER)]
        caller.close()
    _tell(found, copying)


def make_image(target: Path, size: int) -> None:
    """A bootable qcow2 with ``size`` bytes of content behind the system's."""
    system, raw = target.with_suffix(".system"), target.with_suffix(".raw")
    guest_image.build(system, progress=lambda _: None)
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(system), str(raw)], check=True, timeout=300)
    payload.append(raw, size)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(target)], check=True, timeout=600)
    system.unlink()
    raw.unlink()


@dataclass(frozen=True)
class _Boot:
    seconds: float
    floor: float
    mib: float


class _Lab:
    def __init__(self, caller: Caller, state_dir: Path, image_id: str) -> None:
        self._caller = caller
        self._kept = [state_dir / name for name in ("guests", "images-cache", "images")]
        flavor = {"name": "bench", "ram": 256, "vcpus": 1, "disk": 2}
        flavor_id = caller.post("/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"]
        self._body = {"name": "bench", "imageRef": image_id, "flavorRef": flavor_id, "networks": "auto"}
        self._raw = RawLibvirt(state_dir)

    def boot(self) -> _Boot:
        """One server more, which stays, and is off."""
        before, began = payload.on_disk(*self._kept), time.time()
        server_id = self._caller.post(_SERVERS, {"server": self._body})["server"]["id"]
        where = f"{_SERVERS}/{server_id}"
        launched = waiting.status(self._caller, where, "ACTIVE")["OS-SRV-USG:launched_at"]
        seconds = datetime.fromisoformat(launched).replace(tzinfo=UTC).timestamp() - began
        more = payload.on_disk(*self._kept) - before
        self._caller.call("POST", f"{where}/action", {"os-stop": None})
        waiting.status(self._caller, where, "SHUTOFF")
        return _Boot(seconds, self._raw.start(server_id, with_overlay=True), more / _MIB)


def _tell(found: list[_Boot], copying: float) -> None:
    first, others, last = found[0], found[1:], found[-1]
    ours, floor = Samples([each.seconds for each in others]), Samples([each.floor for each in others])
    whole, mib = first.floor + copying, Samples([each.mib for each in others])
    table.show(
        ["server", "NovaLite s", "floor s", "ratio", "MiB more"],
        [
            ["the 1st", f"{first.seconds:.2f}", f"{whole:.2f}", f"{first.seconds / whole:.2f}", f"{first.mib:.1f}"],
            ["2nd to last", ours.told(1, 2), floor.told(1, 2), f"{ours.paired_over(floor):.2f}", mib.told()],
            [f"the {NUMBER}th", f"{last.seconds:.2f}", f"{last.floor:.2f}", f"{last.seconds / last.floor:.2f}",
             f"{last.mib:.1f}"],
        ],
    )  # fmt: skip
    table.verdict("the 1st over a copy with sha512 and raw libvirt", first.seconds / whole, AIM_FIRST)
    table.verdict("2nd to last over an overlay and raw libvirt", ours.paired_over(floor), AIM_RATIO)
    table.verdict("on the disk for each of them", mib.median, AIM_MIB, " MiB")
