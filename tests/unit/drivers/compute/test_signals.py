"""What is told while others look, and who waits for it."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import libvirt
import pytest

from novalite.drivers.compute.libvirt import snapshots
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.drivers.compute.libvirt.snapshots import Snapshots

_DEADLINE = 60.0


def test_what_is_told_between_the_look_and_the_wait_is_not_missed() -> None:
    signal = Signal()
    heard = signal.heard()
    signal.tell()
    assert signal.wait(heard, _DEADLINE)
    assert not signal.wait(signal.heard(), 0)


def test_everybody_who_waits_is_told() -> None:
    signal, woken = Signal(), list[bool]()
    heard = signal.heard()
    waiting = [threading.Thread(target=lambda: woken.append(signal.wait(heard, _DEADLINE))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    signal.tell()
    for thread in waiting:
        thread.join(_DEADLINE)
    assert woken == [True] * 3


class _Copied:
    """A guest whose copy ends just after the first look, of which libvirt tells at once."""

    def __init__(self, jobs: Signal, part: Path) -> None:
        self._jobs, self._part, self.looks = jobs, part, 0

    def isActive(self) -> bool:
        return True

    def backupGetXMLDesc(self, flags: int) -> str:
        self.looks += 1
        self._jobs.tell()
        return str(self._part) if self.looks == 1 else "<domainbackup/>"

    def jobStats(self, flags: int = 0) -> dict[str, int]:
        if flags == libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED:
            return {"type": libvirt.VIR_DOMAIN_JOB_COMPLETED}
        self.looks += 1
        self._jobs.tell()
        return {"type": libvirt.VIR_DOMAIN_JOB_UNBOUNDED if self.looks == 1 else libvirt.VIR_DOMAIN_JOB_NONE}


class _Waits(Signal):
    """Never waits for a time to pass."""

    def wait(self, heard: int, seconds: float) -> bool:
        assert super().wait(heard, 0), "the end was told, and missed"
        return True


def test_the_end_of_a_copy_is_seen_when_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, part = _Waits(), tmp_path / "part"
    part.touch()
    guest = _Copied(jobs, part)
    connection = SimpleNamespace(call=lambda op, do, *given: do(None, *given))
    domains = SimpleNamespace(known=lambda *given: guest, find=lambda *given: guest)
    places = SimpleNamespace(guest=lambda guest_id: SimpleNamespace(lend=lambda path: None))
    secrets = SimpleNamespace(held=lambda keys: nullcontext(), ensure=lambda connection, keys: None)
    tested = cast(Any, Snapshots)(connection, domains, places, tmp_path, secrets, jobs)
    tested._await_end(guest, part)
    assert guest.looks == 2
    guest.looks = 0
    monkeypatch.setattr(tested, "_begin", lambda *given: True)
    monkeypatch.setattr(f"{snapshots.__name__}.disks.virtual_size", lambda *given: 0)
    monkeypatch.setattr(f"{snapshots.__name__}.encrypted.create", lambda *given: None)
    found = snapshots.FoundDisk("vda", tmp_path / "disk", "qcow2")
    copy = snapshots._Copy(found, "root", "x", snapshots._Files(part, part, part), None)
    assert tested._copy_running("g", [copy])
    assert guest.looks == 2
