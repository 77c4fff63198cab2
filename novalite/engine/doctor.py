"""Compares database, hypervisors, network and disks, and says in words what does not agree. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from novalite.cloud.compute import migrations, progress, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.image import images, imports
from novalite.cloud.network import ports
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Work
from novalite.drivers.compute.base import GuestArtifacts, Power
from novalite.drivers.network.base import tap_name
from novalite.drivers.storage.base import ImageStore
from novalite.engine import network_findings, volume_exports, volume_files
from novalite.engine.flow import Parts
from novalite.errors import NovaLiteError


@dataclass(frozen=True)
class Finding:
    """``severity`` is error or warning; ``what`` happened, ``why`` it is wrong, ``fix`` it so."""

    severity: str
    kind: str
    id: str
    what: str
    why: str
    fix: str


@dataclass(frozen=True)
class Examination:
    """``checked`` counts what was looked at, by kind."""

    findings: tuple[Finding, ...]
    checked: dict[str, int]


def examine(parts: Parts, store: ImageStore) -> Examination:
    """Everything once. Servers with a task under way are left out: they are allowed to be in between."""
    findings: list[Finding] = []
    with parts.database.read(internal()) as w:
        all_hosts = hosts.everyone(w)
        servers = {host.name: progress.on_host(w, host.name) for host in all_hosts}
        busy = tasks.live_resources(w)
        behind = {host.name: migrations.left_behind(w, host.name) for host in all_hosts}
        held = {allocation.server_id: allocation for allocation in hosts.allocations(w)}
        wanted_networks = network_findings.wanted(w)
        port_owners = _tap_owners(w, servers)
        image_ids, coming = images.active_ids(w), imports.coming(w)
    findings += _allocations(all_hosts, servers, held, busy)
    guests = 0
    for host in all_hosts:
        try:
            found = parts.links.driver(host.name).artifacts()
        except NovaLiteError as error:
            findings.append(
                Finding(
                    "error",
                    "host",
                    host.name,
                    f"Host {host.name} does not answer.",
                    str(error),
                    "Start libvirtd or the host's agent.",
                )
            )
            continue
        guests += len(found)
        findings += _disk(host)
        findings += _guests(host.name, servers[host.name], found, busy | behind[host.name], port_owners)
    findings += [Finding(**vars(one)) for one in network_findings.disagreements(parts, wanted_networks)]
    findings += _images(store, image_ids, coming)
    findings += _staged(store, coming)
    wrong, volumes_checked = volume_files.disagreements(parts)
    findings += [Finding(**vars(one)) for one in (*wrong, *volume_exports.disagreements(parts))]
    checked = {
        "hosts": len(all_hosts),
        "servers": sum(map(len, servers.values())),
        "guests": guests,
        "allocations": len(held),
        "ports": len(wanted_networks.ports),
        "images": len(image_ids),
        **volumes_checked,
    }
    return Examination(tuple(findings), checked)


def _tap_owners(w: Work, servers: dict[str, list[Server]]) -> dict[str, set[str]]:
    ids = [server.id for each in servers.values() for server in each]
    return {id: {tap_name(view.port_id) for view in views} for id, views in ports.of_devices(w, ids).items()}


def _allocations(
    all_hosts: list[hosts.Host], servers: dict[str, list[Server]], held: dict[str, hosts.Allocation], busy: set[str]
) -> Iterator[Finding]:
    placed = {server.id: server for each in servers.values() for server in each}
    for holder_id, allocation in held.items():
        server_id = allocation.aside_for or holder_id
        if server_id not in placed and server_id not in busy:
            yield Finding(
                "error",
                "allocation",
                server_id,
                f"Room is held for server {server_id}, which is on no host.",
                f"{allocation.vcpus} vCPUs and {allocation.memory_mib} MiB cannot be used by others.",
                "Restart NovaLite: claims are counted again at start.",
            )
    for server_id in placed.keys() - held.keys() - busy:
        yield Finding(
            "error",
            "allocation",
            server_id,
            f"Server {server_id} holds no room on its host.",
            "The host may be overcommitted.",
            "Delete the server, or restart NovaLite.",
        )
    for host in all_hosts:
        mine = [a for a in held.values() if a.host_id == host.id]
        count = sum(a.aside_for is None for a in mine)
        sums = (sum(a.vcpus for a in mine), sum(a.memory_mib for a in mine), sum(a.disk_gib for a in mine), count)
        if sums != (host.vcpus_used, host.memory_mib_used, host.disk_gib_used, host.server_count):
            yield Finding(
                "error",
                "host",
                host.name,
                f"The use of host {host.name} is counted wrongly.",
                f"Its claims add up to {sums} (vCPUs, MiB, GiB, servers).",
                "Restart NovaLite: claims are counted again at start.",
            )


def _disk(host: hosts.Host) -> Iterator[Finding]:
    room = hosts.disk_room(host)
    if room is not None and room.is_short:
        yield Finding(
            "warning",
            "host",
            host.name,
            f"The disk of host {host.name} is nearly full.",
            f"{room}. It takes no more servers with disks of their own and makes no copies; a guest whose writes find "
            "no room stands still until there is some.",
            "Remove servers, images, snapshots or backups that are not needed, or give the host more disk.",
        )
    for image_id in host.report.get("corrupt_images", ()):
        yield Finding(
            "error",
            "image",
            image_id,
            f"The copy of image {image_id} in the cache of host {host.name} has changed.",
            "It does not match its checksum any more, and disks of servers stand on it.",
            "Make a server of the image: that fetches it again, and servers started afterwards stand on that. Check "
            "the disk of the host.",
        )


_RUNS = {states.ACTIVE: Power.RUNNING, states.PAUSED: Power.PAUSED, states.SUSPENDED: Power.SUSPENDED}


def _guests(
    host: str, servers: list[Server], found: tuple[GuestArtifacts, ...], busy: set[str], taps: dict[str, set[str]]
) -> Iterator[Finding]:
    known = {server.id: server for server in servers}
    there = {artifact.id: artifact for artifact in found}
    for artifact in found:
        if artifact.id in known or artifact.id in busy:
            continue
        left = [f"definition ({artifact.power})"] * artifact.defined + list(artifact.files) + list(artifact.taps)
        yield Finding(
            "error",
            "guest",
            artifact.id,
            f"Host {host} has leftovers of {artifact.id}, which is no server there.",
            "Left: " + ", ".join(left),
            "They are removed by the next reconciliation, within a minute.",
        )
    for server in servers:
        if server.id in busy or server.launched_at is None:
            continue
        artifact_or_none = there.get(server.id)
        wanted = _RUNS.get(server.vm_state)
        power = artifact_or_none.power if artifact_or_none else Power.ABSENT
        if wanted is not None and power != wanted:
            yield Finding(
                "error",
                "server",
                server.id,
                f"Server {server.name} is {server.status}, its guest is {power}.",
                "Record and hypervisor disagree.",
                "It is corrected by the next reconciliation.",
            )
        if artifact_or_none is not None:
            foreign = set(artifact_or_none.taps) - taps.get(server.id, set())
            if foreign:
                yield Finding(
                    "warning",
                    "tap",
                    server.id,
                    f"Server {server.name} has taps of no port of its own.",
                    ", ".join(sorted(foreign)),
                    "Hard reboot the server.",
                )


def _staged(store: ImageStore, coming: set[str]) -> Iterator[Finding]:
    for image_id in sorted(set(store.staging.ids()) - coming):
        yield Finding(
            "warning",
            "image",
            image_id,
            f"Data are staged for image {image_id}, which does not wait for any.",
            "They take disk space.",
            "Restart NovaLite: it forgets them.",
        )


def _images(store: ImageStore, recorded: set[str], coming: set[str]) -> Iterator[Finding]:
    stored = set(store.ids())
    for image_id in sorted(stored - recorded - coming):
        yield Finding(
            "warning",
            "image",
            image_id,
            f"The store holds data of image {image_id}, which does not exist.",
            "It takes room for nothing.",
            "Restart NovaLite.",
        )
    for image_id in sorted(recorded - stored):
        yield Finding(
            "error",
            "image",
            image_id,
            f"The data of image {image_id} are missing.",
            "Servers cannot be made from it.",
            "Upload it again or delete it.",
        )
