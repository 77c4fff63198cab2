"""Decides between KVM and emulation by proof: /dev/kvm can exist, open, and still crash every guest."""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import select
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from novalite import logs
from novalite.clock import Deadline
from novalite.drivers.compute.libvirt.places import QemuUser

_log = logs.get("libvirt")
_PROOF_SECONDS = 20.0
_EXIT_VALUE = 0x31
_EXIT_STATUS = _EXIT_VALUE << 1 | 1  # what isa-debug-exit makes of it
_EXIT_PORT = 0xF4
_STUCK = b"internal error"

# Some machines run real mode and refuse more, so the sector enters protected mode (gdt: flat code and data), raises an
# interrupt whose handler returns, and only then tells QEMU to exit:
#   cli; xor ax,ax; mov ds,ax; lgdt [gdtr]; lidt [idtr]; mov eax,cr0; or al,1; mov cr0,eax; jmp 8:pm
#   pm: mov ax,16; mov ds,ax; mov ss,ax; mov esp,7000h; mov [8180h],80000h+handler; mov [8184h],8e00h; int 30h
#   mov al,VALUE; mov dx,PORT; out dx,al; self: hlt; jmp self; handler: iret; gdt, gdtr, idtr
_BOOT_SECTOR = (
    bytes.fromhex(
        "fa31c08ed8660f0116687c660f011e6e7c0f20c00c010f22c0ea1e7c080066b810008ed88ed0bc00700000c705808100004b7c0800"
        "c70584810000008e0000cd30"
    )
    + bytes([0xB0, _EXIT_VALUE, 0x66, 0xBA, _EXIT_PORT, 0x00, 0xEE])
    + bytes.fromhex("f4ebfdcf8d7426000000000000000000ffff0000009bcf00ffff00000093cf001700507c0000ff0300800000")
).ljust(510, b"\0") + b"\x55\xaa"


@dataclass(frozen=True)
class Verdict:
    """``virt_type`` is kvm or qemu; ``words`` say why."""

    virt_type: str
    words: str


@dataclass(frozen=True)
class _Proof:
    key: str
    verdict: Verdict


class Acceleration:
    """Finds the verdict once per QEMU, kernel and processor, and remembers it in ``file``."""

    def __init__(self, wanted: str, file: Path) -> None:
        self._wanted, self._file = wanted, file
        self._verdict: Verdict | None = None
        self._lock = threading.Lock()

    def verdict(self, emulator: str, qemu_version: int, libvirt_has_kvm: bool, user: QemuUser) -> Verdict:
        with self._lock:
            if self._verdict is None:
                self._verdict = self._find(emulator, qemu_version, libvirt_has_kvm, user)
                _log.info("acceleration", virt_type=self._verdict.virt_type, why=self._verdict.words)
            return self._verdict

    def _find(self, emulator: str, qemu_version: int, libvirt_has_kvm: bool, user: QemuUser) -> Verdict:
        if self._wanted == "qemu":
            return Verdict("qemu", "emulation (TCG): chosen by the setting compute.virt_type")
        if self._wanted == "kvm":
            return Verdict("kvm", "KVM: chosen by the setting compute.virt_type, not proved")
        if not os.path.exists("/dev/kvm"):
            return Verdict("qemu", "emulation (TCG): this machine has no /dev/kvm")
        if not libvirt_has_kvm:
            return Verdict("qemu", "emulation (TCG): /dev/kvm exists, but libvirt offers no KVM guests")
        proof = hashlib.sha256(_BOOT_SECTOR).hexdigest()[:8]
        key = f"{emulator} {qemu_version} {platform.release()} {processor()} {user.uid} {proof}"
        return self._remembered(key) or self._prove(key, emulator, user)

    def _remembered(self, key: str) -> Verdict | None:
        try:
            proof = msgspec.json.decode(self._file.read_bytes(), type=_Proof)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return proof.verdict if proof.key == key else None

    def _prove(self, key: str, emulator: str, user: QemuUser) -> Verdict:
        problem = boot_proof(emulator, "kvm", user)
        verdict = (
            Verdict("qemu", f"emulation (TCG): /dev/kvm exists, but a test guest failed: {problem}")
            if problem
            else Verdict("kvm", "KVM: a test guest ran")
        )
        self._file.write_bytes(msgspec.json.encode(_Proof(key, verdict)))
        return verdict


def boot_proof(emulator: str, accelerator: str, user: QemuUser) -> str:
    """Boot a sector that tells QEMU to exit with a known status. Empty when it did, else what happened."""
    with tempfile.TemporaryDirectory(prefix="novalite-proof-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        disk = directory / "boot.raw"
        disk.write_bytes(_BOOT_SECTOR)
        cpu = "host" if accelerator == "kvm" else "max"
        argv = [
            emulator,
            "-accel",
            accelerator,
            "-machine",
            "pc",
            "-cpu",
            cpu,
            "-m",
            "16",
            "-display",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-serial",
            "none",
            "-monitor",
            "none",
            "-device",
            f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=0x04",
            "-drive",
            f"file={disk},format=raw,if=ide,readonly=off,snapshot=on",
        ]
        return _outcome(argv, user)


def _outcome(argv: list[str], user: QemuUser) -> str:
    """Empty when QEMU exits as the sector asks. A guest that KVM cannot go on with is paused, so words of failure end
    the wait too."""
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0 and user.uid != 0:
        as_user = {"user": user.uid, "group": user.gid, "extra_groups": _groups(user)}
    try:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **as_user
        ) as process:
            try:
                said, ended = _words(process, Deadline(_PROOF_SECONDS))
            finally:
                process.kill()
    except OSError as error:
        return str(error)
    if process.returncode == _EXIT_STATUS:
        return ""
    complaint = said.strip().splitlines()
    if complaint:
        return complaint[0]
    return f"QEMU ended with status {process.returncode}" if ended else f"it hung for {_PROOF_SECONDS:.0f} s"


def _words(process: subprocess.Popen[bytes], deadline: Deadline) -> tuple[str, bool]:
    """What the program says until it ends, says that it cannot go on, or has had its time; whether it ended."""
    assert process.stderr is not None
    said = b""
    while _STUCK not in said and select.select([process.stderr], [], [], deadline.remaining)[0]:
        more = os.read(process.stderr.fileno(), 4096)
        if not more:
            process.wait(max(deadline.remaining, 1.0))
            return said.decode(errors="replace"), True
        said += more
    return said.decode(errors="replace"), False


def _groups(user: QemuUser) -> list[int]:
    """The user's supplementary groups: /dev/kvm is usually opened through one of them."""
    try:
        return os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        return [user.gid]


def processor() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
