"""The port to hypervisors: what the conductor may ask of any compute host, and the values that cross it.

Every value is a frozen dataclass of plain types, so that ``wire`` can carry it; nothing here knows libvirt,
records or HTTP. All verbs are idempotent: ensuring twice is ensuring once, removing an absent guest succeeds.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable


class Power(StrEnum):
    """What a guest is doing, as the hypervisor says."""

    ABSENT = "absent"  # not known to the hypervisor
    OFF = "off"  # defined, not running
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"  # memory saved to disk
    CRASHED = "crashed"


class PowerAction(StrEnum):
    """Each returns at once; ``SHUTDOWN`` and ``REBOOT`` only ask the guest (they may be repeated)."""

    START = "start"  # from OFF or SUSPENDED; nothing when running
    SHUTDOWN = "shutdown"
    OFF = "off"  # pull the plug
    REBOOT = "reboot"  # ask the guest to restart
    RESET = "reset"  # press the reset button
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    CRASH_DUMP = "crash_dump"  # NMI


class ConsoleKind(StrEnum):
    VNC = "vnc"
    SPICE = "spice"
    SERIAL = "serial"


@dataclass(frozen=True)
class ImageSpec:
    """An image as a host's cache knows it. ``format`` is qcow2, raw or iso, ``size`` in bytes, ``sha512`` hex."""

    id: str
    format: str
    size: int
    sha512: str


class ImageSource(Protocol):
    """Where a host that lacks an image gets its bytes. ``path`` is set when the file is on this machine."""

    @property
    def path(self) -> Path | None: ...

    def chunks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class DiskKey:
    """What a disk that is encrypted (LUKS, as QEMU has it) is opened with. ``id`` is a UUID."""

    id: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class DiskSpec:
    """One disk. ``name`` is its name in the guest's directory (``root``, ``ephemeral0``, ``swap``).

    With ``image`` the disk is a copy-on-write overlay of that cached image, else it is blank.
    ``size_gib`` 0 keeps the image's own size. ``bus`` is virtio, scsi, sata, ide or usb; ``serial`` has up to
    20 characters. ``size_mib`` counts instead of ``size_gib`` where it is set. A blank disk is formatted as
    ``content`` says: ``swap``, ``ext4``, ``vfat``, or not at all. With ``path`` the disk is that file of the
    host (or what another machine exports, ``nbds:HOST:PORT/NAME``), of ``format`` qcow2 or raw, which somebody else
    makes and removes; ``shared`` (raw only) when other guests
    may have it too. ``limits`` hold it to so many bytes and operations per second, by libvirt's names
    (``read_iops_sec``); without any those of the guest count. With ``cdrom`` it is a medium in a drive, on the bus that
    the machine has for those. ``key`` opens a file that is encrypted, within a qcow2 or, if raw, as a whole.
    """

    name: str
    device: str
    size_gib: int
    image: ImageSpec | None = None
    bus: str = "virtio"
    serial: str = ""
    boot_index: int = -1
    size_mib: int = 0
    content: str = ""
    path: str = ""
    format: str = "qcow2"
    read_only: bool = False
    shared: bool = False
    limits: tuple[tuple[str, int], ...] = ()
    cdrom: bool = False
    key: DiskKey | None = None


@dataclass(frozen=True)
class NicSpec:
    """One network card. ``tap`` is the name of a tap that is on the host already, ``mtu`` in bytes."""

    port_id: str
    mac_address: str
    tap: str
    mtu: int = 1500
    model: str = "virtio"


@dataclass(frozen=True)
class ConfigDrive:
    """Files of the config drive: path below its root -> content."""

    files: dict[str, bytes]


@dataclass(frozen=True)
class GuestSpec:
    """Everything a host needs to make a guest. ``id`` is the server's id and the guest's UUID.

    ``properties`` holds flavor extra specs and image properties (``hw:...``, ``hw_disk_bus`` ...) for
    drivers that honour them (``properties.py`` reads them). ``on_crash`` is ``destroy`` (the guest stays down
    and is reported crashed) or ``restart``. With ``rescue`` the guest boots from that disk and has its own ones
    beside it; without, a rescue disk of before is thrown away.
    ``consoles`` lists the graphical consoles to offer; a serial console is always there.
    """

    id: str
    name: str
    project_id: str
    vcpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...] = ()
    config_drive: ConfigDrive | None = None
    firmware: str = "bios"  # bios or uefi
    machine: str = ""  # machine type, empty: the driver's choice
    architecture: str = "x86_64"
    consoles: tuple[ConsoleKind, ...] = (ConsoleKind.VNC,)
    on_crash: str = "destroy"
    properties: dict[str, str] = field(default_factory=dict)
    rescue: DiskSpec | None = None


NO_ROOM = "paused: the disk of its host is full"
"""``detail`` of a guest that stands still because a write of its found no room. It goes on when there is some."""
OUT_OF_REACH = "paused: the machine that has its disk does not answer"
"""The same for a disk that another machine exports: it goes on when that answers."""


@dataclass(frozen=True)
class GuestState:
    """``detail`` tells why, where the hypervisor knows (``crashed: panicked``)."""

    id: str
    power: Power
    detail: str = ""


@dataclass(frozen=True)
class GuestArtifacts:
    """What exists on a host for one server id, for ``doctor`` and reconciliation: does a guest definition
    exist, which disk files and taps, whether or not they belong together."""

    id: str
    defined: bool
    power: Power
    files: tuple[str, ...] = ()
    taps: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostReport:
    """A host's facts. Memory in MiB, disk in GiB; totals are physical, ``*_used`` what is measured in use.

    ``features`` names optional protocols and abilities (``suspend``, ``snapshot`` ...); ``virt_verdict`` tells
    in words why KVM is or is not used. ``boot_id`` changes when the machine restarts. ``traits`` are named as
    in os-traits. ``huge_pages`` maps a page size in KiB to how many the machine has; ``free_cpus`` counts the
    processors that no guest has to itself; ``cpu_models`` are those a guest can be given here. ``disk_free_mib`` is
    what is free for guests' disks (-1: not told), ``disk_written_mib`` what these take of it already;
    ``corrupt_images`` are ids of cached images whose bytes have changed, and that guests stand on.
    """

    host: str
    hypervisor_type: str
    hypervisor_version: int
    architecture: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    memory_used_mib: int = 0
    disk_used_gib: int = 0
    running_guests: int = 0
    virt_type: str = "qemu"
    virt_verdict: str = ""
    cpu_info: dict[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    machine_types: tuple[str, ...] = ()
    firmwares: tuple[str, ...] = ("bios",)
    boot_id: str = ""
    uptime_seconds: float = 0.0
    host_ip: str = "127.0.0.1"
    traits: tuple[str, ...] = ()
    cpu_models: tuple[str, ...] = ()
    numa_nodes: int = 1
    huge_pages: dict[int, int] = field(default_factory=dict)
    free_cpus: int = 0
    disk_free_mib: int = -1
    disk_written_mib: int = 0
    corrupt_images: tuple[str, ...] = ()


class EventKind(StrEnum):
    """``RESYNC`` says that events may have been lost: ask for every guest."""

    POWER = "power"
    RESYNC = "resync"


@dataclass(frozen=True)
class GuestEvent:
    """``sequence`` grows by one per event and restarts with the driver's ``epoch``."""

    sequence: int
    kind: EventKind
    guest_id: str = ""
    power: Power = Power.ABSENT
    detail: str = ""


@dataclass(frozen=True)
class EventBatch:
    """Events after a position, in order. Pass ``position`` to the next call."""

    position: str
    events: tuple[GuestEvent, ...]


@dataclass(frozen=True)
class Diagnostics:
    """A guest's live figures. Times in nanoseconds, memory in MiB, traffic in bytes.

    Keys of ``disks``: device, read_bytes, read_requests, write_bytes, write_requests, errors_count.
    Keys of ``nics``: mac_address, rx_octets, rx_packets, rx_errors, rx_drop and the same with tx.
    """

    power: Power
    uptime_seconds: int
    cpu_times_ns: tuple[int, ...]
    memory_maximum_mib: int
    memory_used_mib: int
    disks: tuple[dict[str, int | str], ...] = ()
    nics: tuple[dict[str, int | str], ...] = ()


@dataclass(frozen=True)
class SnapshotFile:
    """A finished copy of a disk, waiting on the host: a qcow2 that stands on nothing. Sizes in bytes.
    ``quiesced`` tells that the guest's agent held its file systems still meanwhile."""

    guest_id: str
    name: str
    disk: str
    size: int
    virtual_size: int
    quiesced: bool = False


@dataclass(frozen=True)
class DiskCopy:
    """A disk (its name or serial) and what its copy is to be called; ``key`` is the one that the disk has."""

    disk: str
    name: str
    key: DiskKey | None = None


@runtime_checkable
class ComputeDriver(Protocol):
    """One compute host. Methods raise ``DriverError(op, detail, code, retryable)``; an unknown guest is
    ``DriverError`` with code ``guest.not_found`` except where absence is said to be fine;
    a host that does not answer is ``HostUnreachable``. All may be called from several threads at once."""

    def host_report(self) -> HostReport:
        """Facts and free room. Raises when the hypervisor does not answer."""

    def list_guests(self) -> tuple[GuestState, ...]:
        """Every guest NovaLite made on this host; guests made by others never appear."""

    def guest(self, guest_id: str) -> GuestState:
        """One guest; ``Power.ABSENT`` when there is none. A guest made by others counts as absent."""

    def ensure_image(self, image: ImageSpec, source: ImageSource) -> None:
        """Bring the image into the host's cache. The copy is checked against ``image.sha512``;
        a mismatch is code ``image.corrupt`` and leaves nothing."""

    def remove_image(self, image_id: str) -> None:
        """Forget a cached image that no guest uses any more; nothing when in use or absent."""

    def ensure_guest(self, spec: GuestSpec) -> GuestState:
        """Make disks and definition as ``spec`` says, keeping disks that exist, and start the guest.
        Repeating it with a guest that runs changes nothing. A definition of an id that is powered off is
        replaced by the new one. Codes: ``image.missing``, ``disk.full``, ``guest.refused``."""

    def delete_guest(self, guest_id: str) -> None:
        """Stop it, remove the definition, disks, consoles, logs, taps. An absent guest is a success."""

    def set_power(self, guest_id: str, action: PowerAction) -> GuestState:
        """Do ``action``; the state that holds right after. Code ``guest.state`` when it does not apply."""

    def console(self, guest_id: str, kind: ConsoleKind) -> socket.socket:
        """A connected, blocking stream socket that carries the console's own protocol (RFB, SPICE, bytes).
        Code ``console.unavailable`` when the guest offers none of that kind or is not running."""

    def console_text(self, guest_id: str, max_bytes: int) -> bytes:
        """The last ``max_bytes`` of the serial console's log; empty when there is none yet."""

    def diagnostics(self, guest_id: str) -> Diagnostics:
        """Live figures of a running guest."""

    def artifacts(self) -> tuple[GuestArtifacts, ...]:
        """All that exists on the host for any server id of this appliance, orphans included."""

    def events(self, position: str, timeout_seconds: float) -> EventBatch:
        """Wait until there is an event after ``position`` ('' = from now on) or the time is up (empty batch).
        After a loss of contact with the hypervisor a ``RESYNC`` event comes first."""

    def close(self) -> None:
        """Let go of connections and threads; guests keep running."""


# What not every hypervisor can do. ``HostReport.features`` says which of these a host offers; errors and
# threads are as in ``ComputeDriver``, and every verb may be repeated.


@runtime_checkable
class TakesSnapshots(Protocol):
    """Feature ``snapshot``. ``name`` is the caller's choice: letters, digits and ``-``, up to 64."""

    def take_snapshot(self, guest_id: str, disk: str, name: str, key: DiskKey | None = None) -> SnapshotFile:
        """Copy the disk (its name or serial) as it is at one moment; returns when the copy is whole. The
        guest may run meanwhile. With ``key``, the one that the disk has, the copy is encrypted as the disk is. A copy
        of that name that is whole already is not made again; one that was cut off is. Codes: ``disk.not_found``,
        ``disk.full``, ``disk.key_missing``, ``guest.state`` (its power state changed meanwhile)."""

    def take_snapshots(self, guest_id: str, copies: tuple[DiskCopy, ...]) -> tuple[SnapshotFile, ...]:
        """The same of several disks, all as they are at one moment. Unless all of the copies are whole all are made."""

    def read_snapshot(self, guest_id: str, name: str, offset: int, max_bytes: int) -> bytes:
        """A piece of the copy, at most ``PIECE_BYTES``; empty after its end. ``snapshots.chunks`` reads it
        all. Code ``snapshot.not_found``."""

    def drop_snapshot(self, guest_id: str, name: str) -> None:
        """End the copying if it goes on, and remove the copy. An absent one is a success."""


class LendsSnapshots(Protocol):
    """Of drivers whose host is this machine, so never asked through an agent."""

    def snapshot_path(self, guest_id: str, name: str) -> Path:
        """Where a copy that is whole lies; it is written no more. Code ``snapshot.not_found``."""


@runtime_checkable
class PlugsDevices(Protocol):
    """Features ``attach_nic`` and ``attach_disk``: devices come and go, whether or not the guest runs."""

    def attach_nic(self, guest_id: str, nic: NicSpec) -> None:
        """Nothing when a card with that MAC address is there. Codes ``guest.refused``, ``guest.state``."""

    def detach_nic(self, guest_id: str, mac_address: str) -> None:
        """Returns when the guest has let the card go. Absent is fine. Code ``device.busy`` (retryable) when
        the guest has not let go in time; it may still do so later."""

    def attach_disk(self, guest_id: str, disk: DiskSpec) -> None:
        """The disk must have a serial; nothing when one with that serial is there. The file is made as
        ``ensure_guest`` would. Codes as there, and ``guest.state``."""

    def detach_disk(self, guest_id: str, serial: str) -> None:
        """As ``detach_nic``. The disk's file stays."""


@runtime_checkable
class ChangesDisks(Protocol):
    """Features ``resize_disk``, ``replace_disk`` and ``tune_disk``."""

    def resize_disk(self, guest_id: str, disk: str, size_gib: int, key: DiskKey | None = None) -> None:
        """Let the disk (its name or serial) grow, with its ``key`` if it is encrypted; a running guest sees it at
        once. Codes ``disk.not_found``, ``disk.key_missing``, ``guest.refused`` when it would shrink."""

    def tune_disk(self, guest_id: str, disk: str, limits: tuple[tuple[str, int], ...]) -> None:
        """Hold the disk (its name or serial) to ``limits`` and no others, now and from the next start on. Codes
        ``disk.not_found``, ``guest.refused``, ``guest.state``."""

    def replace_disk(self, guest_id: str, disk: DiskSpec) -> None:
        """Throw the disk's content away and begin anew from ``disk.image``, or blank. The guest must be off
        (code ``guest.state``) and is to be ensured with the new spec afterwards. Codes as ``ensure_guest``."""


@runtime_checkable
class SwapsDisks(Protocol):
    """Feature ``swap_disk``: a guest goes on with other storage, whether or not it runs."""

    def swap_disk(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        """Copy what the disk (its name or serial) holds onto ``to.path``, which somebody else made as large at least
        and whose content does not matter, and let the guest have that from then on, without its noticing. Device and
        serial stay. Returns when it is so; a copy that was cut off is gone on with. Nothing when the guest has it
        already. What it had before is not written to any more, and stays. Codes ``disk.not_found``, ``disk.full``,
        ``guest.refused``, ``guest.state`` (retryable when the guest stopped meanwhile)."""

    def end_swap(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        """Call off a copying onto ``to`` that goes on: the guest stays with what it has, and ``to`` is as large as it
        was. Nothing when there is none, nor such a guest."""


@runtime_checkable
class KeepsDisks(Protocol):
    """Feature ``keep_disks``: a way back from changes. ``name`` as for snapshots."""

    def keep_disks(self, guest_id: str, name: str) -> None:
        """Keep a copy of the guest's own disks as they are. The guest must be off (code ``guest.state``). What
        is kept whole under that name is not copied again. Code ``disk.full``."""

    def restore_disks(self, guest_id: str, name: str) -> None:
        """Put the kept disks back in place of those of now, and take away disks that were made since. The guest
        must be off. Nothing when nothing is kept under that name, as after the first time."""

    def drop_kept_disks(self, guest_id: str, name: str) -> None:
        """Forget what is kept. An absent one is a success."""


@runtime_checkable
class MovesDisks(Protocol):
    """Feature ``move_disks``: the way of a guest's own disks from one host to another, in pieces."""

    def read_disk(self, guest_id: str, disk: str, offset: int, max_bytes: int) -> bytes:
        """A piece, at most ``PIECE_BYTES``, of the file that holds the disk of a guest that is off (code
        ``guest.state``); empty after its end. Code ``disk.not_found``."""

    def write_disk(self, guest_id: str, disk: str, offset: int, data: bytes) -> None:
        """Lay down a piece of such a file for a guest that does not run here; offset 0 begins anew. Codes
        ``guest.state``, ``disk.full``."""

    def adopt_disk(self, guest_id: str, disk: DiskSpec) -> None:
        """Make what was written the guest's disk, standing on this host's copy of ``disk.image``, and let it
        grow to its size. Nothing when nothing was written. Codes ``image.missing``, ``guest.refused``."""


@runtime_checkable
class TalksToAgent(Protocol):
    """Feature ``password``: asks the agent that runs inside the guest."""

    def has_agent(self, guest_id: str) -> bool:
        """Does the agent of a running guest answer? False for guests that do not run."""

    def set_password(self, guest_id: str, user: str, password: str) -> None:
        """Codes: ``guest.no_agent``, ``guest.agent_refused`` (no such user ...), ``guest.state``."""


@dataclass(frozen=True)
class ExportKey:
    """How a host proves who it is where it opens volumes of another machine: ``request`` (PEM) is what an authority may
    sign, ``certificate`` what one has signed for the key of now, or empty."""

    request: str
    certificate: str


@runtime_checkable
class OpensExports(Protocol):
    """Feature ``open_exports``: disks whose path begins with ``nbds:`` are on another machine, which lets in who has a
    certificate. The key to it never leaves the host."""

    def export_key(self, name: str) -> ExportKey:
        """Of the host that is called ``name`` there. Makes the key at first. Code ``keys.failed``."""

    def take_certificate(self, certificate: str, authority: str) -> None:
        """Guests that start or are given disks from now on use it. Code ``keys.failed``, also when it is for another
        key."""


@dataclass(frozen=True)
class ForeignDisk:
    """A disk of a guest that somebody else made. ``size`` in bytes, as the guest sees it; ``boot_order`` 0: none."""

    path: str
    format: str
    device: str
    bus: str
    size: int
    read_only: bool = False
    boot_order: int = 0
    serial: str = ""


@dataclass(frozen=True)
class ForeignCard:
    """``place`` tells in words where the card is plugged in now."""

    mac_address: str
    model: str
    place: str


@dataclass(frozen=True)
class ForeignGuest:
    """A guest that somebody else made, as far as it can be told here. ``id`` is its UUID; ``properties`` are named as
    an image's; ``refusals`` tell why it cannot be taken over, ``left_out`` what it would not have afterwards.
    ``definition`` is what the hypervisor keeps of it, from which it can be made again exactly."""

    name: str
    id: str
    power: Power
    vcpus: int = 1
    memory_mib: int = 0
    disks: tuple[ForeignDisk, ...] = ()
    cards: tuple[ForeignCard, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    starts_with_machine: bool = False
    definition: str = ""


@runtime_checkable
class AdoptsGuests(Protocol):
    """Feature ``adopt``: guests that others made become this appliance's, and theirs again."""

    def foreign_guests(self) -> tuple[ForeignGuest, ...]:
        """All there are, by name, with no more than id and power."""

    def foreign_guest(self, name: str) -> ForeignGuest:
        """One, by name or id. Code ``guest.not_found``."""

    def take_guest(self, guest_id: str) -> None:
        """Keep its definition aside and let the hypervisor forget it, so that a guest of this appliance can have its
        id. Its disks, firmware variables and TPM are not touched. Nothing when it is taken already. Codes
        ``guest.not_found``, ``guest.state`` when it is not off."""

    def give_guest_back(self, guest_id: str, definition: str, starts_with_machine: bool) -> None:
        """Forget this appliance's guest of that id, and let the hypervisor have the other one again. Nothing when it
        has it already. Codes ``guest.state`` when the guest is not off, ``guest.refused``."""


PIECE_BYTES = 8 << 20

OPTIONAL_PORTS: tuple[type, ...] = (
    TakesSnapshots, PlugsDevices, ChangesDisks, SwapsDisks, KeepsDisks, MovesDisks, TalksToAgent,
    OpensExports, AdoptsGuests,
)  # fmt: skip


class FullDriver(
    ComputeDriver, TakesSnapshots, PlugsDevices, ChangesDisks, SwapsDisks, KeepsDisks, MovesDisks, TalksToAgent,
    OpensExports, AdoptsGuests,
    Protocol,
):  # fmt: skip
    """A driver with everything."""
