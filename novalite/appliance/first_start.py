"""What must stand before anybody can ask for anything: schema, admin, flavors, the first network, hosts. Repeatable."""

from __future__ import annotations

import secrets
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa

from novalite.cloud.compute import flavors
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import bootstrap, credentials, quotas, registered_limits
from novalite.cloud.identity.records import Project
from novalite.cloud.image import images, imports
from novalite.cloud.network import first_public, networks, service_ports
from novalite.cloud.network import options as network_options
from novalite.cloud.volume import types
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.storage.base import ImageStore
from novalite.settings import Settings


def _written_once(path: Path, text: str) -> str:
    """The content of a file that is made with ``text`` if it is not there, for its owner only."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(path)
    return path.read_text().strip()


def appliance_id(state_path: Path) -> str:
    """The UUID that marks everything this appliance makes on a machine."""
    return str(UUID(_written_once(state_path / "appliance-id", f"{uuid4()}\n")))


def agent_secret(settings: Settings) -> str:
    """The secret shared with agents, made at first start."""
    path = Path(settings.compute.agent_secret_file or settings.state_path / "agent-secret")
    return _written_once(path, secrets.token_urlsafe(32) + "\n")


def ensure_admin(database: Database, settings: Settings) -> None:
    """The first administrator, whose password is random and stands in two files. The files are written
    before the record: a process killed in between starts over with new ones."""
    state_path = settings.state_path
    with database.read(internal()) as w:
        exists = bootstrap.has_admin(w)
    if exists:
        credentials.point_files_to(state_path, settings.public_url)
        return
    for name in (credentials.OPENRC, credentials.CLOUDS):
        (state_path / name).unlink(missing_ok=True)
    password = credentials.new_password()
    credentials.write_files(state_path, settings.public_url, password, settings.identity.region)
    with database.write(internal()) as w:
        bootstrap.first_admin(w, password)


def ensure_defaults(database: Database, settings: Settings, names: dict[str, str]) -> None:
    """Quota defaults with the limits that tell them, flavors, and a record for each host (``names`` maps it to its
    zone)."""
    options = settings.scheduler
    ratios = hosts.Ratios(
        options.cpu_allocation_ratio, options.ram_allocation_ratio, options.disk_allocation_ratio,
        options.reserved_memory_mib, options.reserved_disk_gib,
    )  # fmt: skip
    with database.write(internal()) as w:
        quotas.configure(w, settings.quota)
        registered_limits.ensure(w)
        flavors.ensure_defaults(w)
        for name, zone in names.items():
            hosts.register(w, name, zone=zone, ratios=ratios)
        hosts.recount(w)
        network_options.configure(
            w,
            upstream_dns=settings.network.dns_servers or _machine_dns(),
            dns_domain=settings.network.dns_domain,
            physical_networks=settings.network.physical_networks,
        )
        service_ports.complete(w)


def ensure_network(database: Database, settings: Settings, driver: NetworkDriver) -> None:
    """The first network, an external one for floating addresses and the router between them, in ranges the machine
    does not use. Without the external one the first leads outside by itself."""
    with database.read(internal()) as w:
        if networks.exist(w):
            return
    wanted = settings.network.cidr
    used = driver.used_ranges()
    cidr = networks.free_range(used) if wanted == "auto" else wanted
    public = settings.network.public_cidr
    public = networks.free_range((*used, cidr)) if public == "auto" else public
    with database.write(internal()) as w:
        admin = w.session.scalar(sa.select(Project.id).where(Project.name == bootstrap.ADMIN))
        first = networks.ensure_first(
            w, name=settings.network.name, cidr=cidr, mtu=settings.network.mtu, project_id=admin or ""
        )
        if public != "none":
            first_public.ensure(w, first, name=settings.network.public_name, cidr=public)


def _machine_dns() -> tuple[str, ...]:
    """The machine's own name servers that guests can reach too."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return ()
    found = [line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1]
    return tuple(address for address in found if not address.startswith("127.") and ":" not in address)


def ensure_volume_type(database: Database) -> None:
    """The type of volumes for which none is named."""
    with database.write(internal()) as w:
        types.ensure_default(w)


def mend_images(database: Database, store: ImageStore) -> None:
    """Uploads cut off by the end of the last process: back to queued, their bytes away. Imports go on by themselves."""
    staging = store.staging
    with database.write(internal()) as w:
        unwanted = imports.abandoned(w, staging.ids())
        cut_off = images.abandoned(w)
        orphans = images.without_record(w, store.ids())
    for image_id in {*cut_off, *orphans}:
        store.delete(image_id)
    for image_id in unwanted:
        staging.drop(image_id)
