"""A libvirtd of the test's own, in a mount namespace with private copies of the directories it insists on.
It may be killed and started again without disturbing the machine's."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

from tests.contracts.waiting import until

_PR_SET_CHILD_SUBREAPER = 36
_KEEPER = """
set -e
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
    mkdir -p "${pair#*:}"; mount --bind "$1/${pair%%:*}" "${pair#*:}"
done
while read -r _; do
    libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirt/libvirtd.pid </dev/null &
done
"""
_DAEMON_CONF = """
host_uuid = "{uuid}"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
log_outputs = "2:file:{directory}/log/libvirtd.log"
"""
_QEMU_CONF = """
user = "{user}"
group = "{user}"
security_driver = "none"
stdio_handler = "file"
remember_owner = 0
nbd_tls_x509_cert_dir = "{directory}/tls"
"""


class PrivateLibvirtd:
    """``directory`` must be reachable for ``user``, whom guests run as."""

    def __init__(self, directory: Path, user: str = "root") -> None:
        self._directory = directory
        for name in ("etc", "run", "lib", "log", "cache", "tls"):
            (directory / name).mkdir(parents=True)
        (directory / "etc" / "libvirtd.conf").write_text(_DAEMON_CONF.format(uuid=uuid4(), directory=directory))
        (directory / "etc" / "qemu.conf").write_text(_QEMU_CONF.format(user=user, directory=directory))
        with (directory / "log" / "stdout").open("ab") as log:
            # The keeper adopts guests and buries them at once; not every machine's first process does.
            self._keeper = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-c", _KEEPER, "keeper", str(directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                preexec_fn=_adopt_orphans,
            )

    @property
    def uri(self) -> str:
        return f"qemu:///system?mode=legacy&socket={self._socket}"

    @property
    def pid(self) -> int:
        return int((self._directory / "run" / "libvirtd.pid").read_text())

    @property
    def keys(self) -> Path:
        """Where it looks for the key to volumes of other machines."""
        return self._directory / "tls"

    @property
    def _socket(self) -> Path:
        return self._directory / "run" / "libvirt-sock"

    def start(self) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(b"start\n")
        self._keeper.stdin.flush()
        until(self._answers, "libvirtd listens")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def send(self, how: signal.Signals) -> None:
        os.kill(self.pid, how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; guests keep running."""
        pid = self.pid
        os.kill(pid, how)
        until(lambda: not _exists(pid), "libvirtd ends")

    def guest_pid(self, guest_id: str) -> int:
        [file] = (self._directory / "run" / "qemu").glob(f"*{guest_id}.pid")
        return int(file.read_text())

    def close(self) -> None:
        """End everything, whatever a failed test left."""
        for file in (self._directory / "run").glob("**/*.pid"):
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                continue
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(300)


def _adopt_orphans() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
