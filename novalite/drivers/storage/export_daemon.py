"""The process that serves one compute host its volumes by NBD: a qemu-storage-daemon, which outlives this one."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from novalite.clock import Deadline
from novalite.drivers.storage.base import ExportSpec
from novalite.errors import DriverError

PROGRAM = "qemu-storage-daemon"
_SECONDS = 30.0
_STOP_SECONDS = 5.0
_DEVICES = "/dev/"


@dataclass(frozen=True)
class Listener:
    """Where a daemon listens, the directory of its key and certificates, and whom it lets in: the name of a
    certificate's owner."""

    address: str
    port: int
    tls: Path
    client: str


class ExportDaemon(Protocol):
    """Serves volumes to one compute host. Raises ``DriverError`` with code ``export.failed``."""

    def start(self, listener: Listener) -> bool:
        """Let it run, with this listener. False when it does already."""

    def served(self) -> frozenset[str]:
        """Ids of its exports; none when it does not run."""

    def add(self, spec: ExportSpec, name: str) -> None:
        """One that is not there yet, under a name that clients must know."""

    def remove(self, export_id: str) -> None:
        """Whoever uses it. Repeatable; nothing when it is not there, or nothing runs."""

    def stop(self) -> None: ...

    def pidfd(self) -> int | None:
        """A descriptor that becomes readable when it ends; the caller closes it. None when it does not run."""


class QemuDaemon:
    """Implements ``ExportDaemon``. Its pid file and the socket that it takes orders at are in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._pid_file, self._orders = self._directory / "pid", self._directory / "orders"

    def start(self, listener: Listener) -> bool:
        words = self._words(listener)
        if self._arguments() == words:
            return False
        self.stop()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._orders.unlink(missing_ok=True)
        try:
            # The path of a socket may be too long for one: it is told from within its directory.
            done = subprocess.run(words, cwd=self._directory, capture_output=True, text=True, errors="replace",
                                  timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        except FileNotFoundError as error:
            raise DriverError("export_volume", f"{PROGRAM} is not installed", code="driver.dependency",
                              hint="Install the package qemu-system-common.") from error  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _failed(f"{PROGRAM} did not begin within {_SECONDS:.0f} s", retryable=True) from error
        if done.returncode:
            raise _failed((done.stderr or done.stdout).strip() or f"{PROGRAM} ended with {done.returncode}")
        return True

    def _words(self, listener: Listener) -> list[str]:
        return [
            PROGRAM, "--daemonize", "--pidfile", str(self._pid_file),
            "--chardev", f"socket,id=orders,path={self._orders.name},server=on,wait=off",
            "--monitor", "chardev=orders",
            "--object", f"tls-creds-x509,id=tls,endpoint=server,verify-peer=on,dir={_escaped(str(listener.tls))}",
            "--object", f"authz-simple,id=client,identity={_escaped(listener.client)}",
            "--nbd-server", f"addr.type=inet,addr.host={listener.address},addr.port={listener.port},"
                            "tls-creds=tls,tls-authz=client",
        ]  # fmt: skip

    def served(self) -> frozenset[str]:
        if self._pid() is None:
            return frozenset()
        with self._session() as orders:
            return frozenset(_export_id(row["id"]) for row in orders.ask("query-block-exports"))

    def add(self, spec: ExportSpec, name: str) -> None:
        node, writable = _node(spec.id), not spec.read_only
        with self._session() as orders:
            if node not in orders.nodes():
                orders.ask("blockdev-add", **_block_node(spec, node))
            # A guest goes on after this has died: it must not miss what it was told is written.
            orders.ask(
                "block-export-add", type="nbd", id=_export(spec.id), **{"node-name": node}, name=name,
                writable=writable, writethrough=writable,
            )  # fmt: skip

    def remove(self, export_id: str) -> None:
        if self._pid() is None:
            return
        with self._session() as orders:
            if any(row["id"] == _export(export_id) for row in orders.ask("query-block-exports")):
                orders.ask("block-export-del", id=_export(export_id), mode="hard")
                orders.await_event("BLOCK_EXPORT_DELETED", _export(export_id))
            if _node(export_id) in orders.nodes():
                orders.ask("blockdev-del", **{"node-name": _node(export_id)})

    def stop(self) -> None:
        descriptor = self.pidfd()
        if descriptor is None:
            return
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(descriptor, number)
                if _ends(descriptor):
                    return
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)
        raise _failed(f"{PROGRAM} does not end", retryable=True)

    def pidfd(self) -> int | None:
        pid = self._pid()
        if pid is None:
            return None
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if self._pid() != pid:  # ended, and its number perhaps given to another, between the two looks
            os.close(descriptor)
            return None
        return descriptor

    def _pid(self) -> int | None:
        """The process that the pid file names, if it is one that was started for this directory."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if str(self._pid_file) in _arguments(pid) else None

    def _arguments(self) -> list[str]:
        pid = self._pid()
        return [] if pid is None else _arguments(pid)

    @contextmanager
    def _session(self) -> Iterator[_Orders]:
        try:
            with closing(_Orders(self._orders)) as orders:
                yield orders
        except (OSError, ValueError) as error:
            raise _failed(f"{PROGRAM} does not answer: {error}", retryable=True) from error


class _Orders:
    """A conversation in QEMU's machine protocol."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(directory)
        self._lines = self._socket.makefile("rb")
        self._events: list[dict[str, Any]] = []
        self._next()  # the greeting
        self.ask("qmp_capabilities")

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("it hung up")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, command: str, **arguments: Any) -> Any:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            told = self._next()
            if "error" in told:
                raise _failed(f"{command}: {told['error']['desc']}")
            if "return" in told:
                return told["return"]
            self._events.append(told)

    def nodes(self) -> set[str]:
        return {str(row["node-name"]) for row in self.ask("query-named-block-nodes", flat=True)}

    def await_event(self, name: str, id: str) -> None:
        deadline = Deadline(_SECONDS)
        while not any(each.get("event") == name and each["data"].get("id") == id for each in self._events):
            if deadline.passed:
                raise _failed(f"{name} does not come", retryable=True)
            self._events.append(self._next())

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _block_node(spec: ExportSpec, node: str) -> dict[str, Any]:
    """What QEMU opens. A qcow2 is never followed to another file."""
    path, common = spec.place.path, {"read-only": spec.read_only, "discard": "unmap",
                                     "cache": {"direct": _takes_direct_io(spec.place.path)}}  # fmt: skip
    below = {"driver": "host_device" if path.startswith(_DEVICES) else "file", "filename": path, **common}
    backing = {"backing": None} if spec.place.format == "qcow2" else {}
    return {"driver": spec.place.format, "node-name": node, "file": below, **common, **backing}


def _takes_direct_io(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


def _export(export_id: str) -> str:
    return f"e-{export_id}"


def _export_id(name: str) -> str:
    return name.removeprefix("e-")


def _node(export_id: str) -> str:
    """QEMU takes 31 characters."""
    return f"n{UUID(export_id).hex[:30]}"


def _escaped(text: str) -> str:
    """A comma ends a value on QEMU's command line."""
    return text.replace(",", ",,")


def _arguments(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]


def _ends(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_STOP_SECONDS * 1000))


def _failed(why: str, *, retryable: bool = False) -> DriverError:
    return DriverError("export_volume", why, code="export.failed", retryable=retryable)
