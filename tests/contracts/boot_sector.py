"""Bootable disks with 512 bytes on them: enough of an operating system to test a hypervisor with.

Each prints its text to the first serial port and then does one thing.
"""

from __future__ import annotations

import hashlib
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
_IDLE = bytes.fromhex("fbf4ebfd")  # sti; hlt; jmp back
_ECHO = bytes.fromhex(
    "bafd03"  # again: mov dx,3fdh
    "ec"  # in al,dx
    "a801"  # test al,1
    "74f8"  # jz again
    "baf803"  # mov dx,3f8h
    "ec"  # in al,dx
    "ee"  # out dx,al
    "ebf1"
)  # jmp again
# PIIX4 and ICH9 power management: SLP_EN with type 0 is S5. SeaBIOS puts the registers at 0x600.
_POWER_OFF = bytes.fromhex("ba0406b80020effbf4ebfd")
_DISK_BYTES = 1 << 20  # the BIOS does not boot from disks that are much smaller
_TEXT_AT = 0x7C00 + 0x80


def boot_sector(then: bytes, text: bytes) -> bytes:
    code = _PRINT[:5] + _TEXT_AT.to_bytes(2, "little") + _PRINT[7:] + then
    return (code.ljust(0x80, b"\0") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa" + bytes(_DISK_BYTES - 512)


def idle(text: bytes = b"hello from the guest\r\n") -> bytes:
    return boot_sector(_IDLE, text)


def echo(text: bytes = b"type something\r\n") -> bytes:
    return boot_sector(_ECHO, text)


def power_off(text: bytes = b"good bye\r\n") -> bytes:
    return boot_sector(_POWER_OFF, text)


@dataclass(frozen=True)
class BytesSource:
    """An image source whose bytes are at hand. With ``path`` they are also in a file of this machine."""

    content: bytes
    path: Path | None = None

    def chunks(self) -> Iterator[bytes]:
        yield self.content


def image_of(image_id: str, content: bytes) -> ImageSpec:
    return ImageSpec(image_id, "raw", len(content), hashlib.sha512(content).hexdigest())
