"""Disks of guests as thin logical volumes, named GUEST_DISK: they read as zeros where nothing was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novalite.drivers import programs
from novalite.errors import DriverError

_SECONDS = 120.0
_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")
_PART = "part-"
Program = Callable[[str, Sequence[str]], str]


def _run(op: str, argv: Sequence[str]) -> str:
    return programs.run(op, argv, timeout_seconds=_SECONDS)


@dataclass(frozen=True)
class PoolUse:
    """In bytes."""

    total: int
    free: int


class LogicalVolumes:
    """``group/pool`` is a thin pool. ``run`` runs a program, ``devices`` is where volumes appear; tests give theirs."""

    def __init__(self, group: str, pool: str, *, run: Program = _run, devices: Path = Path("/dev")) -> None:
        self._group, self._pool, self._run = group, pool, run
        self._directory = devices / group

    def path(self, guest_id: str, disk: str) -> Path:
        return self._directory / f"{guest_id}_{disk}"

    def has(self, path: Path) -> bool:
        """Whether the path is one of a volume here, there or not."""
        return path.parent == self._directory

    def of_guest(self, guest_id: str) -> list[Path]:
        """Its disks, and what is kept of them."""
        return [self._directory / name for name in sorted(self._names()) if name.startswith(f"{guest_id}_")]

    def guest_ids(self) -> set[str]:
        return {name.partition("_")[0] for name in self._names() if not name.startswith(_PART)}

    def _names(self) -> set[str]:
        rows = self._report("list_disks", "lv_name,pool_lv", self._group)
        return {str(row["lv_name"]) for row in rows if row["pool_lv"] == self._pool}

    def _report(self, op: str, fields: str, target: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self._run(op, ["lvs", *_REPORT, "-o", fields, target]))["report"][0][
            "lv"
        ]
        return rows

    @contextmanager
    def arriving(self, path: Path, size: int) -> Iterator[Path]:
        """A blank one of ``size`` bytes under another name first: one that has its name is a whole disk."""
        part = path.with_name(_PART + path.name)
        self.remove(part)
        self._run("make_disk", ["lvcreate", "--yes", "--wipesignatures", "n", "--virtualsize", f"{size}b",
                                "--thinpool", self._pool, "--name", part.name, self._group])  # fmt: skip
        try:
            yield part
            self.replace(part, path)
        except BaseException:
            self.remove(part)
            raise

    def copy(self, path: Path, copy: Path) -> None:
        """Takes no time and, at first, no room."""
        self.remove(copy)
        self._run("keep_disks", ["lvcreate", "--yes", "--snapshot", "--setactivationskip", "n", "--name", copy.name,
                                 f"{self._group}/{path.name}"])  # fmt: skip

    def replace(self, path: Path, target: Path) -> None:
        self.remove(target)
        self._run("make_disk", ["lvrename", self._group, path.name, target.name])

    def remove(self, path: Path) -> None:
        """Nothing when it is absent."""
        if path.name in self._names():
            self._run("remove_disk", ["lvremove", "--yes", "--force", f"{self._group}/{path.name}"])

    def grow(self, path: Path, size: int) -> None:
        self._run("resize_disk", ["lvextend", "--size", f"{size}b", f"{self._group}/{path.name}"])

    def use(self) -> PoolUse:
        rows = self._report("host_report", "lv_size,data_percent", f"{self._group}/{self._pool}")
        if not rows:
            raise DriverError("host_report", f"there is no thin pool {self._group}/{self._pool}")
        total = int(rows[0]["lv_size"])
        return PoolUse(total, int(total * (1 - float(rows[0]["data_percent"]) / 100)))
