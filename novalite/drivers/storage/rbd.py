"""Volumes as images of a Ceph pool, by the commands of Ceph; guests and qemu-img open them by librbd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from novalite.drivers.storage import programs
from novalite.drivers.storage.backends import BackendOptions
from novalite.drivers.storage.base import VolumePool
from novalite.drivers.storage.block_volumes import BlockVolumes
from novalite.errors import DriverError

_CONFIG = "/etc/ceph/ceph.conf"


def backend(options: BackendOptions) -> RbdVolumes:
    """Options ``pool`` (rbd) and ``config`` (/etc/ceph/ceph.conf), which names the keyring of client.admin too."""
    options.refuse_others("pool", "config")
    pool, config = options.values.get("pool") or "rbd", options.values.get("config") or _CONFIG
    return RbdVolumes(pool, options.directory, config=config, name=options.name, host=options.host)


class RbdVolumes(BlockVolumes):
    """``run`` runs a program; tests give their own."""

    def __init__(
        self, pool: str, spool: Path, *, config: str = _CONFIG, name: str = "rbd",
        host: str = "localhost", run: programs.Program = programs.run,
    ) -> None:  # fmt: skip
        super().__init__(spool)
        for text in (pool, config):
            if set(text) & set(":@=\\ "):
                raise DriverError("volume", f"{text!r} cannot be part of an RBD address", code="driver.failed")
        self._pool, self._config, self._run = pool, config, run
        self._title = f"{host}@{name}#{pool}"

    def _rbd(self, op: str, *arguments: str) -> str:
        return self._run(op, ["rbd", "--conf", self._config, "--pool", self._pool, *arguments])

    def _names(self) -> set[str]:
        return set(json.loads(self._rbd("list_volumes", "ls", "--format", "json")))

    def _make_blank(self, name: str, size: int) -> None:
        self._rbd("create_volume", "create", "--size", f"{size}B", name)

    def _remove(self, name: str) -> None:
        self._rbd("delete_volume", "rm", "--no-progress", name)

    def _rename(self, old: str, new: str) -> None:
        self._rbd("create_volume", "rename", old, new)

    def _size(self, name: str) -> int:
        return int(json.loads(self._rbd("extend_volume", "info", "--format", "json", name))["size"])

    def _sizes(self) -> dict[str, int]:
        rows = json.loads(self._rbd("list_volumes", "ls", "--long", "--format", "json"))
        return {str(row["image"]): int(row["size"]) for row in rows if "snapshot" not in row}

    def _grow(self, name: str, size: int) -> None:
        self._rbd("extend_volume", "resize", "--no-progress", "--size", f"{size}B", name)

    def is_everywhere(self) -> bool:
        return True

    def _address(self, name: str) -> str:
        return f"rbd:{self._pool}/{name}:conf={self._config}"

    def pool(self) -> VolumePool:
        text = self._run("pool", ["rados", "--conf", self._config, "df", "--format", "json"])
        facts: dict[str, Any] = json.loads(text)
        if not int(facts["total_space"]):
            raise DriverError("pool", "the cluster does not tell its room", code="driver.failed", retryable=True,
                              hint="Is its manager (ceph-mgr) up?")  # fmt: skip
        total, free = int(facts["total_space"]) * 1024, int(facts["total_avail"]) * 1024
        return VolumePool(self._title, "ceph", total, free, encrypts=True)
