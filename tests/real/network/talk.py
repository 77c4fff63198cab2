"""Programs run inside namespaces: an echo server, and a client that keeps one connection and says what comes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SERVER = """
import socket, sys, threading
port = int(sys.argv[1])
tcp = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("", port))
def datagrams():
    while True:
        data, peer = udp.recvfrom(65535)
        udp.sendto(data, peer)
def stream(connection, peer):
    while data := connection.recv(65535):
        connection.sendall(peer[0].removeprefix("::ffff:").encode() + b" " + data)
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    threading.Thread(target=stream, args=tcp.accept(), daemon=True).start()
"""
_CLIENT = """
import socket, sys
try:
    peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)
except OSError:
    print("unreached", flush=True)
    sys.exit()
print("reached", flush=True)
for line in sys.stdin:
    try:
        peer.sendall(line.encode())
        print(peer.recv(65535).decode().strip(), flush=True)
    except OSError:
        print("silence", flush=True)
"""
_DATAGRAM = """
import socket, sys
peer = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(1)
peer.sendto(b"x" * int(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
try:
    print(len(peer.recv(65535)))
except OSError:
    print(0)
"""


def _python(namespace: str, script: str, *arguments: str) -> subprocess.Popen[str]:
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    return subprocess.Popen([*inside, sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)  # fmt: skip


@contextmanager
def _running(namespace: str, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = _python(namespace, script, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def server(namespace: str, port: int) -> Iterator[None]:
    """TCP and UDP echo at ``port`` of the namespace; over TCP the peer's address comes first. Empty: here."""
    with _running(namespace, _SERVER, str(port)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield


class Connection:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def says(self, word: str) -> str:
        """What comes back within a second: the address the peer sees, and the word; or ``silence``."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self.line()


@contextmanager
def connection(namespace: str, address: str, port: int) -> Iterator[Connection | None]:
    """An open TCP connection; None when there is no answer within a second."""
    with _running(namespace, _CLIENT, address, str(port)) as process:
        found = Connection(process)
        yield found if found.line() == "reached" else None


def connects(namespace: str, address: str, port: int) -> bool:
    with connection(namespace, address, port) as found:
        return found is not None


def seen_as(namespace: str, address: str, port: int) -> str:
    """The address that an echo server sees; empty when it is not reached."""
    with connection(namespace, address, port) as found:
        return found.says("hello").split()[0] if found else ""


def datagram_returns(namespace: str, address: str, port: int, size: int = 5) -> bool:
    with _running(namespace, _DATAGRAM, address, str(port), str(size)) as process:
        assert process.stdout is not None
        return int(process.stdout.readline()) == size
