"""The smallest Ceph that serves RBD: one monitor and one OSD in a file, without authentication, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.contracts.ports import free_port
from tests.contracts.waiting import until

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "rbd", "rados")


def missing() -> str:
    """Why there can be no cluster here; empty when there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "a cluster needs root"


@contextmanager
def cluster() -> Iterator[Path]:
    """The configuration of one that has a pool ``rbd``."""
    with tempfile.TemporaryDirectory(prefix="nlc-") as name:
        directory = Path(name)
        config = _configure(directory, free_port())
        daemons: list[subprocess.Popen[bytes]] = []
        try:
            _monitor(directory, config, daemons)
            _osd(directory, config, daemons)
            _run("ceph", "-c", str(config), "osd", "pool", "create", "rbd", "8")
            yield config
        finally:
            for daemon in reversed(daemons):
                daemon.send_signal(signal.SIGKILL)
                daemon.wait(300)


def _configure(directory: Path, port: int) -> Path:
    for part in ("mon", "osd", "run"):
        (directory / part).mkdir()
    config = directory / "ceph.conf"
    text = f"""
[global]
fsid = {uuid4()}
mon initial members = a
mon host = v1:127.0.0.1:{port}
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block create = true
bluestore block size = 2147483648
osd memory target = 1073741824
mon data avail warn = 2
mon data avail crit = 1
mon data = {directory}/mon
osd data = {directory}/osd
run dir = {directory}/run
log file = {directory}/$type.log
log to stderr = false
admin socket = {directory}/run/$type.$id.asok
pid file =
"""
    config.write_text(text)
    return config


def _monitor(directory: Path, config: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    fsid = next(line.split()[-1] for line in config.read_text().splitlines() if line.startswith("fsid"))
    address = next(line.split()[-1] for line in config.read_text().splitlines() if line.startswith("mon host"))
    map_file = str(directory / "monmap")
    _run("monmaptool", "--create", "--addv", "a", f"[{address}]", "--fsid", fsid, map_file)
    _run("ceph-mon", "-c", str(config), "--mkfs", "-i", "a", "--monmap", map_file)
    daemons.append(_start("ceph-mon", "-c", str(config), "-i", "a"))
    until(lambda: _answers("ceph", "-c", str(config), "mon", "stat"), "the monitor answers")


def _osd(directory: Path, config: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    uuid = str(uuid4())
    _run("ceph", "-c", str(config), "osd", "new", uuid)
    _run("ceph-osd", "-c", str(config), "-i", "0", "--mkfs", "--osd-uuid", uuid)
    # Told the cluster's id by the file alone: one that has asked the monitor for its configuration forgets the id and,
    # if what it says next is on its way before the monitor's map, is refused ("wrong fsid") and ends.
    osd = _start("ceph-osd", "-c", str(config), "-i", "0", "--no-mon-config")
    daemons.append(osd)

    def is_up() -> bool:
        assert osd.poll() is None, f"the OSD has ended:\n{(directory / 'osd.log').read_text()[-3000:]}"
        return b"1 up" in _said("ceph", "-c", str(config), "osd", "stat")

    until(is_up, "the OSD is up")


def _run(*words: str) -> None:
    while True:
        done = subprocess.run(words, capture_output=True, timeout=300, check=False)
        if done.returncode == 0:
            return
        told = done.stderr.decode(errors="replace")
        # A client's first word may come too early as well.
        early = "wrong fsid" in told or "getting command descriptions" in told
        assert early, f"{' '.join(words)}: {told}"


def _said(*words: str) -> bytes:
    try:
        return subprocess.run(words, capture_output=True, timeout=60, check=False).stdout
    except subprocess.TimeoutExpired:
        return b""


def _answers(*words: str) -> bool:
    return bool(_said(*words))


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([words[0], "-f", *words[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
