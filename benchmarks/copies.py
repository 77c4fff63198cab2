"""Copies of 1 GiB of data: images of servers, snapshots and backups of volumes, over ``qemu-img convert``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import payload, table, uploads, waiting
from benchmarks.caller import Caller
from benchmarks.overlays import make_image
from benchmarks.processes import appliance
from benchmarks.raw_guest import PROMPT, content
from benchmarks.samples import Samples

AIM_RATIO, AIM_AGAIN = 3.0, 2.0
_TIMES = 3
_SIZE = 1 << 30
_SECONDS = 900.0
_SERVERS, _IMAGES, _VOLUMES = "/compute/v2.1/servers", "/image/v2/images", "/volume/v3/volumes"
_BACKUPS, _SNAPSHOTS = "/volume/v3/backups", "/volume/v3/snapshots"


def run(directory: Path, *, with_libvirt: bool) -> None:
    if not with_libvirt:
        print("\ncopies: left out, it needs root and libvirt on qemu:///system")
        return
    table.heading(
        "Copies of 1 GiB that nothing makes smaller",
        "From the request until the copy is active or available. Floor: qemu-img convert of the same disk into a\n"
        "qcow2 that is flushed, taken in turn with each.",
    )
    image, state_dir = directory / "image.qcow2", directory / "state"
    make_image(image, _SIZE)
    with appliance(state_dir, driver="libvirt", options={"compute.stop_timeout_seconds": 0}) as program:
        caller = program.await_ready()
        caller.log_in(state_dir)
        image_id = uploads.new(caller, "bench", "qcow2")
        uploads.send(caller, image_id, image)
        image.unlink()
        lab = _Lab(caller, state_dir, directory / "floor", image_id)
        rows = []
        for row in chain(lab.of_a_server(), lab.of_a_volume()):
            print(f"{row.what}: {row.ours.told(1, 2)} s, floor {row.floor.told(1, 2)} s", flush=True)
            rows.append(row)
        caller.close()
    _tell(rows)


@dataclass(frozen=True)
class _Row:
    what: str
    ours: Samples
    floor: Samples
    aim: float = AIM_RATIO

    @property
    def ratio(self) -> float:
        return self.ours.paired_over(self.floor)


def _tell(rows: list[_Row]) -> None:
    table.show(
        ["what", "NovaLite s", "qemu-img convert s", "ratio"],
        [[row.what, row.ours.told(1, 2), row.floor.told(1, 2), f"{row.ratio:.2f}"] for row in rows],
    )
    for row in rows:
        table.verdict(f"{row.what} over qemu-img convert", row.ratio, row.aim)


class _Lab:
    """``spare`` is where the floor writes."""

    def __init__(self, caller: Caller, state_dir: Path, spare: Path, image_id: str) -> None:
        self._caller, self._state_dir, self._spare, self._image_id = caller, state_dir, spare, image_id

    def of_a_server(self) -> Iterator[_Row]:
        """Images of one that runs and waits at its login prompt, and of one that is off."""
        flavor = {"name": "bench", "ram": 256, "vcpus": 1, "disk": 2}
        flavor_id = self._caller.post("/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"]
        body = {"name": "bench", "imageRef": self._image_id, "flavorRef": flavor_id, "networks": "auto"}
        server_id = self._caller.post(_SERVERS, {"server": body})["server"]["id"]
        where, guest = f"{_SERVERS}/{server_id}", self._state_dir / "guests" / server_id
        waiting.until(lambda: PROMPT in content(guest / "console.log"), 0.1)
        waiting.status(self._caller, where, "ACTIVE")
        yield _Row("image of a server that runs", *self._pairs(lambda: self._image_of(where), guest / "root.qcow2"))
        self._caller.call("POST", f"{where}/action", {"os-stop": None})
        waiting.status(self._caller, where, "SHUTOFF")
        yield _Row("image of one that is off", *self._pairs(lambda: self._image_of(where), guest / "root.qcow2"))
        self._caller.call("DELETE", where)

    def of_a_volume(self) -> Iterator[_Row]:
        """A snapshot; an image; a backup into an empty store; one more of the same; the way back."""
        volume_id = self._new(_VOLUMES, "volume", size=2, imageRef=self._image_id)
        file = self._state_dir / "volumes" / volume_id

        def pairs(room: str, noun: str, **wanted: Any) -> tuple[Samples, Samples]:
            return self._pairs(lambda: self._kept(room, noun, **wanted), file)

        yield _Row("snapshot of a volume", *pairs(_SNAPSHOTS, "snapshot", volume_id=volume_id))
        yield _Row("image of a volume", *self._pairs(lambda: self._uploaded(volume_id), file))
        yield _Row("first backup", *pairs(_BACKUPS, "backup", volume_id=volume_id))
        kept = self._new(_BACKUPS, "backup", volume_id=volume_id)
        again = pairs(_BACKUPS, "backup", volume_id=volume_id, incremental=True)
        yield _Row("second backup, incremental", *again, AIM_AGAIN)
        yield _Row("volume of a backup", *pairs(_VOLUMES, "volume", size=2, backup_id=kept))

    def _pairs(self, make: Callable[[], Callable[[], None]], disk: Path) -> tuple[Samples, Samples]:
        """Seconds that ``make`` takes and those of the floor; what ``make`` returns takes away what it made."""
        ours, floor = Samples(), Samples()
        for _ in range(_TIMES):
            with ours.timed():
                remove = make()
            remove()
            floor.add(payload.timed(lambda: self._convert(disk)))
            self._spare.unlink()
        return ours, floor

    def _convert(self, disk: Path) -> None:
        argv = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", str(disk), str(self._spare)]
        subprocess.run(argv, check=True, timeout=600)
        with self._spare.open("rb") as file:
            os.fsync(file.fileno())

    def _image_of(self, where: str) -> Callable[[], None]:
        made = self._caller.post(f"{where}/action", {"createImage": {"name": "copy"}})
        copy = f"{_IMAGES}/{made['image_id']}"
        waiting.status(self._caller, copy, "active", longest_seconds=_SECONDS)

        def remove() -> None:
            waiting.until(lambda: not self._caller.get(where)["server"]["OS-EXT-STS:task_state"], 0.05)
            self._caller.call("DELETE", copy)

        return remove

    def _uploaded(self, volume_id: str) -> Callable[[], None]:
        where = f"{_VOLUMES}/{volume_id}"
        wanted = {"image_name": "copy", "disk_format": "qcow2", "container_format": "bare"}
        made = self._caller.post(f"{where}/action", {"os-volume_upload_image": wanted})
        copy = f"{_IMAGES}/{made['os-volume_upload_image']['image_id']}"
        waiting.status(self._caller, copy, "active", longest_seconds=_SECONDS)

        def remove() -> None:
            waiting.status(self._caller, where, "available")
            self._caller.call("DELETE", copy)

        return remove

    def _kept(self, room: str, noun: str, **wanted: Any) -> Callable[[], None]:
        where = f"{room}/{self._new(room, noun, **wanted)}"

        def remove() -> None:
            self._caller.call("DELETE", where)
            waiting.until(lambda: not self._is_there(where), 0.05)

        return remove

    def _is_there(self, where: str) -> bool:
        listed = self._caller.get(where.rpartition("/")[0])
        return where.rpartition("/")[2] in {each["id"] for each in next(iter(listed.values()))}

    def _new(self, room: str, noun: str, **wanted: Any) -> str:
        made_id: str = self._caller.post(room, {noun: wanted})[noun]["id"]
        waiting.status(self._caller, f"{room}/{made_id}", "available", longest_seconds=_SECONDS)
        return made_id
