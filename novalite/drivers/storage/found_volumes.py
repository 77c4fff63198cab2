"""Volumes that lie where somebody else has put them: each is a link to its file or device, and no more than that goes
when the volume does, unless it was said that the file goes too."""

from __future__ import annotations

import os
from pathlib import Path

from novalite.drivers.storage.base import VolumeKey, VolumePlace, VolumePool, VolumeSource
from novalite.drivers.storage.volumes import SHARED, FileVolumes
from novalite.errors import DriverError

_ENDS = ".ends"


class FoundVolumes(FileVolumes):
    """``directory/ID`` links to a qcow2 file, ``ID.raw`` to raw data; ``ID.ends`` says that these go with the volume.
    Snapshots are whole copies in ``directory/snapshots``. New volumes are never made here."""

    def find(self, volume_id: str, path: Path, form: str) -> VolumePlace:
        """Let the volume be what is at ``path``, of ``form`` raw or qcow2. Repeatable."""
        link = self._plain(volume_id)
        link = link.with_name(link.name + SHARED) if form == "raw" else link
        fresh = link.with_name(f"{link.name}.part")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(path)
        os.replace(fresh, link)
        return VolumePlace(str(path), form)

    def ends_with(self, volume_id: str, ends: bool) -> None:
        """Whether the data go when the volume goes."""
        marker = self._plain(volume_id).with_name(volume_id + _ENDS)
        if ends:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)

    def ensure_volume(
        self, volume_id: str, size_gib: int, source: VolumeSource | None = None, *, anew: bool = False,
        shared: bool = False, key: VolumeKey | None = None,
    ) -> VolumePlace:  # fmt: skip
        """See ``VolumeDriver``. What is there is not replaced: it is somebody's own."""
        place = self.place(volume_id)
        if place is None or anew:
            what = "begun anew" if place else "made here"
            raise DriverError("create_volume", f"a volume that was found in its place cannot be {what}",
                              code="volume.refused", hint="Make another volume of the snapshot or image.")  # fmt: skip
        return place

    def place(self, volume_id: str) -> VolumePlace | None:
        link = self._volume(volume_id)
        if not link.is_symlink() or not link.exists():
            return None
        return VolumePlace(str(link.readlink()), "raw" if link.suffix == SHARED else "qcow2")

    def delete_volume(self, volume_id: str) -> None:
        """See ``VolumeDriver``."""
        plain = self._plain(volume_id)
        marker = plain.with_name(volume_id + _ENDS)
        for link in (plain, plain.with_name(plain.name + SHARED)):
            if link.is_symlink():
                if marker.exists() and link.resolve().is_file():
                    link.resolve().unlink()
                link.unlink()
        marker.unlink(missing_ok=True)

    def give_volume(self, volume_id: str) -> None:
        """See ``TakesOver``. The data are where they have always been."""
        self.ends_with(volume_id, False)
        self.delete_volume(volume_id)

    def volume_ids(self) -> tuple[str, ...]:
        found = (entry for entry in os.scandir(self._volumes) if entry.is_symlink() and Path(entry.path).exists())
        return tuple(sorted(entry.name.removesuffix(SHARED) for entry in found if not entry.name.endswith(".part")))

    def pool(self) -> VolumePool:
        """There is room for nothing new."""
        return VolumePool(self._name, "file", 0, 0)
