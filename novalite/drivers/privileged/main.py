"""Runs the privileged process: the network driver of this machine, for the user that the filter file names."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from pathlib import Path
from types import FrameType

from novalite import logs
from novalite.drivers.network.linux import LinuxNetworkDriver
from novalite.drivers.privileged import rules as filter_file
from novalite.drivers.privileged.rules import Rules
from novalite.drivers.privileged.server import PrivilegedServer
from novalite.errors import Failed

_log = logs.get("privileged")
_GIVEN = 3  # systemd's first descriptor


def run_privileged(rules_file: Path, path: Path) -> None:
    """Serve until SIGTERM or SIGINT; networks stay. Must be called in the main thread. Raises ``Invalid`` for the
    filter file, ``Failed`` when the socket is taken."""
    rules = filter_file.read(rules_file)
    os.umask(0o022)
    listening = given() or listen(path, rules)
    server = PrivilegedServer(
        listening,
        rules,
        lambda appliance: LinuxNetworkDriver(appliance, run_dir=Path(rules.run_dir), tracking=rules.conntrack),
    )
    serve(server)


def serve(server: PrivilegedServer) -> None:
    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown, name="privileged-stop", daemon=True).start()

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    _log.info("privileged_ready", socket=str(server.server_address))
    try:
        server.serve_forever()
    finally:
        server.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def given() -> socket.socket | None:
    """The listening socket that systemd hands over; None when it hands over none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_GIVEN, False)
    return socket.socket(fileno=_GIVEN)


def listen(path: Path, rules: Rules) -> socket.socket:
    """A listening socket that root and the user's group may use. Raises ``Failed``."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _take_away(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        os.chown(path, 0, rules.gid)
        path.chmod(0o660)
    except OSError as error:
        raise Failed(f"Cannot listen at {path}: {error.strerror or error}.", code="privileged.socket") from error
    listening.listen(64)
    return listening


def _take_away(path: Path) -> None:
    """A socket that nobody listens at any more."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise Failed(f"{path} is there and is no socket.", code="privileged.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise Failed(f"Another process listens at {path}.", code="privileged.socket",
                 hint="One is enough for a machine.")  # fmt: skip
