"""From records to what a host is told: the guest's definition, its wiring, its removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novalite import logs
from novalite.cloud.compute import guest_data, progress, states
from novalite.cloud.compute.facts import guest_facts
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import networks, ports
from novalite.cloud.network.port_views import PortView
from novalite.db.work import Work
from novalite.drivers.compute.base import ConfigDrive, DiskSpec, FullDriver, GuestSpec, ImageSpec, NicSpec
from novalite.drivers.network.base import NetworkSpec, PortSpec, tap_name
from novalite.engine.conductor import guest_disks, volume_reach, wiring
from novalite.engine.flow import Run
from novalite.errors import DriverError, Failed, HostUnreachable, Unavailable

_log = logs.get("conductor")

_BUS_DEVICE = {"virtio": "vda", "scsi": "sda", "sata": "sda", "ide": "hda"}


_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileSource:
    """An image in the store of this machine."""

    path: Path

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


@dataclass(frozen=True)
class NoSource:
    """An image that is in no store of this machine any more: hosts that have it never ask."""

    image_id: str
    path: Path | None = None

    def chunks(self) -> Iterator[bytes]:
        raise Failed(
            f"The data of image {self.image_id} are missing.", code="image.missing", hint="Upload the image again."
        )


def host(run: Run) -> str:
    """The server's host. Raises ``Failed`` when it is on none."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        found = server.host if server else None
    if not found:
        raise Failed("The server is on no host.", code="server.not_placed", hint="Delete it and make a new one.")
    return found


def driver(run: Run) -> FullDriver:
    """The driver of the server's host. Raises ``Failed`` when it is on none."""
    return run.parts.links.driver(host(run))


@dataclass(frozen=True)
class Plan:
    """What a server needs on its host. ``image`` is None when its root disk is a volume."""

    host: str
    spec: GuestSpec
    image: ImageSpec | None
    networks: tuple[NetworkSpec, ...]
    ports: tuple[PortSpec, ...]


def plan(run: Run) -> Plan:
    """Read everything at once. Raises ``Failed`` when the server is gone or has no host."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        if server is None or not server.host:
            raise Failed("The server is no longer there to be built.", code="server.gone")
        views = ports.of_device(w, server.id)
        specs = {network_id: networks.spec(w, network_id) for network_id in {view.network_id for view in views}}
        cards = ports.of_server(w, server.id)
        drive = _config_drive(w, server, str(run.args.get("admin_pass", "")))
        disks = guest_disks.of_server(
            w, server, image_spec(_image_of(run, server)), run.parts.settings.state_path
        )  # fmt: skip
    spec = _guest_spec(server, disks, _nics(server, views, specs), drive)
    image = next((disk.image for disk in disks if disk.image), None)
    made = Plan(server.host, spec, image, tuple(specs.values()), cards)
    run.scratch["plan"] = made
    return made


def planned(run: Run) -> Plan:
    """The plan an earlier step of this run has read, or a fresh one."""
    made = run.scratch.get("plan")
    return made if isinstance(made, Plan) else plan(run)


def _nics(server: Server, views: list[PortView], specs: dict[str, NetworkSpec]) -> tuple[NicSpec, ...]:
    return tuple(nic_spec(server, view, specs[view.network_id]) for view in views)


def nic_spec(server: Server, view: PortView, network: NetworkSpec) -> NicSpec:
    """What a host is told of one card."""
    return NicSpec(
        port_id=view.port_id,
        mac_address=view.mac_address,
        tap=tap_name(view.port_id),
        mtu=network.mtu,
        model=str(server.image["properties"].get("hw_vif_model", "virtio")),
    )


def _config_drive(w: Work, server: Server, admin_pass: str) -> ConfigDrive | None:
    if not server.config_drive:
        return None
    data = guest_data.guest_data(guest_facts(w, server, admin_pass=admin_pass))
    return ConfigDrive(guest_data.config_drive_files(data))


def _guest_spec(
    server: Server, disks: tuple[DiskSpec, ...], nics: tuple[NicSpec, ...], drive: ConfigDrive | None
) -> GuestSpec:
    properties = {str(k): str(v) for k, v in server.image["properties"].items()}
    properties |= {str(k): str(v) for k, v in server.flavor["extra_specs"].items()}
    return GuestSpec(
        id=server.id,
        name=server.name,
        project_id=server.project_id,
        vcpus=server.vcpus,
        memory_mib=server.memory_mib,
        disks=disks,
        nics=nics,
        config_drive=drive,
        firmware="uefi" if properties.get("hw_firmware_type") == "uefi" else "bios",
        machine=properties.get("hw_machine_type", ""),
        on_crash=_on_crash(server),
        properties=properties,
        rescue=_rescue_disk(server),
    )


def _rescue_disk(server: Server) -> DiskSpec | None:
    """What a rescued server boots from. An image that names a bus or a device for it stands behind the server's
    own disks, the others take the place of the first one."""
    image = server.rescue_image
    if image is None:
        return None
    wishes = image["properties"]
    bus = str(wishes.get("hw_rescue_bus") or wishes.get("hw_disk_bus") or "virtio")
    aside = "hw_rescue_bus" in wishes or "hw_rescue_device" in wishes
    device = "vdz" if aside and bus != "ide" else _BUS_DEVICE.get(bus, "vda")
    return DiskSpec("rescue", device, 0, image_spec(image), bus, boot_index=0)


BEGINS_ANEW = "begins_anew"
"""In a memo: the server's root disk begins from its image again, whatever it stood on before."""


def _image_of(run: Run, server: Server) -> dict[str, Any]:
    return {**server.image, "root": None} if run.memo.get(BEGINS_ANEW) and server.image else server.image


def image_spec(image: dict[str, Any]) -> ImageSpec:
    """What a host is told of the copy of an image that a server keeps. The root disk of one that was shelved stands
    on what it was shelved as (``root``)."""
    below = image.get("root") or image
    return ImageSpec(below["id"], below["disk_format"], below["size"] or 0, below["sha512"] or "")


def _on_crash(server: Server) -> str:
    """``novalite:on_crash`` of the flavor, or ``on_crash`` of the server's metadata, which wins."""
    wish = server.metadata_items.get("on_crash") or server.flavor["extra_specs"].get("novalite:on_crash", "")
    return "restart" if wish == "restart" else "destroy"


def wire(run: Run) -> None:
    """Networks and ports of the server, made or mended, with what its flavor asks of them."""
    with run.parts.database.write(run.ctx) as w:
        server = progress.find(w, run.server_id)
        if server is not None:
            ports.ask_wiring(w, server.id, wiring.asked(server))
    made = plan(run)
    for network in made.networks:
        run.parts.network.ensure_network(network)
    for port in made.ports:
        run.parts.network.ensure_port(port)


def bring_image(run: Run, made: Plan) -> None:
    """The server's image in its host's cache. A host that has it needs no file here."""
    if made.image is not None:
        bring(run, made.host, made.image)


def bring(run: Run, host: str, image: ImageSpec) -> None:
    """An image in a host's cache. Raises ``Failed`` when it is neither there nor in a store of this machine."""
    path = run.parts.images.path(image.id)
    run.parts.links.driver(host).ensure_image(image, NoSource(image.id) if path is None else FileSource(path))


def start(run: Run, made: Plan) -> None:
    """The guest, running on its host, with its volumes as they are reached from there."""
    run.parts.links.driver(made.host).ensure_guest(volume_reach.of_guest(run, made.host, made.spec))


def unwire(run: Run) -> None:
    """Forget the server's ports on the machine; the records stay with the server."""
    with run.parts.database.read(run.ctx) as w:
        views = ports.of_device(w, run.server_id)
    for view in views:
        run.parts.network.remove_port(view.network_id, view.port_id)


def remove(run: Run, *, patient: bool) -> None:
    """Take the guest away from its host. A host that cannot be reached is left to reconciliation, which
    removes guests nobody owns as soon as it is back; ``patient`` gives it a chance to return first."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        host = server.host if server else None
    if not host:
        return
    try:
        run.parts.links.driver(host).delete_guest(run.server_id)
        if server is not None and server.image.get("root"):  # no other server begins from that
            run.parts.links.driver(host).remove_image(server.image["root"]["id"])
    except HostUnreachable:
        tries = int(run.memo.get("_unreachable", 0)) + 1
        run.memo["_unreachable"] = tries
        if patient and tries < 4:
            raise
        _log.warning("host unreachable, its guest will be removed when it is back", host=host)
    volume_reach.close(run)


def launched(run: Run, vm_state: str = states.ACTIVE) -> None:
    """The server is active (or ``vm_state``); then its guest is looked at once more, since what a guest did
    before that moment (powering itself off at once, say) was taken for part of the action."""
    with run.parts.database.write(run.ctx) as w:
        progress.settle(w, run.server_id, vm_state=vm_state, power_state=states.RUNNING, launched=True)
        server = progress.find(w, run.server_id)
    if server is None or not server.host:
        return
    try:
        guest = run.parts.links.driver(server.host).guest(run.server_id)
    except (DriverError, Unavailable) as error:
        _log.info("left to reconciliation", server_id=run.server_id, why=str(error))
        return
    with run.parts.database.write(run.ctx) as w:
        progress.observed(w, run.server_id, guest.power.value, guest.detail, revision=server.revision)


def is_about_one_host(error: Exception) -> bool:
    """Whether another host might do better."""
    return isinstance(error, HostUnreachable) or (isinstance(error, DriverError) and error.code != "image.corrupt")
