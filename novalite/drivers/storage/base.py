"""The ports to storage: image blobs by id, checked while they arrive; volumes and their snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from novalite import logs
from novalite.errors import DriverError

_log = logs.get("volumes")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredImage:
    """``size`` and ``virtual_size`` in bytes, checksums in hex."""

    size: int
    virtual_size: int
    md5: str
    sha512: str


@dataclass(frozen=True)
class LentFile:
    """Content that comes to lie in a file of this machine, whole and flushed, for as long as ``lend`` lasts; nobody
    writes to it, then or later, so who keeps it may link the file instead of writing it again. ``watch`` is called
    while it is read, and may raise."""

    lend: Callable[[], AbstractContextManager[Path]]
    watch: Callable[[], None] = lambda: None

    def __iter__(self) -> Iterator[bytes]:
        with self.lend() as path:
            yield from self.blocks(path)

    def blocks(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                self.watch()
                yield block


class ImageStaging(Protocol):
    """Keeps what came for an image and has not been looked at yet, by image id."""

    def receive(self, image_id: str, chunks: Iterable[bytes]) -> int:
        """Keep the bytes; how many. A failure leaves nothing. Raises as ``ImageStore.save`` does."""

    def place(self, image_id: str) -> Path:
        """Where whole data of the image are, or are to be put."""

    def require_uri(self, uri: str) -> None:
        """Raises ``Invalid`` (field ``uri``) for an address that may not be asked, as far as its text tells."""

    def fetch(self, image_id: str, uri: str, watch: Callable[[], None]) -> None:
        """Bring what is at ``uri``, on from where an earlier attempt was cut off if the server can tell that it is
        the same. ``watch`` is called now and then and may raise.

        Raises ``Invalid`` for a place that may not be asked, ``Failed`` when the server refuses, ``DependencyDown``
        when it may help to repeat it, and as ``ImageStore.save`` does.
        """

    def arrived(self, image_id: str) -> bool:
        """Whether whole data are there."""

    def unpack(self, image_id: str, disk_format: str, container_format: str, target_format: str) -> str:
        """Make of what came what is stored: an OVA becomes its first disk, a format that guests do not run well from
        becomes ``target_format`` (empty: stays). Returns the format. Repeatable; raises ``Invalid`` for what is
        refused, and as ``ImageStore.save`` does."""

    def pack(self, image_id: str) -> None:
        """The other way: a qcow2 that this cloud has made itself becomes a VMDK in one file, compressed, as OVA files
        hold it. Repeatable; raises as ``ImageStore.save`` does."""

    def drop(self, image_id: str) -> None:
        """Forget what came and what was made of it; nothing there is a success."""

    def ids(self) -> tuple[str, ...]:
        """Every image for which something is there."""


class ImageStore(Protocol):
    """Keeps image bytes by image id. Raises ``Invalid`` (hostile or corrupt image, field ``image``),
    ``TooLarge``, or ``DriverError`` with code ``disk.full``; a failed ``save`` leaves nothing."""

    def save(self, image_id: str, chunks: Iterable[bytes], *, disk_format: str, is_sealed: bool = False) -> StoredImage:
        """Store the bytes atomically after checking them against ``disk_format``. Of a ``LentFile`` on its file system
        nothing is copied. With ``is_sealed`` they are those of an encrypted volume, and nothing else is taken: LUKS
        (raw), or a qcow2 with LUKS in it."""

    @property
    def staging(self) -> ImageStaging: ...

    def take(self, image_id: str, *, disk_format: str) -> StoredImage:
        """Store, checked, what is staged for the image. Repeatable, also when it was cut off after the last step."""

    def path(self, image_id: str) -> Path | None:
        """The blob's file, or None when there is none."""

    def delete(self, image_id: str) -> None:
        """Forget the blob; an absent one is a success."""

    def ids(self) -> tuple[str, ...]:
        """Every stored image id, for comparison with the records."""


@dataclass(frozen=True)
class VolumeKey:
    """What the data of an encrypted volume (LUKS, as QEMU has it) are opened with. ``cipher`` and ``key_size`` (in bits
    of the cipher's own key) count where such data are made; those that are there tell by themselves."""

    passphrase: str = field(repr=False)
    cipher: str = "aes-xts-plain64"
    key_size: int = 256


@dataclass(frozen=True)
class VolumePlace:
    """Where the data of a volume are, for whoever opens them. ``format`` is qcow2 or raw: of an encrypted one LUKS lies
    within the qcow2, and is all there is of the raw one."""

    path: str
    format: str


@dataclass(frozen=True)
class VolumePool:
    """Room for volumes, in bytes. ``name`` is HOST@BACKEND#POOL, ``protocol`` names how volumes are reached. With
    ``shares`` several guests may have one of its volumes at once; ``thin`` ones take room only as they are written,
    ``encrypts`` says that they can be kept encrypted."""

    name: str
    protocol: str
    total: int
    free: int
    shares: bool = True
    thin: bool = True
    encrypts: bool = False

    @property
    def backend(self) -> str:
        return self.name.partition("@")[2].partition("#")[0]


IMAGE_FORMATS: Mapping[str, str] = {
    "qcow2": "qcow2", "raw": "raw", "iso": "raw", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx",
}  # fmt: skip
"""The formats of images that volumes are made of, and what QEMU calls them."""


@dataclass(frozen=True)
class OfImage:
    """An image's file, checked before, and its format; or what another backend keeps of a volume, with its ``key``."""

    path: Path
    format: str
    key: VolumeKey | None = None


@dataclass(frozen=True)
class OfVolume:
    """A volume that nobody writes to meanwhile. ``key`` is that of an encrypted one."""

    volume_id: str
    key: VolumeKey | None = None


@dataclass(frozen=True)
class OfSnapshot:
    """``key`` is that of the encrypted volume whose snapshot it is."""

    snapshot_id: str
    key: VolumeKey | None = None


@dataclass(frozen=True)
class OfStream:
    """A qcow2 that stands on nothing, as bytes from somewhere else (a copy of a disk in use), or with ``format`` raw
    the plain content. With ``key`` it is encrypted: a qcow2 with LUKS in it, or LUKS as a whole."""

    chunks: Iterable[bytes]
    format: str = "qcow2"
    key: VolumeKey | None = None


VolumeSource = OfImage | OfVolume | OfSnapshot | OfStream


class VolumeDriver(Protocol):
    """Keeps volumes and snapshots by their ids (UUIDs). What has its name is whole; every method may be
    repeated. Raises ``DriverError`` with codes ``volume.not_found``, ``snapshot.not_found``, ``volume.refused``
    (would shrink, a source larger than the volume), ``disk.full``."""

    def ensure_volume(
        self, volume_id: str, size_gib: int, source: VolumeSource | None = None, *, anew: bool = False,
        shared: bool = False, key: VolumeKey | None = None,
    ) -> VolumePlace:  # fmt: skip
        """Make the volume, blank or of ``source``, unless it is there; ``anew`` in place of the one that is. With
        ``shared`` several guests may have it at once. With ``key`` it is kept encrypted, whatever it is made of;
        without, it is kept plain."""

    def delete_volume(self, volume_id: str) -> None:
        """An absent one is a success."""

    def extend_volume(self, volume_id: str, size_gib: int, *, key: VolumeKey | None = None) -> None:
        """Let a volume grow that no guest has open; nothing when it has that size."""

    def ensure_snapshot(self, snapshot_id: str, source: VolumeSource) -> None:
        """Keep what ``source`` holds now, unless there is a snapshot of that id; encrypted with the source's key if it
        has one."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """An absent one is a success."""

    def read(self, source: OfVolume | OfSnapshot, disk_format: str) -> Iterable[bytes]:
        """The data as an image of ``disk_format``, in pieces. Only for what is not encrypted: nothing else is ever laid
        down in plain."""

    def stream(self, source: OfVolume | OfSnapshot, disk_format: str = "") -> OfStream:
        """The data of an encrypted volume or snapshot, encrypted with the key they have: as they are kept, or as a
        qcow2 with LUKS in it or as LUKS alone (raw)."""

    def place(self, volume_id: str) -> VolumePlace | None:
        """Where a volume is, None when there is none."""

    def places(self, volume_ids: Iterable[str]) -> dict[str, VolumePlace]:
        """Where those of them are that are there, by one look at the store."""

    def is_everywhere(self) -> bool:
        """Whether other machines open volumes by the same path. Those of others are exported to them."""

    def volume_ids(self) -> tuple[str, ...]:
        """Every volume there is, for comparison with the records."""

    def snapshot_ids(self) -> tuple[str, ...]: ...

    def pool(self) -> VolumePool:
        """How much room there is."""

    def clean(self) -> None:
        """At start: forget copies that were cut off."""


@dataclass(frozen=True)
class ExportSpec:
    """A volume that the compute host ``host`` opens from another machine. ``id`` (a UUID) is that of the attachment;
    ``shared`` when other guests may have the volume at the same time."""

    id: str
    volume_id: str
    place: VolumePlace
    host: str
    read_only: bool = False
    shared: bool = False


class VolumeExports(Protocol):
    """Lets other compute hosts open volumes of this machine, each only those that are exported to it. Exports outlive
    this process; every method may be repeated. Raises ``DriverError`` with codes ``volume.not_exported`` (nothing is
    set up), ``volume.exported`` (another host has it, retryable), ``export.failed``."""

    def admit(self, host: str, request: str) -> tuple[str, str]:
        """A certificate for the key of a host that asks with ``request``, and the authority's own; PEM."""

    def has_admitted(self, host: str, certificate: str) -> bool:
        """Whether a certificate lets that host in."""

    def ensure_export(self, spec: ExportSpec) -> str:
        """Export the volume to its host, and to no other one of that attachment any more. Where it is found there, as
        ``DiskSpec.path`` takes it; what is found is raw."""

    def remove_export(self, export_id: str) -> None:
        """From here on nobody reads or writes the volume by it, whoever has it open. An absent one is a success."""

    def exports(self) -> tuple[ExportSpec, ...]:
        """What is to be exported, as it was told last."""

    def served(self) -> frozenset[str]:
        """Ids of what is exported at this moment."""

    def restore(self) -> tuple[str, ...]:
        """Export again what is to be exported and is not, and nothing else. The hosts for which that failed."""

    def watch(self, seconds: float) -> bool:
        """Wait until something that exports volumes has ended, at most so long, and ``restore``. False at once when
        closed."""

    def close(self) -> None:
        """Let ``watch`` return, for good; exports stay."""


@dataclass(frozen=True)
class FoundData:
    """Data on a backend that no record is of. ``reference`` names them there, ``size`` is in bytes as a guest sees it;
    ``refusal`` tells why they cannot be taken over, empty when they can."""

    reference: str
    size: int
    refusal: str = ""


class TakesOver(Protocol):
    """What a ``VolumeDriver`` may be able to do besides: take over what was made elsewhere, without copying it, and
    give up what it keeps, which is found again then (``volume-ID``, ``snapshot-ID``). Raises ``DriverError`` with
    codes ``volume.not_found``, ``volume.refused`` (dangerous, or of no format that guests run on), ``volume.busy``.
    All may be repeated."""

    def found_volumes(self) -> tuple[FoundData, ...]: ...

    def found_snapshots(self) -> tuple[FoundData, ...]: ...

    def take_volume(self, volume_id: str, reference: str) -> int:
        """Make it the volume's data, examined before; its size in whole GiB, to which it is grown."""

    def take_snapshot_over(self, snapshot_id: str, reference: str) -> int:
        """The same of a snapshot; the size in whole GiB that holds it."""

    def give_volume(self, volume_id: str) -> None: ...

    def give_snapshot(self, snapshot_id: str) -> None: ...


@dataclass(frozen=True)
class StoredBackup:
    """``added`` is what the store grew by, in bytes; ``pieces`` of how many the backup consists."""

    added: int
    pieces: int


@dataclass(frozen=True)
class KeptBackup:
    """What the store knows of one: what was to be known of it, and how much it is."""

    facts: Mapping[str, str]
    stored: StoredBackup


@dataclass(frozen=True)
class BackupKeeper:
    """Who writes to a store: the id of an appliance (empty: nobody yet), and whether that is this one. ``encrypted``
    says whether what is in it is."""

    appliance_id: str
    ours: bool
    encrypted: bool


class BackupStore(Protocol):
    """Keeps backups by their ids (UUIDs). What has its name is whole; every method may be repeated. Raises
    ``DriverError`` with codes ``backup.not_found``, ``backup.corrupt``, ``backup.key`` (encrypted, and not with our
    key), ``backup.not_ours`` (another appliance writes to the store), ``disk.full``."""

    def place(self) -> str:
        """What the store is called, for people."""

    def keeper(self) -> BackupKeeper:
        """Who writes to the store."""

    def take_over(self) -> None:
        """Write to the store from now on, in place of whoever did."""

    def save(self, backup_id: str, chunks: Iterable[bytes], facts: Mapping[str, str]) -> StoredBackup:
        """Keep a volume's plain content and what is to be known of it, unless that backup is there."""

    def read(self, backup_id: str) -> Iterator[bytes]:
        """The content, each piece checked before it is given."""

    def kept(self, backup_id: str) -> KeptBackup:
        """What is known of it."""

    def delete(self, backup_id: str) -> None:
        """An absent one is a success. What other backups are made of stays."""

    def ids(self) -> tuple[str, ...]:
        """Every backup there is, for comparison with the records."""

    def clean(self) -> None:
        """Forget what belongs to no backup, because saving it was cut off."""


class FoundDriver(VolumeDriver, Protocol):
    """Volumes that somebody else made, where they are: this only knows of them. New ones are refused."""

    def find(self, volume_id: str, path: Path, form: str) -> VolumePlace:
        """Let the volume be what is at ``path``, of ``form`` raw or qcow2. Repeatable."""

    def ends_with(self, volume_id: str, ends: bool) -> None:
        """Whether the data, if they are a file, go when the volume goes; they stay unless this was said."""


FOUND = "found"
"""The name of the backend of volumes that were found in their place."""


@dataclass(frozen=True)
class VolumeBackends:
    """Every keeper of volumes by its name; the first is the one for what names none. ``found`` knows of those that were
    found in their place; nothing new is placed there."""

    drivers: Mapping[str, VolumeDriver]
    found: FoundDriver | None = None

    def of(self, name: str) -> VolumeDriver:
        """Raises ``DriverError`` with code ``volume.no_backend`` for a name that the settings do not know any more."""
        wanted = name or next(iter(self.drivers))
        if wanted == FOUND and self.found is not None:
            return self.found
        if wanted not in self.drivers:
            raise DriverError(
                "volume", f"there is no backend {wanted} for volumes", code="volume.no_backend",
                hint="Name it in volumes.backends again, as it was.",
            )  # fmt: skip
        return self.drivers[wanted]

    @property
    def everyone(self) -> Mapping[str, VolumeDriver]:
        """Also the one that nothing new is placed in."""
        return self.drivers if self.found is None else {**self.drivers, FOUND: self.found}

    def pools(self) -> dict[str, VolumePool]:
        """The room of each backend that answers, by its name. Asks every one of them."""
        found = {}
        for name, driver in self.drivers.items():
            try:
                found[name] = driver.pool()
            except DriverError as error:
                _log.warning("backend_away", backend=name, error=str(error))
        return found
