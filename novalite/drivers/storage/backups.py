"""Backups as pieces that are named by what they hold: what one backup has stored, the next one only names.

``pieces/AB/SHA256`` is one, compressed if that makes it smaller; ``manifests/ID.json`` names those of a backup, in
order. The manifest is written last. Each backup can be read alone, and goes alone: a piece stays as long as any
manifest names it. ``store.json`` says whose store it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from novalite.drivers.storage import packing
from novalite.drivers.storage.backup_mark import BackupMark
from novalite.drivers.storage.base import BackupKeeper, KeptBackup, StoredBackup
from novalite.drivers.storage.named_pieces import NamedPieces
from novalite.drivers.storage.objects import Objects
from novalite.drivers.storage.sealed_objects import SealedObjects, SealingKey
from novalite.drivers.storage.side_by_side import in_order
from novalite.drivers.storage.stretches import PIECE_BYTES, cut, is_blank, zeros
from novalite.errors import DriverError

_KEPT_AT_ONCE, _READ_AT_ONCE = 8, 4
"""What is kept waits for the disk, which flushes several pieces in the time of one."""
_VERSION = 1
_MANIFESTS, _PIECES = "manifests", "pieces"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BEYOND = 1 << 60
_LARGEST_PIECE = 64 << 20


class PieceBackups:
    """A ``BackupStore`` on any ``Objects``, encrypted when there is a key. One appliance at a time writes to a store:
    what is being saved is safe from ``delete`` and ``clean`` of the same process only."""

    def __init__(
        self, objects: Objects, appliance_id: str, *, key: SealingKey | None = None, piece_bytes: int = PIECE_BYTES
    ) -> None:
        self._mark = BackupMark(objects, appliance_id, key_id=key.id if key else "", besides=_MANIFESTS)
        self._objects: Objects = SealedObjects(objects, key) if key else objects
        self._digest = key.digest if key else _digest
        self._piece_bytes = piece_bytes
        self._changes = threading.Lock()
        self._held: dict[str, int] = {}
        self._named = NamedPieces()
        self._tidy = False

    def place(self) -> str:
        return self._objects.place

    def keeper(self) -> BackupKeeper:
        return self._mark.keeper()

    def take_over(self) -> None:
        self._mark.take_over()

    def save(self, backup_id: str, chunks: Iterable[bytes], facts: Mapping[str, str]) -> StoredBackup:
        name = _manifest(backup_id)
        self._mark.require_ours()
        if self._objects.has(name):
            return self.kept(backup_id).stored
        self._tidy_once()
        held: set[str] = set()
        try:
            pieces, size, added = self._save_pieces(chunks, held)
            manifest = {"version": _VERSION, "id": backup_id, "size": size, "piece_bytes": self._piece_bytes,
                        "added": added, "facts": dict(facts), "pieces": pieces}  # fmt: skip
            with self._changes:
                self._named.forget(backup_id)
            self._mark.require_ours()  # who took it over meanwhile may have let the pieces go
            self._objects.put(name, json.dumps(manifest).encode())
        finally:
            self._let_go(held)
        return StoredBackup(added, len(set(pieces) - {None}))

    def _save_pieces(self, chunks: Iterable[bytes], held: set[str]) -> tuple[list[str | None], int, int]:
        """The names of the pieces (None: zeros), the size of the whole, what the store grew by."""
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            for piece in cut(chunks, self._piece_bytes):
                size += len(piece)
                yield piece

        kept = list(in_order(lambda piece: self._keep(piece, held), pieces(), at_once=_KEPT_AT_ONCE))
        return [name for name, _ in kept], size, sum(added for _, added in kept)

    def _keep(self, piece: bytes, held: set[str]) -> tuple[str | None, int]:
        """Its name, and what the store grew by."""
        if is_blank(piece):
            return None, 0
        digest = self._digest(piece)
        if not self._hold(digest, held) or self._objects.has(_piece(digest)):
            return digest, 0
        packed = packing.pack(piece)
        self._objects.put(_piece(digest), packed)
        return digest, len(packed)

    def _hold(self, digest: str, held: set[str]) -> bool:
        """Whether it is new among those that are ``held`` for this backup."""
        with self._changes:
            if digest in held:
                return False
            self._held[digest] = self._held.get(digest, 0) + 1
            held.add(digest)
            return True

    def _let_go(self, held: set[str]) -> None:
        with self._changes:
            for digest in held:
                self._held[digest] -= 1
                if not self._held[digest]:
                    del self._held[digest]

    def read(self, backup_id: str) -> Iterator[bytes]:
        manifest = self._manifest(backup_id)
        size, length = int(manifest["size"]), int(manifest["piece_bytes"])
        lengths = (min(length, size - start) for start in range(0, size, length))
        wanted = zip(manifest["pieces"], lengths, strict=True)
        return in_order(lambda one: self._checked(backup_id, *one), wanted, at_once=_READ_AT_ONCE)

    def _checked(self, backup_id: str, digest: str | None, length: int) -> bytes:
        if digest is None:
            return zeros(length)
        packed = self._objects.get(_piece(digest))
        if packed is None:
            raise DriverError("read_backup", f"a piece of backup {backup_id} is missing", code="backup.corrupt")
        if len(packed) == length and self._digest(packed) == digest:
            return packed
        piece = packing.unpack(packed, length)
        if self._digest(piece) != digest:
            raise DriverError("read_backup", f"a piece of backup {backup_id} is damaged", code="backup.corrupt")
        return piece

    def kept(self, backup_id: str) -> KeptBackup:
        found = self._manifest(backup_id)
        return KeptBackup(found["facts"], StoredBackup(int(found["added"]), len(set(found["pieces"]) - {None})))

    def delete(self, backup_id: str) -> None:
        try:
            gone = set(self._manifest(backup_id)["pieces"]) - {None}
        except DriverError as error:
            if error.code != "backup.not_found":
                raise
            return
        self._mark.require_ours()
        with self._changes:
            self._named.forget(backup_id)
            self._objects.delete(_manifest(backup_id))
        self._drop_unless_named(gone)

    def ids(self) -> tuple[str, ...]:
        names = self._objects.names(_MANIFESTS)
        return tuple(sorted(name.removeprefix(f"{_MANIFESTS}/").removesuffix(".json") for name in names))

    def clean(self) -> None:
        if not self._mark.keeper().ours:  # what belongs to nothing is somebody else's unfinished work
            return
        self._objects.tidy(_MANIFESTS, _PIECES)
        self._drop_unless_named({name.rpartition("/")[2] for name in self._objects.names(_PIECES)})

    def _tidy_once(self) -> None:
        """Before the first that is saved: what the process before this one was killed over."""
        if not self._tidy:
            self._objects.tidy(_MANIFESTS, _PIECES)
            self._tidy = True

    def _drop_unless_named(self, digests: set[str]) -> None:
        with self._changes:
            doubtful = digests - set(self._held)
            term, read = self._mark.term(), lambda backup_id: self._manifest(backup_id)["pieces"]
            for digest in self._named.unnamed(doubtful, term, self.ids(), read):
                self._objects.delete(_piece(digest))

    def _manifest(self, backup_id: str) -> dict[str, Any]:
        self._mark.require_readable()
        text = self._objects.get(_manifest(backup_id))
        if text is None:
            raise DriverError("backup", f"there is no backup {backup_id} in {self.place()}", code="backup.not_found")
        try:
            found = json.loads(text)
            if found["version"] != _VERSION or found["id"] != backup_id:
                raise ValueError
            _require_sane(found)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DriverError("backup", f"the manifest of backup {backup_id} is damaged",
                              code="backup.corrupt") from error  # fmt: skip
        return dict(found)


def _digest(piece: bytes) -> str:
    return hashlib.sha256(piece).hexdigest()


def _manifest(backup_id: str) -> str:
    try:
        known: str | None = str(UUID(backup_id))
    except ValueError:
        known = None
    if known is None or known != backup_id:
        raise DriverError("backup", f"{backup_id[:64]!r} is not an id", code="backup.not_found")
    return f"{_MANIFESTS}/{known}.json"


def _require_sane(found: dict[str, Any]) -> None:
    """Places that others keep may hold anything, and what pieces are called becomes names of files."""
    numbers = [found["size"], found["piece_bytes"], found["added"], found["facts"].get("size_gib", "0")]
    if not all(0 <= int(number) < _BEYOND for number in numbers):
        raise ValueError
    length = int(found["piece_bytes"])
    if not 0 < length <= _LARGEST_PIECE or len(found["pieces"]) != -(-int(found["size"]) // length):
        raise ValueError
    if not all(isinstance(fact, str) for fact in found["facts"].values()):
        raise TypeError
    if not all(piece is None or _DIGEST.fullmatch(piece) for piece in found["pieces"]):
        raise ValueError


def _piece(digest: str) -> str:
    return f"{_PIECES}/{digest[:2]}/{digest}"
