"""The cloud under test: an appliance of its own with the images and flavors that a suite is given."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.caller import Caller, openrc
from benchmarks.processes import appliance
from conformance import web
from novalite.drivers.storage import guest_image

_SIMULATED_IMAGE_BYTES = 1 << 20
_BACKENDS = ("one", "two")
_KEEPERS = {"fake": "fake", "libvirt": "files"}
_OPTIONS = {
    "logging.level": "INFO", "compute.stop_timeout_seconds": 5, "images.web_download_networks": "127.0.0.1/32",
    "volumes.reserve_gib": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class Cloud:
    """A running appliance, and the ids of what was made in it."""

    caller: Caller
    state_dir: Path
    driver: str
    image_ids: tuple[str, ...]
    flavor_ids: tuple[str, str]
    shared_volume_type: str
    web_url: str
    qcow2: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.caller.port}"

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of what keeps volumes."""
        return _BACKENDS

    @property
    def credentials(self) -> dict[str, str]:
        """The variables of the administrator's openrc."""
        return openrc(self.state_dir)

    def findings(self) -> list[dict[str, Any]]:
        """What the doctor finds; nothing is health. A suite has run meanwhile: the kept connection is too old."""
        self.caller.close()
        found: list[dict[str, Any]] = self.caller.get("/admin/doctor")["findings"]
        return found

    def network_extensions(self) -> list[str]:
        """Aliases that the network API announces."""
        return sorted(each["alias"] for each in self.caller.get("/network/v2.0/extensions")["extensions"])

    def first_network(self, *, external: bool) -> dict[str, Any] | None:
        """A network that every project may use (or that leads outside); ``None`` when there is none."""
        networks = self.caller.get("/network/v2.0/networks")["networks"]
        found = (each for each in networks if bool(each.get("router:external")) is external)
        return next((each for each in found if external or each["shared"]), None)


@contextmanager
def running(directory: Path, driver: str, given: dict[str, str]) -> Iterator[Cloud]:
    """A prepared cloud until the context ends; real guests and networks end with it."""
    state_dir, file = directory / "state", directory / "guest.img"
    disk_format = _make_image(file, driver)
    shown = directory / "web"
    shown.mkdir()
    small = _small(directory) if driver == "fake" else file
    (shown / "guest.img").hardlink_to(small)
    with (
        web.serving(shown) as port,
        appliance(state_dir, driver=driver, options={**_OPTIONS, **_of(driver, port), **given}) as program,
    ):
        caller = program.await_ready()
        caller.log_in(state_dir)
        images = tuple(_upload(caller, name, file, disk_format) for name in ("conformance", "other"))
        flavors = (_flavor(caller, "conformance.nano", 256), _flavor(caller, "conformance.micro", 320))
        try:
            url = f"http://127.0.0.1:{port}/guest.img"
            yield Cloud(caller, state_dir, driver, images, flavors, _volume_type(caller), url, small)
        finally:
            caller.close()


def _of(driver: str, port: int) -> dict[str, str]:
    """Two backends for volumes; imports from the web server."""
    backends = ",".join(f"{name}={_KEEPERS[driver]}" for name in _BACKENDS)
    return {"volumes.backends": backends, "images.web_download_ports": str(port)}


def _make_image(file: Path, driver: str) -> str:
    """Its disk format. A simulated guest reads nothing of its image."""
    if driver == "fake":
        file.write_bytes(bytes(_SIMULATED_IMAGE_BYTES))
        return "raw"
    guest_image.build(file, progress=lambda _: None)
    return "qcow2"


def _small(directory: Path) -> Path:
    """Suites import it from the web as what it is: a qcow2."""
    file = directory / "small.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "1M"], check=True, timeout=60)
    return file


def _upload(caller: Caller, name: str, file: Path, disk_format: str) -> str:
    body = {
        "name": name, "disk_format": disk_format, "container_format": "bare", "visibility": "public",
        "hw_qemu_guest_agent": "yes",
    }  # fmt: skip
    image_id: str = caller.post("/image/v2/images", body)["id"]
    caller.call("PUT", f"/image/v2/images/{image_id}/file", data=file.read_bytes())
    return image_id


def _volume_type(caller: Caller) -> str:
    """The name of a type whose volumes several servers may have at once."""
    body = {"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}}
    name: str = caller.post("/volume/v3/types", body)["volume_type"]["name"]
    return name


def _flavor(caller: Caller, name: str, ram_mib: int) -> str:
    body = {"flavor": {"name": name, "ram": ram_mib, "vcpus": 1, "disk": 1}}
    flavor_id: str = caller.post("/compute/v2.1/flavors", body)["flavor"]["id"]
    return flavor_id
