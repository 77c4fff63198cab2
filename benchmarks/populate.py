"""Fills an appliance's database with servers: asked for through the cloud's own functions, then marked as
booted in bulk, on a host that no driver serves, so that nothing corrects them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from novalite import logs
from novalite import settings as options
from novalite.appliance.build import Built, prepare
from novalite.cloud.compute import flavors, servers, states
from novalite.cloud.compute.servers import NewServer, Server
from novalite.cloud.hosts import hosts
from novalite.cloud.identity.records import Project
from novalite.cloud.image import images
from novalite.cloud.image.images import NewImage
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.db.work import Work

HOST = "simulated"
_BATCH = 500
SETTINGS: dict[str, object] = {
    "network.cidr": "10.128.0.0/16", "quota.instances": -1, "quota.cores": -1, "quota.ram_mib": -1,
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
            _mark_booted(w, [server.id for server in servers.create(w, new)])
        number -= count


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
