"""Objects by name, in a directory: written beside, flushed, then renamed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from novalite.errors import DriverError

_UNFINISHED = ".part"
_CUT_OFF = re.compile(r"\.[0-9a-f]{32}\.part$")


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

    def tidy(self, *below: str) -> None:
        """Forget what puts that were cut off have left there. Those of this process go on."""


class DirectoryObjects:
    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._written = set[str]()
        """What puts of this process are writing."""

    @property
    def place(self) -> str:
        return str(self._directory)

    def put(self, name: str, content: bytes) -> None:
        target = self._directory / name
        part = target.with_name(f"{target.name}.{uuid4().hex}{_UNFINISHED}")
        with self._told("write"):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._written.add(part.name)
            try:
                with part.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
                self._written.discard(part.name)

    def get(self, name: str) -> bytes | None:
        with self._told("read"), suppress(FileNotFoundError):
            return (self._directory / name).read_bytes()
        return None

    def has(self, name: str) -> bool:
        with self._told("look"), suppress(FileNotFoundError):
            (self._directory / name).stat()
            return True
        return False

    def delete(self, name: str) -> None:
        with self._told("delete"):
            (self._directory / name).unlink(missing_ok=True)

    def names(self, below: str) -> Iterator[str]:
        """See ``Objects``. A directory that cannot be read is told: what it holds must not pass for absent."""
        with self._told("list"):
            for path in self._files(below):
                if not path.name.endswith(_UNFINISHED):
                    yield path.relative_to(self._directory).as_posix()

    def tidy(self, *below: str) -> None:
        """See ``Objects``. What others keep in the directory is let alone."""
        with self._told("tidy up"):
            for path in chain(self._directory.glob(f"*{_UNFINISHED}"), *(self._files(one) for one in below)):
                if _CUT_OFF.search(path.name) and path.name not in self._written:
                    path.unlink(missing_ok=True)

    def _files(self, below: str) -> Iterator[Path]:
        for directory, _, files in os.walk(self._directory / below, onerror=_raise_unless_absent):
            yield from (Path(directory, file) for file in files)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """What the system says, as what people can act upon."""
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "Make room there." if full else "Look at backups.directory: is it mounted, may novalite write there?"
            raise DriverError(
                "backup", f"{self.place}: {doing}: {error.strerror or error}", retryable=full, hint=hint,
                code="disk.full" if full else "driver.failed",
            ) from error  # fmt: skip


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
