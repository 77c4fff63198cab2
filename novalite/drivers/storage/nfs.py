"""Volumes as files on a share that several machines mount."""

from __future__ import annotations

import os
from pathlib import Path

from novalite.drivers.storage import programs
from novalite.drivers.storage.backends import BackendOptions
from novalite.drivers.storage.base import VolumePool
from novalite.drivers.storage.volumes import FileVolumes
from novalite.errors import DriverError


def backend(options: BackendOptions) -> ShareVolumes:
    """Options ``share`` (SERVER:/EXPORT) and ``options`` for the mount; with ``path`` it is mounted there."""
    options.refuse_others("share", "path", "options")
    return ShareVolumes(
        Path(options.values.get("path") or options.directory), share=options.need("share"),
        mount_options=options.values.get("options", ""), name=options.pool_name("share"),
    )  # fmt: skip


class ShareVolumes(FileVolumes):
    """As ``FileVolumes``. The share is mounted when it is not and this process may; without it nothing is written,
    least of all below the empty mount point (code ``volume.share_missing``)."""

    def __init__(
        self, directory: Path, *, share: str, mount_options: str = "", name: str = "nfs",
        run: programs.Program = programs.run,
    ) -> None:  # fmt: skip
        self._share, self._mount_options, self._run = share, mount_options, run
        super().__init__(directory, name=name)

    def is_everywhere(self) -> bool:
        return True

    def _prepare(self) -> None:
        """What is not mounted now may be later."""
        if self._is_mounted():
            super()._prepare()

    def _is_mounted(self) -> bool:
        return os.path.ismount(self._directory)

    def _require(self) -> None:
        if self._is_mounted():
            return
        if os.geteuid() != 0:
            raise DriverError("volume", f"{self._share} is not mounted at {self._directory}; only root may mount it",
                              code="volume.share_missing", retryable=True)  # fmt: skip
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ["-o", self._mount_options] if self._mount_options else []
        try:
            self._run("mount_share", ["mount", "-t", "nfs", *options, self._share, str(self._directory)])
        except DriverError as error:
            raise DriverError("mount_share", error.message, code="volume.share_missing", retryable=True) from error
        super()._prepare()

    def pool(self) -> VolumePool:
        found = super().pool()
        return VolumePool(found.name, "nfs", found.total, found.free, encrypts=found.encrypts)
