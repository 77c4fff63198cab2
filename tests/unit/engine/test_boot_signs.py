"""What consoles say when systems come up, and when they do not."""

from __future__ import annotations

import pytest

from novalite.engine.conductor import boot_signs

UP = [
    "Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ",
    "Log in as root.\r\n\r\r\n\rprecious login: [11790.985083] watchdog: BUG: soft lockup\r\n",
    "\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mmulti-user.target\x1b[0m - Multi-User System.\r\n",
    "[  OK  ] Reached target Multi-User System.\n",
    "Cloud-init v. 23.4 finished at Sun, 29 Nov 2026 02:00:00 +0000. Datasource None.\n",
]
DOWN = [
    "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "Boot failed: not a bootable disk\r\n\r\nNo bootable device.",
    "error: file `/boot/grub/i386-pc/normal.mod' not found.\nEntering rescue mode...\ngrub rescue> ",
    "You are in emergency mode. After logging in, type journalctl",
    "ALERT!  UUID=x does not exist.  Dropping to a shell!\n(initramfs) ",
    "UEFI Interactive Shell v2.2\nShell> ",
]


@pytest.mark.parametrize("text", UP)
def test_up(text: str) -> None:
    told = boot_signs.readable(text.encode())
    assert boot_signs.came_up(told, "")
    assert not boot_signs.will_not(told)


@pytest.mark.parametrize("text", DOWN)
def test_down(text: str) -> None:
    told = boot_signs.readable(text.encode())
    assert boot_signs.will_not(told)
    assert not boot_signs.came_up(told, "")


@pytest.mark.parametrize("text", ["", "Linux version 6.1 (debian)\n", "please login: not at a prompt", "\xff\x00"])
def test_nothing_yet(text: str) -> None:
    told = boot_signs.readable(text.encode("latin-1"))
    assert (boot_signs.came_up(told, ""), boot_signs.will_not(told)) == ("", "")


def test_only_what_is_expected_counts() -> None:
    assert not boot_signs.came_up("web login: ", "shop is open")
    assert "shop is open" in boot_signs.came_up("the shop is open\nweb login: ", "shop is open")
