"""What a guest's console tells of its boot: that it came up, that it will not, or nothing yet."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")
_UP = (
    (re.compile(r"^\S{1,64} login: *(\[|$)", re.MULTILINE), "It came to a login prompt."),
    (re.compile(r"^Cloud-init v\. \S+ finished at", re.MULTILINE | re.IGNORECASE), "cloud-init finished."),
    (re.compile(r"Reached target \S{0,40} ?-? ?(Multi-User|Graphical) (System|Interface)"), "systemd came up."),
)
_DOWN = (
    (re.compile(r"Kernel panic - not syncing[^\n]{0,200}"), "The kernel panicked"),
    (re.compile(r"(No bootable (device|medium)|not a bootable disk)[^\n]{0,80}", re.IGNORECASE), "Nothing boots"),
    (re.compile(r"^(error: [^\n]{0,160}\s+)?(Entering rescue mode|grub rescue>)", re.MULTILINE), "GRUB gave up"),
    (re.compile(r"You are in (emergency|rescue) mode[^\n]{0,80}", re.IGNORECASE), "It is in emergency mode"),
    (re.compile(r"^\(initramfs\)|dropping to (a|an emergency) shell", re.MULTILINE | re.IGNORECASE),
     "Its initial system found no root disk"),
    (re.compile(r"^(UEFI Interactive Shell|Shell>)", re.MULTILINE), "Its firmware found nothing to boot"),
)  # fmt: skip


def readable(console: bytes) -> str:
    """Without what moves cursors and paints."""
    return _ESCAPES.sub("", console.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n"))


def came_up(text: str, expect: str) -> str:
    """Why the guest counts as up, empty while it does not. With ``expect`` only that counts."""
    if expect:
        return f"It said '{expect}'." if expect in text else ""
    return next((what for sign, what in _UP if sign.search(text)), "")


def will_not(text: str) -> str:
    """Why the guest will never be up, empty when nothing tells."""
    for sign, what in _DOWN:
        found = sign.search(text)
        if found:
            return f"{what}: {' '.join(found[0].split())}"
    return ""
