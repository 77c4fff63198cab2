"""Builds an appliance from settings: the only place that names concrete classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from novalite.appliance import first_start
from novalite.cloud.identity import policy
from novalite.db import migrate
from novalite.db.work import Database
from novalite.drivers.compute.base import ComputeDriver
from novalite.drivers.compute.local import open_local
from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.storage import backends, backup_places, web_places
from novalite.drivers.storage.base import (
    FOUND,
    BackupStore,
    FoundDriver,
    VolumeBackends,
    VolumeDriver,
    VolumeExports,
)
from novalite.drivers.storage.export_daemon import ExportDaemon, QemuDaemon
from novalite.drivers.storage.exports import DaemonExports
from novalite.drivers.storage.fake_exports import FakeDaemon
from novalite.drivers.storage.files import FileImageStore
from novalite.drivers.storage.found_volumes import FoundVolumes
from novalite.engine.flow import Parts
from novalite.engine.links import Links, guarded
from novalite.engine.scheduler.loader import load_filters, load_weighers
from novalite.engine.scheduling import Scheduling
from novalite.errors import Invalid
from novalite.settings import Settings

_GIB = 1024**3


@dataclass(frozen=True)
class Built:
    """``hosts`` maps the name of each compute host to its availability zone."""

    settings: Settings
    database: Database
    store: FileImageStore
    links: Links
    network: NetworkDriver
    parts: Parts
    hosts: dict[str, str]

    @property
    def serves_metadata(self) -> bool:
        """Whether there are real bridges for the metadata service to listen on."""
        return not has_fake_network(self.settings)


def build(settings: Settings) -> Built:
    """Everything without threads: drivers, database, ports. Raises ``Invalid`` for settings that name what
    does not exist."""
    database = Database(settings.database_url, busy_timeout_seconds=settings.database.busy_timeout_seconds)
    options = settings.images
    store = FileImageStore(
        settings.state_path / "images", max_size=options.max_size_gib * _GIB,
        max_virtual_size=options.max_virtual_size_gib * _GIB, reserve=int(options.reserve_gib * _GIB),
        allowed=web_places.allowed(options),
    )  # fmt: skip
    appliance_id = first_start.appliance_id(settings.state_path)
    links, names = Links(), {}
    for is_here, drivers in ((True, _local_drivers(settings, appliance_id)), (False, _remote_drivers(settings))):
        for name, driver in drivers:
            links.add(name, driver, is_here=is_here)
            names[name] = settings.compute.availability_zone
    network = cast(NetworkDriver, guarded(_network_driver(settings, appliance_id), "network driver"))
    volumes = _volume_backends(settings)
    kept = guarded(backup_places.open_store(settings.backups, settings.state_path, appliance_id), "backup store")
    parts = Parts(
        settings, database, links, network, store, Scheduling(), volumes, cast(BackupStore, kept), _exports(settings),
        load_filters(settings.scheduler.filters), load_weighers(),
    )  # fmt: skip
    return Built(settings, database, store, links, network, parts, names)


def _local_drivers(settings: Settings, appliance_id: str) -> Iterator[tuple[str, ComputeDriver]]:
    options, name = settings.compute, settings.local_host
    if options.driver != "fake" or options.fake_hosts == 1:
        yield name, open_local(settings, appliance_id)
        return
    for number in range(1, options.fake_hosts + 1):
        numbered = msgspec.structs.replace(options, host_name=f"{name}-{number}")
        yield numbered.host_name, open_local(msgspec.structs.replace(settings, compute=numbered), appliance_id)


def _remote_drivers(settings: Settings) -> Iterator[tuple[str, ComputeDriver]]:
    if not settings.compute.agents:
        return
    from novalite.drivers.compute.remote import connect

    secret = first_start.agent_secret(settings)
    for item in settings.compute.agents:
        name, found, url = item.partition("=")
        if not found or not name or not url.startswith(("http://", "https://")):
            raise Invalid(f"'{item}' is not NAME=URL.", field="compute.agents")
        yield name, connect(url, secret)


def has_fake_network(settings: Settings) -> bool:
    wanted = settings.network.driver
    return wanted == "fake" or (wanted == "auto" and settings.compute.driver == "fake")


def _network_driver(settings: Settings, appliance_id: str) -> NetworkDriver:
    if has_fake_network(settings):
        from novalite.drivers.network.fake import FakeNetworkDriver

        return FakeNetworkDriver()
    if os.geteuid() != 0:
        return _privileged_driver(settings.network.privileged_socket, appliance_id)
    from novalite.drivers.network.linux import LinuxNetworkDriver

    return LinuxNetworkDriver(appliance_id, tracking=settings.network.conntrack)


def _privileged_driver(socket_path: str, appliance_id: str) -> NetworkDriver:
    from novalite.drivers.privileged.client import PrivilegedNetworkDriver

    if not os.path.exists(socket_path):  # also when it may not be looked for
        raise Invalid(
            f"NovaLite runs without root, and no privileged process listens at {socket_path}.",
            field="network.privileged_socket",
            hint="Start novalite-privileged.socket (docs/install.md), or run as root, or choose network.driver=fake.",
        )
    return PrivilegedNetworkDriver(socket_path, appliance_id)


def _volume_backends(settings: Settings) -> VolumeBackends:
    """Volumes are named as Block Storage names its pools: HOST@BACKEND#POOL."""
    host = settings.local_host
    if settings.volumes.backends:
        drivers = backends.load(
            settings.volumes.backends, host=host, directory=settings.state_path / "volume-backends"
        )  # fmt: skip
    elif settings.compute.driver == "fake":
        from novalite.drivers.storage.fake_volumes import FakeVolumes

        drivers = {"fake": FakeVolumes(settings.state_path / "fake-volumes", name=f"{host}@fake#fake")}
    else:
        from novalite.drivers.storage.volumes import FileVolumes

        drivers = {"local": FileVolumes(settings.state_path / "volumes", name=f"{host}@local#local")}
    found = FoundVolumes(settings.state_path / "found-volumes", name=f"{host}@{FOUND}#{FOUND}")
    return VolumeBackends(
        {name: cast(VolumeDriver, guarded(driver, f"volume driver {name}")) for name, driver in drivers.items()},
        cast(FoundDriver, guarded(found, "driver of found volumes")),
    )


def _exports(settings: Settings) -> VolumeExports:
    options = settings.volumes
    directory, address = settings.state_path / "exports", options.export_address
    daemon: Callable[[Path], ExportDaemon] = FakeDaemon if settings.compute.driver == "fake" else QemuDaemon
    exports = DaemonExports(directory, address, options.export_port, daemon)
    return cast(VolumeExports, guarded(exports, "exports of volumes"))


def prepare(settings: Settings) -> Built:
    """Schema, credentials and defaults, then everything that acts on them. Repeatable."""
    policy.use(policy.read(settings.policy.file))
    migrate.upgrade(settings.database_url)
    built = build(settings)
    first_start.ensure_admin(built.database, settings)
    first_start.ensure_defaults(built.database, settings, built.hosts)
    first_start.ensure_network(built.database, settings, built.network)
    first_start.ensure_volume_type(built.database)
    return built
