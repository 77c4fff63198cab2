"""Stands for the programs of LVM, which not every kernel can run: volumes are files, and what was run is recorded."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from novalite.errors import DriverError

_EXTENT = 4 << 20


class StandingForLvm:
    """Of the volume group ``directory.name``, with one thin pool of ``size`` bytes."""

    def __init__(self, directory: Path, pool: str, size: int = 100 << 30) -> None:
        directory.mkdir(parents=True)
        self._directory, self._pool, self._size = directory, pool, size
        self._lock = threading.Lock()
        self.ran: list[list[str]] = []

    def __call__(self, op: str, argv: Sequence[str]) -> str:
        words = list(argv)
        with self._lock:
            self.ran.append(words)
            answer: str | None = getattr(self, f"_{words[0]}")(op, words)
            return answer or ""

    def _file(self, op: str, name: str, *, there: bool = True) -> Path:
        file = self._directory / name.removeprefix(f"{self._directory.name}/")
        if file.exists() is not there:
            raise DriverError(op, f"Logical volume {name} {'is not there' if there else 'already exists'}")
        return file

    def _lvs(self, op: str, words: list[str]) -> str:
        fields, target = words[words.index("-o") + 1], words[-1]
        if "data_percent" in fields:
            used = sum(file.stat().st_blocks * 512 for file in self._directory.iterdir())
            assert target == f"{self._directory.name}/{self._pool}"
            rows = [{"lv_size": str(self._size), "data_percent": f"{used * 100 / self._size:.2f}"}]
        else:
            assert target == self._directory.name
            rows = [{"lv_name": file.name, "pool_lv": self._pool, "lv_size": str(file.stat().st_size)}
                    for file in self._directory.iterdir()]  # fmt: skip
            rows += [{"lv_name": name, "pool_lv": "", "lv_size": "0"} for name in (self._pool, "swap")]
        return json.dumps({"report": [{"lv": rows}]})

    def _lvcreate(self, op: str, words: list[str]) -> None:
        file = self._file(op, words[words.index("--name") + 1], there=False)
        if "--snapshot" in words:
            assert words[words.index("--setactivationskip") + 1] == "n", "else it is not to be seen"
            shutil.copyfile(self._file(op, words[-1]), file)
            return
        assert (words[words.index("--thinpool") + 1], words[-1]) == (self._pool, self._directory.name)
        self._resize(file, words[words.index("--virtualsize") + 1])

    @staticmethod
    def _resize(file: Path, size: str) -> None:
        with file.open("ab") as data:
            data.truncate(-(-int(size.removesuffix("b")) // _EXTENT) * _EXTENT)

    def _lvrename(self, op: str, words: list[str]) -> None:
        assert words[1] == self._directory.name
        self._file(op, words[2]).rename(self._file(op, words[3], there=False))

    def _lvextend(self, op: str, words: list[str]) -> None:
        self._resize(self._file(op, words[-1]), words[words.index("--size") + 1])

    def _lvremove(self, op: str, words: list[str]) -> None:
        self._file(op, words[-1]).unlink()
