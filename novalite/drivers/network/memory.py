"""What a driver was told, kept in files until the machine restarts, so that a new process knows it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from novalite import logs
from novalite.drivers.network import checks
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec
from novalite.drivers.network.dhcp_files import write_file
from novalite.errors import DriverError

_log = logs.get("network")
T = TypeVar("T")


class Memory:
    """Files below ``directory``, one directory for each network. What cannot be read is as if never told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _read(self, file: Path, kind: type[T], empty: T) -> T:
        if not file.exists():
            return empty
        try:
            return msgspec.json.decode(file.read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("a file is unreadable and will be made again", file=str(file), error=str(error))
            return empty

    def _read_all(self, name: str, kind: type[list[T]], check: Callable[[T], object]) -> list[T]:
        """Those of a file's values that ``check`` does not refuse."""
        kept = []
        for value in self._read(self._directory / name, kind, []):
            try:
                check(value)
            except DriverError as error:
                _log.warning("what was kept is of no use", file=name, error=str(error))
            else:
                kept.append(value)
        return kept

    def _write(self, file: Path, value: object) -> None:
        if file.parent.is_dir():
            write_file(file, msgspec.json.encode(value).decode())

    def networks(self) -> Iterator[tuple[NetworkSpec, dict[str, PortSpec]]]:
        """Each network with its ports by id."""
        for file in self._directory.glob("*/network.json"):
            spec = self._read(file, NetworkSpec, NetworkSpec("", ""))
            try:
                spec = checks.network(spec)
                ports = [checks.port(port) for port in self._read(file.parent / "ports.json", list[PortSpec], [])]
            except DriverError as error:
                _log.warning("what was kept of a network is of no use", file=str(file), error=str(error))
                continue
            yield spec, {port.id: port for port in ports}

    def groups(self) -> dict[str, GroupSpec]:
        return {group.id: group for group in self._read_all("groups.json", list[GroupSpec], checks.group)}

    def keep_network(self, spec: NetworkSpec) -> None:
        self._write(self._directory / spec.id / "network.json", spec)

    def keep_ports(self, network_id: str, ports: Iterable[PortSpec]) -> None:
        self._write(self._directory / network_id / "ports.json", list(ports))

    def keep_groups(self, groups: Mapping[str, GroupSpec]) -> None:
        self._write(self._directory / "groups.json", list(groups.values()))
