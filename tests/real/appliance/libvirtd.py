"""The machine's libvirtd: the one that runs, or one started as the installation starts it."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from tests.contracts.waiting import until

_CONF = """\
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""


def answers() -> bool:
    probe = ["virsh", "-q", "-c", "qemu:///system", "version"]
    return subprocess.run(probe, capture_output=True, timeout=300, check=False).returncode == 0


def ensure_libvirtd() -> None:
    """Leaves it running: others may use it."""
    directory = Path("/run/novalite")
    directory.mkdir(exist_ok=True)
    with (directory / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answers():
            _start(directory)


def _start(directory: Path) -> None:
    conf = directory / "libvirtd.conf"
    conf.write_text(_CONF)
    pid_file = str(directory / "libvirtd.pid")
    subprocess.run(["libvirtd", "--daemon", "--config", str(conf), "--pid-file", pid_file], timeout=300, check=True)
    until(answers, "libvirtd answers")
