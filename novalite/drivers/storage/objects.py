"""Objects by name, in a directory: written beside, flushed, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from novalite.errors import DriverError

_UNFINISHED = ".part"


class Objects(Protocol):
    """Names are paths of letters, digits, ``-`` and ``.``. What has its name is whole. Code ``disk.full``."""

    @property
    def place(self) -> str: ...

    def put(self, name: str, content: bytes) -> None: ...

    def get(self, name: str) -> bytes | None: ...

    def has(self, name: str) -> bool: ...

    def delete(self, name: str) -> None: ...

    def names(self, below: str) -> Iterator[str]:
        """Those whose first part is ``below``."""


class DirectoryObjects:
    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    @property
    def place(self) -> str:
        return str(self._directory)

    def put(self, name: str, content: bytes) -> None:
        target = self._directory / name
        part = target.with_name(f"{target.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise DriverError("backup", str(error), code="disk.full" if full else "driver.failed",
                              retryable=full) from error  # fmt: skip
        finally:
            part.unlink(missing_ok=True)

    def get(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        return (self._directory / name).exists()

    def delete(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)

    def names(self, below: str) -> Iterator[str]:
        for path in (self._directory / below).rglob("*"):
            if path.is_file() and not path.name.endswith(_UNFINISHED):
                yield path.relative_to(self._directory).as_posix()
