"""A libvirtd of the test's own, in a mount namespace with private copies of the directories it insists on.
It may be killed and started again without disturbing the machine's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

from tests.contracts.waiting import until

_DIRECTORIES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
_START = """
set -e
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
    mkdir -p "${pair#*:}"; mount --bind "$1/${pair%%:*}" "${pair#*:}"
done
exec libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirt/libvirtd.pid
"""


class PrivateLibvirtd:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        for name in _DIRECTORIES:
            (directory / name).mkdir(parents=True)
        (directory / "etc" / "libvirtd.conf").write_text(
            f'host_uuid = "{uuid4()}"\nunix_sock_rw_perms = "0700"\nauth_unix_rw = "none"\n'
            f'log_outputs = "2:file:{directory}/log/libvirtd.log"\n'
        )
        (directory / "etc" / "qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\nremember_owner = 0\n'
        )

    @property
    def uri(self) -> str:
        return f"qemu:///system?mode=legacy&socket={self._socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def _socket(self) -> Path:
        return self._directory / "run" / "libvirt-sock"

    def start(self) -> None:
        with (self._directory / "log" / "stdout").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "--propagation",
                    "private",
                    "bash",
                    "-c",
                    _START,
                    "libvirtd",
                    str(self._directory),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._answers, "libvirtd listens")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; guests keep running."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def kill_guests(self) -> None:
        """Whatever a failed test left."""
        for file in (self._directory / "run" / "qemu").glob("*.pid"):
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except (ProcessLookupError, FileNotFoundError):
                continue
