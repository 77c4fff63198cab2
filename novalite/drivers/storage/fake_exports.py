"""A daemon that exports nothing, for tests and simulation: it only knows what it would."""

from __future__ import annotations

from pathlib import Path

import msgspec

from novalite.drivers.storage.base import ExportSpec
from novalite.drivers.storage.export_daemon import Listener


class FakeDaemon:
    """Implements ``ExportDaemon``. As the real one it outlives this process; ``kill`` ends it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "fake-daemon.json"

    def _now(self) -> dict[str, str] | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return None

    def _become(self, exports: dict[str, str]) -> None:
        self._file.write_bytes(msgspec.json.encode(exports))

    def start(self, listener: Listener) -> bool:
        del listener
        if self._now() is not None:
            return False
        self._become({})
        return True

    def served(self) -> frozenset[str]:
        return frozenset(self._now() or {})

    def add(self, spec: ExportSpec, name: str) -> None:
        self._become({**(self._now() or {}), spec.id: name})

    def remove(self, export_id: str) -> None:
        if (now := self._now()) is not None:
            self._become({id: name for id, name in now.items() if id != export_id})

    def stop(self) -> None:
        self._file.unlink(missing_ok=True)

    kill = stop

    def pidfd(self) -> int | None:
        return None
