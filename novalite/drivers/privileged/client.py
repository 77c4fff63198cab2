"""The network port for a process without root: every call goes to ``novalite privileged``."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec

from novalite.drivers import calls
from novalite.drivers.network.base import (
    GroupSpec,
    HostForwardSpec,
    LanSpec,
    NetworkReport,
    NetworkSpec,
    PortSpec,
    RouterSpec,
)
from novalite.drivers.privileged.messages import (
    ANSWER_BYTES,
    CALL_BYTES,
    METHODS,
    NONE,
    SOCKETS,
    VERSION,
    Answer,
    Broken,
    Call,
    receive,
    send,
)
from novalite.errors import DriverError

_SECONDS = 300.0
_HINT = "Start it: 'systemctl start novalite-privileged.socket', or 'novalite privileged' as root."


class PrivilegedNetworkDriver:
    """Implements ``NetworkDriver``. Each call has a connection of its own; ``close`` ends those that wait."""

    def __init__(self, path: str | Path, appliance_id: str) -> None:
        self._path, self._appliance_id = str(path), appliance_id
        self._waiting: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    def used_ranges(self) -> tuple[str, ...]:
        return tuple(self._call("used_ranges"))

    def ensure_network(self, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None = None) -> None:
        self._call("ensure_network", spec=spec, ports=ports)

    def remove_network(self, network_id: str) -> None:
        self._call("remove_network", network_id=network_id)

    def ensure_port(self, port: PortSpec) -> None:
        self._call("ensure_port", port=port)

    def remove_port(self, network_id: str, port_id: str) -> None:
        self._call("remove_port", network_id=network_id, port_id=port_id)

    def ensure_groups(self, groups: tuple[GroupSpec, ...], *, only: bool = False) -> None:
        self._call("ensure_groups", groups=groups, only=only)

    def remove_group(self, group_id: str) -> None:
        self._call("remove_group", group_id=group_id)

    def ensure_routers(self, routers: tuple[RouterSpec, ...], *, only: bool = False) -> None:
        self._call("ensure_routers", routers=routers, only=only)

    def remove_router(self, router_id: str) -> None:
        self._call("remove_router", router_id=router_id)

    def ensure_forwards(self, forwards: tuple[HostForwardSpec, ...]) -> None:
        self._call("ensure_forwards", forwards=forwards)

    def attach_lan(self, interface: str, *, wait_seconds: float) -> LanSpec:
        found: LanSpec = self._call("attach_lan", interface=interface, wait_seconds=wait_seconds)
        return found

    def detach_lan(self, interface: str) -> None:
        self._call("detach_lan", interface=interface)

    def metadata_sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        found: tuple[socket.socket, ...] = self._call("metadata_sockets", network_id=network_id)
        return found

    def check(self) -> NetworkReport:
        report: NetworkReport = self._call("check")
        return report

    def watch(self, timeout_seconds: float) -> tuple[str, ...]:
        return tuple(self._call("watch", timeout_seconds=timeout_seconds))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for connection in waiting:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _call(self, operation: str, **arguments: Any) -> Any:
        method = METHODS[operation]
        call = Call(VERSION, self._appliance_id, operation, msgspec.Raw(method.encode_call((), arguments)))
        if len(call.arguments) > CALL_BYTES - 1024:
            raise DriverError(operation, f"the call has more than {CALL_BYTES} bytes", code="driver.bad_call")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            self._connect(connection, operation)
            try:
                received = self._asked(connection, call, _SECONDS + arguments.get("timeout_seconds", 0.0))
            except (Broken, OSError) as error:
                if self._closed and operation == "watch":
                    return ()
                raise DriverError(
                    operation, f"the privileged process gave no answer: {error}", code="driver.privileged",
                    retryable=True,
                ) from error  # fmt: skip
            finally:
                with self._lock:
                    self._waiting.discard(connection)
            return received

    def _connect(self, connection: socket.socket, operation: str) -> None:
        connection.settimeout(10.0)
        try:
            connection.connect(self._path)
        except OSError as error:
            raise DriverError(
                operation, f"the privileged process cannot be reached at {self._path}: {error.strerror or error}",
                code="driver.privileged", retryable=True, hint=_HINT,
            ) from error  # fmt: skip
        with self._lock:
            if self._closed:
                raise DriverError(operation, "the driver is closed", code="driver.privileged")
            self._waiting.add(connection)

    def _asked(self, connection: socket.socket, call: Call, seconds: float) -> Any:
        send(connection, call)
        received = receive(connection, ANSWER_BYTES, seconds=seconds, sockets=call.operation in SOCKETS)
        if received is None:
            if self._closed:
                raise Broken("the driver was closed")
            raise Broken("it hung up; its log says why (is this the user that the filter file names?)")
        return _result(call.operation, received.body, received.sockets)


def _result(operation: str, body: bytes, sockets: tuple[socket.socket, ...]) -> Any:
    try:
        answer = msgspec.json.decode(body, type=Answer)
        if answer.error == NONE:
            return sockets if operation in SOCKETS else METHODS[operation].decode_result(answer.result)
    except msgspec.DecodeError as error:
        raise Broken(f"its answer makes no sense: {error}") from error
    raise calls.decode_error(operation, answer.error, otherwise=_HINT)
