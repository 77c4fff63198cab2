"""Fills an appliance's database with servers: asked for through the cloud's own functions, then marked as
booted in bulk, on a host that no driver serves, so that nothing corrects them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from novalite import logs
from novalite import settings as options
from novalite.appliance.build import Built, prepare
from novalite.cloud.compute import flavors, new_servers, states
from novalite.cloud.compute.new_servers import NewServer
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.identity.records import Project
from novalite.cloud.image import images
from novalite.cloud.image.images import NewImage
from novalite.cloud.network.records import FixedIp, Port
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.db.work import Work

HOST = "simulated"
_BATCH = 500
SETTINGS: dict[str, object] = {
    "network.cidr": "10.128.0.0/14", "quota.instances": -1, "quota.cores": -1, "quota.ram_mib": -1,
    "quota.ports": -1,
    "compute.fake_vcpus": 100000, "compute.fake_memory_mib": 100_000_000, "compute.fake_disk_gib": 1_000_000,
}  # fmt: skip
"""What an appliance needs to take many servers; give the same to its process."""


def build(state_dir: Path) -> Built:
    """The parts of an appliance with simulated guests, in this process and without threads."""
    arguments = {"state_dir": str(state_dir), "compute.driver": "fake", "logging.level": "WARNING", **SETTINGS}
    logs.configure(level="WARNING")
    return prepare(options.load(arguments=arguments, environment={})[0])


def admin(built: Built) -> Context:
    """The first administrator in its own project."""
    with built.database.read(internal()) as w:
        project_id = w.session.scalar(sa.select(Project.id).where(Project.name == "admin")) or ""
    return Context(user_id="benchmark", project_id=project_id, roles=frozenset({"admin", "member", "reader"}))


def add_image(built: Built, ctx: Context, size: int = 1 << 20) -> str:
    """The id of an active raw image of zeros."""
    with built.database.write(ctx) as w:
        new = NewImage(name="zeros", disk_format="raw", container_format="bare", visibility="public")
        image_id = images.create(w, new).id
        images.begin_upload(w, image_id)
    stored = built.store.save(image_id, [b"\0" * size], disk_format="raw")
    with built.database.write(ctx) as w:
        images.finish_upload(
            w, image_id, size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
            os_hash_value=stored.sha512,
        )  # fmt: skip
    return image_id


def add_flavor(built: Built) -> str:
    """The id of the smallest flavor."""
    with built.database.read(internal()) as w:
        return min(w.session.scalars(sa.select(flavors.Flavor)), key=lambda each: (each.ram_mib, each.disk_gib)).id


def add_servers(built: Built, ctx: Context, image_id: str, number: int) -> None:
    """``number`` more servers that look as if they had been running for a while."""
    flavor_id = add_flavor(built)
    with built.database.write(internal()) as w:
        hosts.register(w, HOST, zone="nova", ratios=hosts.Ratios())
    while number > 0:
        count = min(number, _BATCH)
        new = NewServer(
            name="many", flavor_id=flavor_id, image_id=image_id, metadata={"role": "web", "stage": "test"},
            min_count=count, max_count=count,
        )  # fmt: skip
        with built.database.write(ctx) as w:
            _mark_booted(w, [server.id for server in new_servers.create(w, new)])
        number -= count


def multiply_servers(built: Built, number: int) -> None:
    """``number`` more servers, copies of those that are there with their ports and addresses, written to the
    tables as they are: asking for a hundred thousand would take an hour."""
    with built.database.read(internal()) as w:
        originals = {record: _rows(w, record) for record in (Server, Port, FixedIp)}
        highest = w.session.scalar(sa.select(sa.func.max(FixedIp.address))) or 0
        network_groups = w.session.execute(sa.select(_PORT_GROUPS)).mappings().all()
    groups = {row["port_id"]: dict(row) for row in network_groups}
    fresh = _Fresh(highest)
    while number > 0:
        count = min(number, len(originals[Server]))
        wanted = originals[Server][:count]
        ids = {row["id"]: str(uuid.uuid4()) for row in (*wanted, *originals[Port], *originals[FixedIp])}
        chosen = {row["id"] for row in wanted}
        ports = [row for row in originals[Port] if row["device_id"] in chosen]
        plugged = {row["id"] for row in ports}
        with built.database.write(internal()) as w:
            _insert(w, Server.__table__, [fresh.server(row, ids) for row in wanted])
            _insert(w, Port.__table__, [fresh.port(row, ids) for row in ports])
            addresses = [row for row in originals[FixedIp] if row["port_id"] in plugged]
            _insert(w, FixedIp.__table__, [fresh.address(row, ids) for row in addresses])
            joined = [{**groups[port_id], "port_id": ids[port_id]} for port_id in plugged if port_id in groups]
            _insert(w, _PORT_GROUPS, joined)
        number -= count


_PORT_GROUPS = Port.metadata.tables["port_security_groups"]


def _rows(w: Work, record: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in w.session.execute(sa.select(record.__table__)).mappings()]


def _insert(w: Work, into: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        w.session.execute(sa.insert(into), rows)


class _Fresh:
    """Makes of a row another one that may stand beside it."""

    def __init__(self, highest_address: int) -> None:
        self._addresses: Iterator[int] = itertools.count(highest_address + 1)
        self._macs: Iterator[int] = itertools.count(1)
        self._seconds: Iterator[int] = itertools.count(1)

    def server(self, row: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
        age = timedelta(seconds=next(self._seconds))
        return {
            **row,
            "id": ids[row["id"]],
            "created_at": row["created_at"] - age,
            "updated_at": row["updated_at"] - age,
        }

    def port(self, row: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
        tail = next(self._macs).to_bytes(5).hex(":")
        return {**row, "id": ids[row["id"]], "device_id": ids[row["device_id"]], "mac_address": f"06:{tail}"}

    def address(self, row: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
        number = next(self._addresses)
        return {**row, "id": ids[row["id"]], "port_id": ids[row["port_id"]], "address": number,
                "ip_address": str(IPv4Address(number))}  # fmt: skip


def _mark_booted(w: Work, ids: list[str]) -> None:
    w.session.flush()
    w.changed(
        sa.update(Server)
        .where(Server.id.in_(ids))
        .values(
            vm_state=states.ACTIVE, task_state=None, power_state=states.RUNNING, host=HOST, progress=100,
            availability_zone="nova", launched_at=w.now,
        )
    )  # fmt: skip
    w.changed(
        sa.update(tasks.Task)
        .where(tasks.Task.resource_id.in_(ids))
        .values(state=tasks.State.DONE, finished_at=w.now, step="finish")
    )
