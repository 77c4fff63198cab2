"""The filter file: which user may ask, which operations, and what they may touch."""

from __future__ import annotations

import os
import pwd
import re
import stat
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

import msgspec

from novalite.drivers.network.base import HostForwardSpec, NetworkSpec
from novalite.drivers.privileged.messages import METHODS
from novalite.errors import DriverError, Invalid

_ANY = "*"
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}")
_BYTES = 1 << 20


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not named is refused. ``appliances`` are ids or ``*``, ``interfaces`` what networks may be bridged
    with, ``ranges`` what the machine itself may be given addresses of, ``forward_ports`` the least and the greatest
    port of the machine that may lead to guests, ``conntrack`` what tracks guests' connections."""

    user: str
    operations: tuple[str, ...]
    appliances: tuple[str, ...]
    interfaces: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    forward_ports: tuple[int, int] = (0, 0)
    run_dir: str = "/run/novalite"
    conntrack: Literal["netfilter", "bridge"] = "netfilter"

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.user).pw_uid

    @property
    def gid(self) -> int:
        return pwd.getpwnam(self.user).pw_gid

    def permit(self, appliance: str, operation: str, arguments: dict[str, Any]) -> None:
        """Raises ``DriverError`` ``driver.forbidden``."""
        if operation not in self.operations:
            raise _forbidden(operation, f"the operation {operation} is not allowed")
        if _ANY not in self.appliances and appliance not in self.appliances:
            raise _forbidden(operation, f"the appliance {appliance} is not allowed")
        for value in arguments.values():
            if isinstance(value, NetworkSpec):
                self._uplink(operation, value)
            elif isinstance(value, tuple):
                self._forwards(operation, value)
        if "interface" in arguments:
            self._interface(operation, arguments["interface"])

    def _uplink(self, operation: str, spec: NetworkSpec) -> None:
        if spec.uplink is None:
            return
        if spec.uplink.kind != "host":
            self._interface(operation, spec.uplink.interface)
            return
        for subnet in spec.subnets:
            if not self._covers(subnet.cidr):
                raise _forbidden(operation, f"the machine may not be given addresses of {subnet.cidr[:80]}")

    def _interface(self, operation: str, interface: str) -> None:
        if interface not in self.interfaces:
            raise _forbidden(operation, f"the interface {interface[:32]!r} is not allowed")

    def _covers(self, cidr: str) -> bool:
        try:
            wanted = ip_network(cidr)
        except ValueError:
            return False
        return any(_within(wanted, ip_network(allowed)) for allowed in self.ranges)

    def _forwards(self, operation: str, values: tuple[Any, ...]) -> None:
        least, greatest = self.forward_ports
        for forward in values:
            if isinstance(forward, HostForwardSpec) and not least <= forward.host_port <= greatest:
                raise _forbidden(operation, f"port {forward.host_port} of the machine may not lead to guests")


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _forbidden(operation: str, why: str) -> DriverError:
    return DriverError(
        operation, why, code="driver.forbidden",
        hint="The administrator of this machine may allow it in the filter file (/etc/novalite/privileged.toml).",
    )  # fmt: skip


def read(path: Path) -> Rules:
    """The filter file. Raises ``Invalid`` when it says something unknown, or when others than this process's user
    could write it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Invalid(f"The filter file {path} cannot be read: {error.strerror}.", field=str(path),
                      hint="packaging/privileged.toml is one to begin with.") from error  # fmt: skip
    with open(descriptor, "rb") as file:
        for name, facts in ((path, os.fstat(file.fileno())), (path.resolve().parent, path.resolve().parent.stat())):
            _owned(name, facts)
        text = file.read(_BYTES)
    try:
        rules = msgspec.toml.decode(text, type=Rules)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The filter file {path} makes no sense: {error}", field=str(path)) from error
    for problem in _problems(rules):
        raise Invalid(f"The filter file {path} makes no sense: {problem}", field=str(path))
    return rules


def _owned(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Invalid(f"{path} belongs to, or may be written by, somebody other than root.", field=str(path),
                      hint=f"chown root:root {path} && chmod go-w {path}")  # fmt: skip


def _problems(rules: Rules) -> list[str]:
    found = [f"there is no operation {name!r}" for name in rules.operations if name not in METHODS]
    found += [f"{name!r} is no interface" for name in rules.interfaces if not _INTERFACE.fullmatch(name)]
    for cidr in rules.ranges:
        try:
            ip_network(cidr)
        except ValueError as error:
            found.append(str(error))
    if not 0 <= rules.forward_ports[0] <= rules.forward_ports[1] <= 65535:
        found.append("forward_ports are the least and the greatest port")
    if not rules.run_dir.startswith("/run/") or ".." in Path(rules.run_dir).parts:
        found.append("run_dir must be below /run")
    try:
        if rules.uid == 0:
            found.append("user is root, who needs nobody's permission")
    except KeyError:
        found.append(f"there is no user {rules.user!r}")
    return found
