"""Volumes as thin logical volumes of one pool, by the commands of LVM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from novalite.drivers.storage import programs
from novalite.drivers.storage.backends import BackendOptions
from novalite.drivers.storage.base import VolumePool
from novalite.drivers.storage.block_volumes import BlockVolumes
from novalite.errors import DriverError

_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")


def backend(options: BackendOptions) -> LvmVolumes:
    """Options ``group`` (the volume group) and ``pool`` (a thin pool in it)."""
    options.refuse_others("group", "pool")
    return LvmVolumes(options.need("group"), options.need("pool"), options.directory, name=options.name,
                      host=options.host)  # fmt: skip


class LvmVolumes(BlockVolumes):
    """``run`` runs a program; tests give their own."""

    def __init__(
        self, group: str, pool: str, spool: Path, *, name: str = "lvm", host: str = "localhost",
        run: programs.Program = programs.run,
    ) -> None:  # fmt: skip
        super().__init__(spool)
        self._group, self._pool, self._title, self._run = group, pool, f"{host}@{name}#{pool}", run

    def _report(self, op: str, fields: str, *target: str) -> list[dict[str, Any]]:
        text = self._run(op, ["lvs", *_REPORT, "-o", fields, *(target or (self._group,))])
        rows: list[dict[str, Any]] = json.loads(text)["report"][0]["lv"]
        return rows

    def _names(self) -> set[str]:
        return set(self._sizes())

    def _make_blank(self, name: str, size: int) -> None:
        self._run("create_volume", ["lvcreate", "--yes", "--wipesignatures", "n", "--virtualsize", f"{size}b",
                                    "--thinpool", self._pool, "--name", name, self._group])  # fmt: skip

    def _remove(self, name: str) -> None:
        self._run("delete_volume", ["lvremove", "--yes", "--force", f"{self._group}/{name}"])

    def _rename(self, old: str, new: str) -> None:
        self._run("create_volume", ["lvrename", self._group, old, new])

    def _size(self, name: str) -> int:
        (row,) = self._report("extend_volume", "lv_size", f"{self._group}/{name}")
        return int(row["lv_size"])

    def _sizes(self) -> dict[str, int]:
        rows = self._report("list_volumes", "lv_name,pool_lv,lv_size")
        return {str(row["lv_name"]): int(row["lv_size"]) for row in rows if row["pool_lv"] == self._pool}

    def _grow(self, name: str, size: int) -> None:
        self._run("extend_volume", ["lvextend", "--size", f"{size}b", f"{self._group}/{name}"])

    def is_everywhere(self) -> bool:
        return False

    def _address(self, name: str) -> str:
        return f"/dev/{self._group}/{name}"

    def pool(self) -> VolumePool:
        rows = self._report("pool", "lv_size,data_percent", f"{self._group}/{self._pool}")
        if not rows:
            raise DriverError("pool", f"there is no thin pool {self._group}/{self._pool}", code="driver.failed")
        total = int(rows[0]["lv_size"])
        free = int(total * (1 - float(rows[0]["data_percent"]) / 100))
        return VolumePool(self._title, "local", total, free, encrypts=True)
