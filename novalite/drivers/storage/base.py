"""The port to the image store: blobs by id, checked while they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredImage:
    """``size`` and ``virtual_size`` in bytes, checksums in hex."""

    size: int
    virtual_size: int
    md5: str
    sha512: str


class ImageStore(Protocol):
    """Keeps image bytes by image id. Raises ``Invalid`` (hostile or corrupt image, field ``image``),
    ``TooLarge``, or ``DriverError`` with code ``disk.full``; a failed ``save`` leaves nothing."""

    def save(self, image_id: str, chunks: Iterable[bytes], *, disk_format: str) -> StoredImage:
        """Store the bytes atomically after checking them against ``disk_format``."""

    def path(self, image_id: str) -> Path | None:
        """The blob's file, or None when there is none."""

    def delete(self, image_id: str) -> None:
        """Forget the blob; an absent one is a success."""

    def ids(self) -> tuple[str, ...]:
        """Every stored image id, for comparison with the records."""
