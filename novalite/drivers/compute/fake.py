"""A compute host in memory, for API tests and simulation. It never runs anything."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from pathlib import Path
from uuid import uuid4

from novalite.drivers.compute import properties
from novalite.drivers.compute.arrange import arranged
from novalite.drivers.compute.base import (
    NO_ROOM,
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
from novalite.drivers.compute.fake_adoptions import FakeAdoptions
from novalite.drivers.compute.fake_changes import FakeChanges
from novalite.drivers.compute.fake_console import open_console
from novalite.drivers.compute.fake_faults import Faults
from novalite.drivers.compute.fake_keys import FakeKeys
from novalite.drivers.compute.fake_store import DirectoryStore, FakeGuest, FakeStore, NoStore
from novalite.errors import DriverError, NovaLiteError

_UP = (Power.RUNNING, Power.PAUSED)
_DOWN = (Power.OFF, Power.CRASHED, Power.ABSENT)

# action -> (states it may start from, state it ends in); a guest already in the end state stays as it is.
_MOVES: dict[PowerAction, tuple[tuple[Power, ...], Power]] = {
    PowerAction.START: ((*_DOWN, Power.SUSPENDED), Power.RUNNING),
    PowerAction.SHUTDOWN: ((Power.RUNNING, Power.CRASHED), Power.OFF),
    PowerAction.OFF: ((*_UP, *_DOWN, Power.SUSPENDED), Power.OFF),
    PowerAction.REBOOT: ((Power.RUNNING,), Power.RUNNING),
    PowerAction.RESET: ((Power.RUNNING,), Power.RUNNING),
    PowerAction.PAUSE: ((Power.RUNNING,), Power.PAUSED),
    PowerAction.UNPAUSE: ((Power.PAUSED,), Power.RUNNING),
    PowerAction.SUSPEND: (_UP, Power.SUSPENDED),
    PowerAction.RESUME: ((Power.SUSPENDED,), Power.RUNNING),
    PowerAction.CRASH_DUMP: ((Power.RUNNING,), Power.RUNNING),
}
_BOOTS = (PowerAction.START, PowerAction.REBOOT, PowerAction.RESET)
NMI = b"NMI\r\n"
"""What a guest prints that is told to dump its memory."""
_FEATURES = (
    "suspend",
    "snapshot",
    "attach_nic",
    "attach_disk",
    "password",
    "rescue",
    "resize_disk",
    "replace_disk",
    "swap_disk",
    "tune_disk",
    "keep_disks",
    "move_disks",
    "open_exports",
    "crash_dump",
    "adopt",
    "secure_boot",
)
_TRAITS = (
    "COMPUTE_GRAPHICS_MODEL_QXL",
    "COMPUTE_GRAPHICS_MODEL_VGA",
    "COMPUTE_GRAPHICS_MODEL_VIRTIO",
    "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_NET_VIF_MODEL_E1000",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_RESCUE_BFV",
    "COMPUTE_SECURITY_TPM_2_0",
    "COMPUTE_SECURITY_TPM_CRB",
    "COMPUTE_SECURITY_TPM_TIS",
    "COMPUTE_SECURITY_UEFI_SECURE_BOOT",
    "COMPUTE_STORAGE_BUS_IDE",
    "COMPUTE_STORAGE_BUS_SATA",
    "COMPUTE_STORAGE_BUS_SCSI",
    "COMPUTE_STORAGE_BUS_USB",
    "COMPUTE_STORAGE_BUS_VIRTIO",
    "COMPUTE_VOLUME_ATTACH",
    "COMPUTE_VOLUME_EXTEND",
)


class FakeDriver(FakeKeys, FakeChanges, FakeAdoptions):
    """Implements ``FullDriver``; the optional ports are in ``fake_changes.py``, ``fake_keys.py`` and
    ``fake_adoptions.py``. Sizes as in
    ``HostReport``.

    With ``state_dir`` the guests outlive the process, as those of a real hypervisor do. Tests steer it by
    ``fail_next``, ``delay``, ``hold``, ``set_unreachable``, ``ignore_shutdown``, ``boot_words`` (what guests print when
    they boot) and the ``guest_…`` methods.
    """

    def __init__(
        self,
        host: str = "fake",
        vcpus: int = 64,
        memory_mib: int = 262144,
        disk_gib: int = 10000,
        *,
        state_dir: Path | None = None,
        architecture: str = "x86_64",
    ) -> None:
        self.host = host
        self._size = (vcpus, memory_mib, disk_gib)
        self._measured = (-1, 0)
        self._architecture = architecture
        self._lock = threading.RLock()
        self._events = EventLog()
        self._faults = Faults()
        self._store: FakeStore = DirectoryStore(state_dir) if state_dir else NoStore()
        guests, images, self._boot_id = self._store.load()
        self._guests = {guest.id: guest for guest in guests}
        self._images = set(images)
        self._foreign = {guest.id: guest for guest in self._store.load_foreign()}
        self._consoles: dict[str, list[socket.socket]] = {}
        self._started = time.monotonic()
        self._ignores_shutdown: set[str] = set()
        self._without_agent: set[str] = set()
        self._keep_keys(state_dir / "keys" if state_dir else None)
        self.boot_words = "boot {boots} of {name}\nready\n\n{name} login: "

    # The port.

    def host_report(self) -> HostReport:
        self._faults.enter("host_report")
        with self._lock:
            up = [g.spec for g in self._guests.values() if g.spec and g.power in _UP]
        vcpus, memory_mib, disk_gib = self._size
        return HostReport(
            host=self.host,
            hypervisor_type="fake",
            hypervisor_version=1000,
            architecture=self._architecture,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            memory_used_mib=sum(spec.memory_mib for spec in up),
            running_guests=len(up),
            virt_type="fake",
            virt_verdict="nothing is run: this host is simulated",
            cpu_info={"arch": self._architecture, "model": "fake", "vendor": "fake"},
            features=_FEATURES,
            machine_types=("pc", "q35"),
            firmwares=("bios", "uefi"),
            traits=_TRAITS,
            cpu_models=("Nehalem", "Westmere", "qemu64"),
            numa_nodes=2,
            huge_pages={2048: memory_mib // 4},
            free_cpus=vcpus,
            boot_id=self._boot_id,
            uptime_seconds=time.monotonic() - self._started,
            disk_free_mib=self._measured[0],
            disk_written_mib=self._measured[1],
        )

    def list_guests(self) -> tuple[GuestState, ...]:
        self._faults.enter("list_guests")
        with self._lock:
            return tuple(_state(guest) for guest in self._guests.values() if guest.spec)

    def guest(self, guest_id: str) -> GuestState:
        self._faults.enter("guest")
        with self._lock:
            guest = self._guests.get(guest_id)
            return _state(guest) if guest and guest.spec else GuestState(guest_id, Power.ABSENT)

    def ensure_image(self, image: ImageSpec, source: ImageSource) -> None:
        self._faults.enter("ensure_image")
        if image.id in self._images:
            return
        digest = hashlib.sha512()
        for chunk in source.chunks():
            digest.update(chunk)
        if digest.hexdigest() != image.sha512:
            raise DriverError("ensure_image", f"image {image.id} does not match its checksum", code="image.corrupt")
        with self._lock:
            self._images.add(image.id)
            self._store.save_host(sorted(self._images), self._boot_id)

    def remove_image(self, image_id: str) -> None:
        self._faults.enter("remove_image")
        with self._lock:
            used = any(
                disk.image and disk.image.id == image_id
                for guest in self._guests.values()
                if guest.spec
                for disk in (*guest.spec.disks, *([guest.spec.rescue] if guest.spec.rescue else ()))
            )
            if not used:
                self._images.discard(image_id)
                self._store.save_host(sorted(self._images), self._boot_id)

    def ensure_guest(self, spec: GuestSpec) -> GuestState:
        self._faults.enter("ensure_guest")
        disks = arranged(spec, properties.read(spec).devices.disk_bus)
        with self._lock:
            for disk in disks:
                self._need_image(disk.image)
            self._need_keys("ensure_guest", *disks)
            guest = self._guests.setdefault(spec.id, FakeGuest(spec.id, None, Power.OFF))
            if guest.spec is None or guest.power in _DOWN:
                guest.spec = spec
                guest.files = tuple(f"{disk.name}.qcow2" for disk in disks if not disk.path)
            if guest.power in (*_DOWN, Power.SUSPENDED):
                self._boot(guest)
            return _state(guest)

    def delete_guest(self, guest_id: str) -> None:
        self._faults.enter("delete_guest")
        with self._lock:
            if self._guests.pop(guest_id, None):
                self._close_consoles(guest_id)
                self._store.remove(guest_id)
                self._events.power(guest_id, Power.ABSENT)

    def set_power(self, guest_id: str, action: PowerAction) -> GuestState:
        self._faults.enter("set_power")
        with self._lock:
            guest = self._known("set_power", guest_id)
            sources, target = _MOVES[action]
            if guest.power not in sources and guest.power is not target:
                raise DriverError(
                    "set_power",
                    f"{action} does not apply to a guest that is {guest.power}",
                    code="guest.state",
                )
            if action is PowerAction.SHUTDOWN and guest_id in self._ignores_shutdown:
                return _state(guest)
            if action is PowerAction.CRASH_DUMP:
                guest.log += NMI
            if action in _BOOTS and guest.power in sources:
                self._boot(guest)
            elif guest.power is not target:
                self._move(guest, target)
            return _state(guest)

    def console(self, guest_id: str, kind: ConsoleKind) -> socket.socket:
        self._faults.enter("console")
        with self._lock:
            guest = self._known("console", guest_id)
            spec = guest.spec
            offered = spec is not None and (kind is ConsoleKind.SERIAL or kind in spec.consoles)
            if not offered or guest.power not in _UP:
                raise DriverError("console", f"the guest offers no {kind} console", code="console.unavailable")
            ours, theirs = open_console(kind)
            self._consoles.setdefault(guest_id, []).append(ours)
            return theirs

    def console_text(self, guest_id: str, max_bytes: int) -> bytes:
        self._faults.enter("console_text")
        with self._lock:
            return self._known("console_text", guest_id).log[-max_bytes:] if max_bytes > 0 else b""

    def diagnostics(self, guest_id: str) -> Diagnostics:
        self._faults.enter("diagnostics")
        with self._lock:
            guest = self._known("diagnostics", guest_id)
            if guest.power not in _UP or guest.spec is None:
                raise DriverError("diagnostics", f"the guest is {guest.power}", code="guest.state")
            spec = guest.spec
            return Diagnostics(
                power=guest.power,
                uptime_seconds=int(time.monotonic() - self._started),
                cpu_times_ns=(0,) * spec.vcpus,
                memory_maximum_mib=spec.memory_mib,
                memory_used_mib=spec.memory_mib // 2,
                disks=tuple(
                    {
                        "device": disk.device,
                        "read_bytes": 0,
                        "read_requests": 0,
                        "write_bytes": 0,
                        "write_requests": 0,
                        "errors_count": 0,
                    }
                    for disk in arranged(spec, properties.read(spec).devices.disk_bus)
                ),
                nics=tuple(_quiet_nic(nic.mac_address) for nic in spec.nics),
            )

    def artifacts(self) -> tuple[GuestArtifacts, ...]:
        self._faults.enter("artifacts")
        with self._lock:
            return tuple(
                GuestArtifacts(g.id, g.spec is not None, _state(g).power, g.files, g.taps)
                for g in self._guests.values()
            )

    def events(self, position: str, timeout_seconds: float) -> EventBatch:
        self._faults.enter("events")
        return self._events.since(position, timeout_seconds)

    def close(self) -> None:
        self._faults.close()
        self._events.close()
        with self._lock:
            for guest_id in list(self._consoles):
                self._close_consoles(guest_id)

    # What tests command.

    @property
    def calls(self) -> dict[str, int]:
        """How often each method was called."""
        return dict(self._faults.calls)

    def fail_next(self, op: str, error: NovaLiteError, times: int = 1) -> None:
        """Let the next ``times`` calls of method ``op`` raise ``error``."""
        self._faults.fail_next(op, error, times)

    def delay(self, op: str, seconds: float) -> None:
        """Let every call of ``op`` take ``seconds`` longer; 0 ends it."""
        self._faults.delay(op, seconds)

    def hold(self, op: str) -> threading.Event:
        """Let calls of ``op`` wait until the returned event is set."""
        return self._faults.hold(op)

    def set_unreachable(self, unreachable: bool) -> None:
        """Cut or restore contact; restoring it adds a ``RESYNC``."""
        self._faults.set_unreachable(unreachable)
        if not unreachable:
            self._events.resync("contact restored")

    def ignore_shutdown(self, guest_id: str) -> None:
        """Let the guest not listen to its power button."""
        self._ignores_shutdown.add(guest_id)

    def lose_agent(self, guest_id: str) -> None:
        """Let no agent run in the guest from now on."""
        self._without_agent.add(guest_id)

    def guest_powers_itself_off(self, guest_id: str) -> None:
        with self._lock:
            self._move(self._known("guest", guest_id), Power.OFF, "the guest shut itself down")

    def guest_crashes(self, guest_id: str) -> None:
        """The guest panics; it goes on from its boot when its spec says ``on_crash='restart'``."""
        with self._lock:
            guest = self._known("guest", guest_id)
            if guest.spec and guest.spec.on_crash == "restart":
                self._boot(guest)
            else:
                self._move(guest, Power.CRASHED, "crashed: panicked")

    def guest_finds_no_room(self, guest_id: str) -> None:
        """A write of it finds the host's disk full: it stands still until it is resumed."""
        with self._lock:
            self._move(self._known("guest", guest_id), Power.PAUSED, NO_ROOM)

    def measure_disk(self, free_mib: int, written_mib: int = 0) -> None:
        """Let the host tell what is free on its disk, and what its guests have written."""
        self._measured = (free_mib, written_mib)

    def guest_prints(self, guest_id: str, text: bytes) -> None:
        """Add to the serial console's log."""
        with self._lock:
            guest = self._known("guest", guest_id)
            guest.log += text
            self._store.save(guest)

    def guest_vanishes(self, guest_id: str) -> None:
        """Lose the definition without an event, as if someone undefined it; files stay behind."""
        with self._lock:
            guest = self._known("guest", guest_id)
            guest.spec, guest.power, guest.taps = None, Power.ABSENT, ()
            self._close_consoles(guest_id)
            self._store.save(guest)

    def power_cut(self) -> None:
        """The machine loses power and comes up again: no guest runs, the boot id is another."""
        with self._lock:
            for guest in self._guests.values():
                if guest.power in _UP:
                    guest.power, guest.detail, guest.taps = Power.OFF, "", ()
                    self._close_consoles(guest.id)
                    self._store.save(guest)
            self._boot_id = uuid4().hex
            self._store.save_host(sorted(self._images), self._boot_id)
        self._events.resync("the host restarted")

    # Inside.

    def _known(self, op: str, guest_id: str) -> FakeGuest:
        guest = self._guests.get(guest_id)
        if guest is None or guest.spec is None:
            raise DriverError(op, f"guest {guest_id} is not on this host", code="guest.not_found")
        return guest

    def _need_image(self, image: ImageSpec | None) -> None:
        if image and image.id not in self._images:
            raise DriverError("ensure_guest", f"image {image.id} is not on this host", code="image.missing")

    def _boot(self, guest: FakeGuest) -> None:
        if guest.spec is None:
            return
        if guest.power is not Power.SUSPENDED:
            guest.boots += 1
            guest.log += self.boot_words.format(boots=guest.boots, name=guest.spec.name).encode()
        self._move(guest, Power.RUNNING)

    def _move(self, guest: FakeGuest, power: Power, detail: str = "") -> None:
        guest.power, guest.detail = power, detail
        up = power in _UP
        guest.taps = tuple(nic.tap for nic in guest.spec.nics) if up and guest.spec else ()
        if not up:
            self._close_consoles(guest.id)
        self._store.save(guest)
        self._events.power(guest.id, power, detail)

    def _close_consoles(self, guest_id: str) -> None:
        for end in self._consoles.pop(guest_id, []):
            with contextlib.suppress(OSError):  # the caller may have hung up first
                end.shutdown(socket.SHUT_RDWR)


def _state(guest: FakeGuest) -> GuestState:
    return GuestState(guest.id, guest.power if guest.spec else Power.ABSENT, guest.detail)


def _quiet_nic(mac_address: str) -> dict[str, int | str]:
    figures: dict[str, int | str] = {"mac_address": mac_address}
    for direction in ("rx", "tx"):
        for name in ("octets", "packets", "errors", "drop"):
            figures[f"{direction}_{name}"] = 0
    return figures
