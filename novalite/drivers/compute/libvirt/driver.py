"""A compute host run by libvirt and QEMU. libvirt holds all state: this keeps connections and caches only."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt

from novalite import logs
from novalite.drivers.compute.base import (
    ConsoleKind,
    Diagnostics,
    EventBatch,
    GuestArtifacts,
    GuestSpec,
    GuestState,
    HostReport,
    ImageSource,
    ImageSpec,
    Power,
    PowerAction,
)
from novalite.drivers.compute.event_log import EventLog
from novalite.drivers.compute.libvirt import (
    abilities,
    console,
    disks,
    export_keys,
    guest,
    out_of_reach,
    power,
    starved,
    stats,
)
from novalite.drivers.compute.libvirt.accel import Acceleration, Verdict
from novalite.drivers.compute.libvirt.adopting import GuestAdoptions
from novalite.drivers.compute.libvirt.changes import FEATURES, GuestChanges
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.devices import Devices
from novalite.drivers.compute.libvirt.disk_swaps import DiskSwaps
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.images import ImageCache
from novalite.drivers.compute.libvirt.logical_volumes import LogicalVolumes
from novalite.drivers.compute.libvirt.places import GuestAccount, GuestPlace, Places, QemuUser, is_server_id
from novalite.drivers.compute.libvirt.secrets import Secrets
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.drivers.compute.libvirt.snapshots import Snapshots
from novalite.errors import DriverError, NovaLiteError

_log = logs.get("libvirt")
_HOUSEKEEPING_SECONDS = 15.0
_IMAGES_SECONDS = 600.0
_UP = (Power.RUNNING, Power.PAUSED)
_BOOTS = (PowerAction.START, PowerAction.RESUME)


@dataclass(frozen=True)
class LocalStorage:
    """How a host keeps disks and images: what disks of guests are (qcow2 or raw, or raw in the thin pool of
    ``volumes``), free space that copies leave, and after which times images are checked again and forgotten when
    unused (0: never)."""

    disk_format: str = "qcow2"
    reserve_bytes: int = 0
    image_check_seconds: float = 0.0
    image_unused_seconds: float = 0.0
    volumes: LogicalVolumes | None = None


class LibvirtDriver(GuestChanges, export_keys.ExportKeys, GuestAdoptions):
    """Implements ``FullDriver``; the optional ports are in ``changes.py``, ``export_keys.py`` and ``adopting.py``.

    ``state_dir`` holds guests/ and images-cache/; ``appliance_id`` marks the domains that are ours. ``local`` says how
    disks and images are kept. ``virt_type`` is auto, kvm or qemu; ``cpu_model`` (of emulated guests) may be empty. With
    an ``account`` guests run as that, and their disks stay ours. ``keys`` is where libvirt looks for what opens volumes
    of other machines. Making one never fails because libvirt is down: calls then raise ``HostUnreachable`` until it is
    back.
    """

    def __init__(
        self,
        *,
        uri: str,
        state_dir: Path,
        host: str,
        appliance_id: str,
        virt_type: str = "auto",
        cpu_model: str = "",
        account: GuestAccount | None = None,
        local: LocalStorage | None = None,
        keys: Path = export_keys.DIRECTORY,
    ) -> None:
        self.host = host
        self._local = local or LocalStorage()
        self._account = account
        self._cpu_model = cpu_model
        self._keys = keys
        self._places = Places(
            state_dir, appliance_id, None if account is None else account.gid, disk_format=self._local.disk_format,
            reserve=self._local.reserve_bytes, volumes=self._local.volumes,
        )  # fmt: skip
        self._images = ImageCache(self._places.images, self._places.guests, self._places.image_room)
        self._cache_mode = "none" if disks.direct_io_works(self._places.guests) else "writeback"
        self._acceleration = Acceleration(virt_type, self._places.state_dir / "acceleration.json")
        self._serial_lines = console.SerialLines()
        self._events = EventLog()
        self._domains = Domains(guest.Names(appliance_id))
        self._locks = tuple(threading.Lock() for _ in range(64))
        self._host_lock = threading.Lock()
        self._capabilities: stats.Capabilities | None = None
        self._abilities: abilities.Abilities | None = None
        self._devices = Devices(self._domains)
        self._jobs = Signal()
        self._secrets = Secrets(self._domains.names.prefix)
        self._pinning = threading.Lock()
        self._pinned: frozenset[int] | None = None
        self._saving: set[str] = set()
        self._starved: set[str] = set()
        self._advice = ""
        self._met = False
        self._stop = threading.Event()
        self._connection = Connection(uri, on_open=self._opened, on_loss=self._lost)
        self._snapshots = Snapshots(self._connection, self._domains, self._places, keys, self._secrets, self._jobs)
        self._swaps = DiskSwaps(self._connection, self._domains, self._places, self._jobs)
        self._reach = out_of_reach.OutOfReach(self._connection, self._domains)
        threading.Thread(target=self._reach.loop, name="libvirt-out-of-reach", daemon=True).start()
        for work in (self._keep_house, self._keep_images):
            threading.Thread(target=work, name=f"libvirt{work.__name__.replace('_', '-')}", daemon=True).start()

    def host_report(self) -> HostReport:
        facts = self._host_facts()
        verdict, able = self._verdict(), self._able()
        vcpus = self._connection.call("host_report", lambda c: c.getInfo()[2])
        memory = self._connection.call("host_report", lambda c: c.getMemoryStats(-1))
        version = self._connection.call("host_report", lambda c: c.getVersion())
        states = self.list_guests()
        volumes = self._local.volumes
        disk = shutil.disk_usage(self._places.guests) if volumes is None else volumes.use()
        free_kib = sum(memory.get(name, 0) for name in ("free", "buffers", "cached"))
        memory_mib = memory["total"] // 1024
        return HostReport(
            host=self.host,
            hypervisor_type="QEMU",
            hypervisor_version=version,
            architecture=facts.architecture,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=disk.total >> 30,
            memory_used_mib=max(0, memory_mib - free_kib // 1024),
            disk_used_gib=(disk.total - disk.free) >> 30,
            running_guests=sum(state.power in _UP for state in states),
            virt_type=verdict.virt_type,
            virt_verdict=f"{verdict.words}{self._advice}",
            cpu_info={"arch": facts.architecture, "model": facts.cpu_model, "vendor": facts.vendor},
            features=(*FEATURES, "secure_boot") if able.secure_boot else FEATURES,
            machine_types=facts.machine_types,
            firmwares=("bios", "uefi") if able.uefi else ("bios",),
            traits=abilities.traits(able),
            cpu_models=able.cpu_models,
            numa_nodes=len(able.nodes),
            huge_pages=able.huge_pages,
            free_cpus=vcpus - len(self._pinned_now()),
            boot_id=stats.boot_id(),
            uptime_seconds=stats.uptime_seconds(),
            host_ip=stats.host_ip(),
            disk_free_mib=disk.free >> 20,
            disk_written_mib=self._places.written() >> 20,
            corrupt_images=self._images.corrupt,
        )

    def list_guests(self) -> tuple[GuestState, ...]:
        return self._connection.call("list_guests", self._domains.states)

    def guest(self, guest_id: str) -> GuestState:
        return self._connection.call("guest", self._domains.state, guest_id)

    def ensure_image(self, image: ImageSpec, source: ImageSource) -> None:
        self._images.ensure(image, source)

    def remove_image(self, image_id: str) -> None:
        self._images.remove(image_id)

    def ensure_guest(self, spec: GuestSpec) -> GuestState:
        place = self._places.guest(spec.id)
        with self._lock(spec.id):
            there = self._connection.call("ensure_guest", self._domains.state, spec.id)
            if there.power in _UP:
                return there
            keys = [disk.key for disk in spec.disks]
            with self._secrets.held(keys) as encrypted:
                if encrypted:
                    self._connection.call("ensure_guest", self._secrets.ensure, keys)
                return self._begin(spec, place, there)

    def _begin(self, spec: GuestSpec, place: GuestPlace, there: GuestState) -> GuestState:
        if there.power is Power.SUSPENDED:
            return self.set_power(spec.id, PowerAction.RESUME)
        dedicated = "dedicated" in spec.properties.values()
        with self._pinning if dedicated else nullcontext():
            definition = self._prepare(spec, place, dedicated)
            self._pinned = None if dedicated else self._pinned
            self._advice = self._connection.call("ensure_guest", self._domains.define, spec.id, definition)
        return self._connection.call("ensure_guest", self._domains.start, spec.id)

    def _prepare(self, spec: GuestSpec, place: GuestPlace, dedicated: bool) -> str:
        """Everything that a definition needs on disk, and the definition."""
        facts = self._host_facts()
        if spec.architecture != facts.architecture:
            raise DriverError(
                "ensure_guest", f"this host runs {facts.architecture}, not {spec.architecture}", code="guest.refused"
            )
        pinned: frozenset[int] = frozenset()
        if dedicated:
            pinned = self._connection.call("ensure_guest", self._domains.pinned, spec.id)
        user = self._guest_user()
        choices = guest.HostChoices(
            self._verdict().virt_type, self._cpu_model, self._cache_mode, self._able(), pinned,
            None if self._account is None else (user.uid, user.gid),
        )  # fmt: skip
        guest.domain(spec, self._domains.names, place, {}, choices)  # refuses before anything is made
        self._places.prepare(place, user)
        images = disks.ensure_disks(spec, place, self._images)
        return guest.domain(spec, self._domains.names, place, images, choices).render()

    def delete_guest(self, guest_id: str) -> None:
        if not is_server_id(guest_id):
            return
        with self._lock(guest_id):
            with self._secrets.forgotten_with(self._connection, "delete_guest", self._domains, guest_id):
                self._connection.call("delete_guest", self._domains.remove, guest_id, self.is_adopted(guest_id))
            self._places.guest(guest_id).remove()
            self._pinned = None if self._pinned else self._pinned

    def set_power(self, guest_id: str, action: PowerAction) -> GuestState:
        if action in _BOOTS and is_server_id(guest_id) and self._places.guest(guest_id).directory.is_dir():
            # The machine may have restarted since: sockets may lie where nothing survives that.
            self._places.prepare(self._places.guest(guest_id), self._guest_user())
        if action is not PowerAction.SUSPEND:
            return self._connection.call("set_power", self._domains.act, guest_id, action)
        self._saving.add(guest_id)  # while it is saved libvirt pauses it, which is nobody's business
        try:
            return self._connection.call("set_power", self._domains.act, guest_id, action)
        finally:
            self._saving.discard(guest_id)

    def console(self, guest_id: str, kind: ConsoleKind) -> socket.socket:
        state = self._connection.call("console", self._domains.known_state, "console", guest_id)
        path = self._places.guest(guest_id).socket(kind)
        if state.power not in _UP or not path.exists():
            raise DriverError(
                "console", f"the guest is {state.power} or offers no {kind} console", code="console.unavailable"
            )
        return self._serial_lines.open(path) if kind is ConsoleKind.SERIAL else console.connect(path)

    def console_text(self, guest_id: str, max_bytes: int) -> bytes:
        self._connection.call("console_text", self._domains.known_state, "console_text", guest_id)
        return console.tail(self._places.guest(guest_id).console_log, max_bytes)

    def diagnostics(self, guest_id: str) -> Diagnostics:
        place = self._places.guest(guest_id)

        def ask(connection: Any) -> Diagnostics:
            domain = self._domains.known(connection, "diagnostics", guest_id)
            now, _ = power.current(domain)
            if now not in _UP:
                raise DriverError("diagnostics", f"the guest is {now}", code="guest.state")
            # QEMU makes the socket when it starts.
            booted_at = place.socket(ConsoleKind.SERIAL).stat().st_ctime
            return stats.diagnostics(connection, domain, now, booted_at)

        return self._connection.call("diagnostics", ask)

    def artifacts(self) -> tuple[GuestArtifacts, ...]:
        defined = self._connection.call("artifacts", self._domains.with_taps)
        found = []
        for guest_id in sorted({*defined, *self._places.guest_ids()}):
            state, taps = defined.get(guest_id, (None, ()))
            found.append(
                GuestArtifacts(
                    guest_id,
                    state is not None,
                    state.power if state else Power.ABSENT,
                    self._places.guest(guest_id).files(),
                    taps,
                )
            )
        return tuple(found)

    def events(self, position: str, timeout_seconds: float) -> EventBatch:
        return self._events.since(position, timeout_seconds)

    def close(self) -> None:
        self._stop.set()
        self._reach.close()
        self._events.close()
        self._serial_lines.close()
        self._connection.close()

    # What is known of the host, asked once per contact with libvirt.

    def _host_facts(self) -> stats.Capabilities:
        with self._host_lock:
            if self._capabilities is None:
                self._capabilities = self._connection.call("host_report", stats.capabilities)
            return self._capabilities

    def _guest_user(self) -> QemuUser:
        configured = self._host_facts().user
        return configured if self._account is None else self._account.of(configured)

    def _verdict(self) -> Verdict:
        facts = self._host_facts()
        version = self._connection.call("host_report", lambda c: c.getVersion())
        return self._acceleration.verdict(facts.emulator, version, facts.has_kvm, self._guest_user())

    def _able(self) -> abilities.Abilities:
        facts, virt_type = self._host_facts(), self._verdict().virt_type
        with self._host_lock:
            if self._abilities is None:
                self._abilities = self._connection.call("host_report", abilities.ask, facts.architecture, virt_type)
            return self._abilities

    def _pinned_now(self) -> frozenset[int]:
        """Asked again only when it may have changed: it takes a question per guest."""
        if self._pinned is None:
            self._pinned = self._connection.call("host_report", self._domains.pinned)
        return self._pinned

    # Contact with libvirt.

    def _opened(self, connection: Any) -> None:
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._happened, None)
        for kind in (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED):
            connection.domainEventRegisterAny(None, kind, self._released, None)
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, self._write_failed, None)
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, self._copied, None)
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._copied, None)
        self._capabilities = self._abilities = self._pinned = None
        if self._met:
            self._events.resync("libvirt is back")
            self._copied()
        self._met = True

    def _lost(self, why: str) -> None:
        _log.warning("libvirt_lost", host=self.host, why=why)

    def _happened(self, connection: Any, domain: Any, event: int, detail: int, opaque: object) -> None:
        del connection, opaque
        guest_id = self._domains.names.guest_id(domain.name(), domain.UUIDString())
        said = power.state_from_event(event, detail, guest_id in self._starved)
        self._starved.discard(guest_id)
        if guest_id and said and not (said[0] is Power.PAUSED and guest_id in self._saving):
            self._events.power(guest_id, *said)
        self._copied()

    def _write_failed(
        self, connection: Any, domain: Any, path: str, device: str, action: int, reason: str, opaque: object
    ) -> None:
        """Comes before the guest is said to be paused for it."""
        del connection, opaque
        guest_id = self._domains.names.guest_id(domain.name(), domain.UUIDString())
        if guest_id and reason == "enospc" and action == libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE:
            _log.warning("guest_found_no_room", guest=guest_id, disk=device, path=path)
            self._starved.add(guest_id)
        elif guest_id and action == libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE:
            self._reach.failed()

    def _released(self, *what: object) -> None:
        del what
        self._devices.released()

    def _copied(self, *what: object) -> None:
        """A copy is ready, or over, or its guest is."""
        del what
        self._jobs.tell()

    def _lock(self, guest_id: str) -> threading.Lock:
        return self._locks[hash(guest_id) % len(self._locks)]

    def _keep_images(self) -> None:
        while not self._stop.is_set():
            try:
                self.keep_images()
            except OSError as error:
                _log.warning("image_cache_not_kept", error=str(error))
            self._stop.wait(_IMAGES_SECONDS)

    def keep_images(self) -> None:
        """Check cached images whose time it is, and forget those that are not used any more."""
        if self._local.image_check_seconds:
            self._images.check(self._local.image_check_seconds, lambda: not self._stop.is_set())
        if self._local.image_unused_seconds:
            gone = self._images.age_out(self._local.image_unused_seconds)
            if gone:
                _log.info("unused_images_forgotten", images=gone)

    def _keep_house(self) -> None:
        while not self._stop.wait(_HOUSEKEEPING_SECONDS):
            started = time.monotonic()
            self._snapshots.mend()
            self.let_go_on()
            for guest_id in self._places.guest_ids():
                try:
                    console.cut(self._places.guest(guest_id).console_log)
                except OSError as error:
                    _log.warning("console_log_not_cut", guest=guest_id, error=str(error))
            _log.debug("console_logs_checked", seconds=round(time.monotonic() - started, 3))

    def let_go_on(self) -> None:
        """Guests that found no room for a write, now that there is some."""
        try:
            self._connection.call("let_go_on", starved.let_go_on, self._domains)
        except (NovaLiteError, OSError) as error:
            _log.info("starved_guests_not_seen_to", error=str(error))
