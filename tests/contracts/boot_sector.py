"""A bootable disk with 512 bytes on it: enough of an operating system to test a hypervisor with."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from novalite.drivers.compute.base import ImageSpec

_PRINT = bytes.fromhex(
    "31c0"  # xor ax,ax
    "8ed8"  # mov ds,ax
    "be0000"  # mov si,TEXT
    "fc"  # cld
    "ac"  # next: lodsb
    "84c0"  # test al,al
    "7412"  # jz done
    "88c3"  # mov bl,al
    "bafd03"  # mov dx,3fdh
    "ec"  # wait: in al,dx
    "a820"  # test al,20h
    "74fb"  # jz wait
    "88d8"  # mov al,bl
    "baf803"  # mov dx,3f8h
    "ee"  # out dx,al
    "ebe9"
)  # jmp next
_HEAR_NMI = bytes.fromhex(
    "c7060800a07c"  # mov word [8],7ca0h (interrupt 2)
    "c7060a000000"  # mov word [0ah],0
)
_ON_NMI = bytes.fromhex(
    "50"  # push ax
    "52"  # push dx
    "baf803"  # mov dx,3f8h
    "b021"  # mov al,'!'
    "ee"  # out dx,al
    "5a"  # pop dx
    "58"  # pop ax
    "cf"  # iret
)
_OBEY = bytes.fromhex(
    "ba04ae"  # idle: mov dx,0ae04h (PCI devices that are to go, on machine type pc)
    "66ed"  # in eax,dx
    "ba08ae"  # mov dx,0ae08h (let them go)
    "66ef"  # out dx,eax
    "fb"  # sti
    "f4"  # hlt, until the timer ticks (18 times a second)
    "bafd03"  # again: mov dx,3fdh
    "ec"  # in al,dx
    "a801"  # test al,1
    "74ec"  # jz idle
    "baf803"  # mov dx,3f8h
    "ec"  # in al,dx
    "3c6f"  # cmp al,'o'
    "7407"  # je off
    "3c70"  # cmp al,'p'
    "740e"  # je panic
    "ee"  # out dx,al
    "ebe9"  # jmp again
    "ba0406"  # off: mov dx,604h (the control register of ACPI power management)
    "b80020"  # mov ax,2000h (sleep now, type 0: soft off)
    "ef"  # out dx,ax
    "fbf4ebfd"  # sti; hlt; jmp back
    "ba0505"  # panic: mov dx,505h (pvpanic)
    "b001"  # mov al,1
    "ee"  # out dx,al
    "fbf4ebfd"  # sti; hlt; jmp back
)
_FILL = bytes.fromhex(
    "be907c"  # next: mov si,7c90h (what to write where)
    "b80043"  # mov ax,4300h (extended write)
    "b280"  # mov dl,80h
    "cd13"  # int 13h
    "8306987c40"  # add word [7c98h],64 (the sector after)
    "83169a7c00"  # adc word [7c9ah],0
    "ebea"  # jmp next
)
_FILL_AT = 0x7C90
_FILL_WITH = (
    bytes.fromhex("1000400000800000")  # 64 sectors of what lies at 0:8000h
    + (2048).to_bytes(8, "little")  # from the second MiB on
)
_DISK_BYTES = 1 << 20  # the BIOS does not boot from disks that are much smaller
_NMI_AT, _TEXT_AT = 0x7CA0, 0x7CC0


GREETING = b"guest is up\r\n"
NMI = b"!"
POWER_OFF, PANIC = b"o", b"p"


def obedient(text: bytes = GREETING) -> bytes:
    """Prints ``text``, then echoes what is typed, but 'o' powers it off and 'p' makes it panic. It answers
    '!' to an NMI and lets devices go."""
    print_it = _PRINT[:5] + _TEXT_AT.to_bytes(2, "little") + _PRINT[7:]
    code = print_it[:4] + _HEAR_NMI + print_it[4:] + _OBEY
    assert len(code) <= _NMI_AT - 0x7C00
    code = code.ljust(_NMI_AT - 0x7C00, b"\0") + _ON_NMI
    sector = (code.ljust(_TEXT_AT - 0x7C00, b"\0") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    return sector + bytes(_DISK_BYTES - len(sector))


def greedy(text: bytes = GREETING) -> bytes:
    """Prints ``text``, then fills its disk."""
    code = _PRINT[:5] + _TEXT_AT.to_bytes(2, "little") + _PRINT[7:] + _FILL
    assert len(code) <= _FILL_AT - 0x7C00
    code = code.ljust(_FILL_AT - 0x7C00, b"\0") + _FILL_WITH
    sector = (code.ljust(_TEXT_AT - 0x7C00, b"\0") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    return sector + bytes(_DISK_BYTES - len(sector))


def bootable_iso(text: bytes = GREETING) -> bytes:
    """A medium that does the same when it is booted from."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "root"
        folder.mkdir()
        (folder / "boot.img").write_bytes(obedient(text)[:2048])
        words = ["genisoimage", "-quiet", "-o", f"{name}/out.iso", "-b", "boot.img", "-no-emul-boot",
                 "-boot-load-size", "4", str(folder)]  # fmt: skip
        subprocess.run(words, check=True, timeout=60)
        return (Path(name) / "out.iso").read_bytes()


@dataclass(frozen=True)
class BytesSource:
    """An image source whose bytes are at hand. With ``path`` they are also in a file of this machine."""

    content: bytes
    path: Path | None = None

    def chunks(self) -> Iterator[bytes]:
        yield self.content


def image_of(image_id: str, content: bytes) -> ImageSpec:
    return ImageSpec(image_id, "raw", len(content), hashlib.sha512(content).hexdigest())
