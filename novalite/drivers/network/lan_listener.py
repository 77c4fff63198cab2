"""Listens on uplinks to the LAN for addresses that guests get there, and remembers them."""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from novalite import logs
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import PortSpec, network_namespace, uplink_name
from novalite.drivers.network.lan_frames import FILTER, acknowledged, claimed, requested

_ALL, _OUTGOING, _ATTACH_FILTER = 0x0003, 4, 26
_MOST = 4096
_MOST_EACH = 8
_log = logs.get("network")
Key = tuple[str, str]


class LanListener:
    """One thread for all networks. ``file`` keeps what was learned for the next process; ``on_learned`` is called
    with the network after something new. Methods may be called from several threads at once."""

    def __init__(self, file: Path, on_learned: Callable[[str], None]) -> None:
        self._file, self._on_learned = file, on_learned
        self._lock = threading.Lock()
        self._found: OrderedDict[Key, list[str]] = OrderedDict(self._kept())
        self._asked: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._sockets: dict[str, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._read, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None
        self._closed = False

    def _kept(self) -> list[tuple[Key, list[str]]]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[tuple[Key, list[str]]])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("a file is unreadable and will be made again", file=str(self._file), error=str(error))
            return []

    def listen(self, network_id: str) -> None:
        """From now on at the far end of the network's uplink, which is there; instead of where it did before."""
        opened = namespaces.within(network_namespace(network_id), lambda: _open(uplink_name(network_id)))
        with self._lock:
            before = self._sockets.get(network_id)
            self._sockets[network_id] = opened
            self._drop(before)
            self._selector.register(opened, selectors.EVENT_READ, network_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="LAN listener", daemon=True)
                self._thread.start()
        os.write(self._write, b"!")

    def forget(self, network_id: str) -> None:
        """No longer, and nothing is known of it."""
        with self._lock:
            self._drop(self._sockets.pop(network_id, None))
            for key in [key for key in self._found if key[0] == network_id]:
                del self._found[key]

    def _drop(self, one: socket.socket | None) -> None:
        if one is not None and one.fileno() >= 0:
            self._selector.unregister(one)
            one.close()

    def learned(self, ports: Iterable[PortSpec]) -> tuple[tuple[str, str], ...]:
        """(port id, address) of those of these ports that were seen to get one."""
        with self._lock:
            return tuple(
                (port.id, address)
                for port in ports
                for address in self._found.get((port.network_id, port.mac_address), ())
            )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread = self._thread
        os.write(self._write, b"!")
        if thread is not None:
            thread.join()
        with self._lock:
            for one in self._sockets.values():
                self._drop(one)
            self._sockets.clear()

    def _run(self) -> None:
        while True:
            ready = self._selector.select()
            if self._closed:
                return
            news = {key.data for key, _ in ready if self._take(key)}
            if news:
                self._keep()
            for network_id in news:
                self._on_learned(network_id)

    def _take(self, key: selectors.SelectorKey) -> bool:
        if key.data is None:
            os.read(self._read, 4096)
            return False
        one = key.fileobj
        assert isinstance(one, socket.socket)
        try:
            frame, where = one.recvfrom(2048)
        except BlockingIOError:
            return False
        except OSError:  # the link has gone; `listen` is called when it is there again
            with self._lock:
                if self._sockets.get(key.data) is one:
                    del self._sockets[key.data]
                self._drop(one)
            return False
        seen = self._claimed(frame) if where[2] == _OUTGOING else self._answered(frame)
        return seen is not None and self._note(key.data, *seen)

    def _claimed(self, frame: bytes) -> tuple[str, str] | None:
        """From a guest: perhaps a question whose answer is to be believed."""
        if (asked := requested(frame)) is not None:
            self._asked[asked] = None
            self._asked.move_to_end(asked)
            while len(self._asked) > _MOST:
                self._asked.popitem(last=False)
        return claimed(frame)

    def _answered(self, frame: bytes) -> tuple[str, str] | None:
        """From the LAN: nothing is believed that no guest has asked for."""
        found = acknowledged(frame)
        return (found[0], found[2]) if found is not None and found[:2] in self._asked else None

    def _note(self, network_id: str, mac: str, address: str) -> bool:
        """Whether it is news. The oldest is forgotten: the memory is bounded."""
        key, is_4 = (network_id, mac), ":" not in address
        with self._lock:
            if self._sockets.get(network_id) is None:
                return False
            before = self._found.get(key, [])
            if address in before:
                self._found.move_to_end(key)
                return False
            old4 = [old for old in before if ":" not in old]
            old6 = [old for old in before if ":" in old]
            self._found[key] = [address, *old6] if is_4 else [*old4, *old6[1 - _MOST_EACH :], address]
            self._found.move_to_end(key)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
        _log.info("a guest has an address of the LAN", network_id=network_id, mac=mac, address=address)
        return True

    def _keep(self) -> None:
        with self._lock:
            data = msgspec.json.encode(list(self._found.items()))
        temporary = self._file.with_suffix(".new")
        try:
            temporary.write_bytes(data)
            temporary.replace(self._file)
        except OSError as error:
            _log.warning("learned addresses cannot be kept", file=str(self._file), error=str(error))


def _open(link: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        program = b"".join(struct.pack("=HBBI", *step) for step in FILTER)
        memory = ctypes.create_string_buffer(program)
        filter_ = struct.pack("@HP", len(FILTER), ctypes.addressof(memory))
        opened.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filter_)
        opened.bind((link, _ALL))
    except BaseException:
        opened.close()
        raise
    return opened
