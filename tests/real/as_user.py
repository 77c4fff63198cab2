"""Runs a program as an ordinary user: as_user.py USER GROUP,GROUP PROGRAM ARGUMENT…

Root's directories are closed to others, and Python may lie in one. In a mount namespace of its own (mounts of the
machine still arrive in it) such a directory is replaced by an open one that holds nothing but what Python needs.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import stat
import sys
import tempfile
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_PR_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _done(_LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()), target)


def _closed(path: Path) -> Path | None:
    """The first directory on the way that others may not enter."""
    for parent in reversed((path, *path.parents)):
        if parent.is_dir() and not parent.stat().st_mode & stat.S_IXOTH:
            return parent
    return None


def _open_ways(needed: list[Path]) -> None:
    for path in needed:
        closed = _closed(path)
        if closed is None:
            continue
        inside = [each for each in needed if each.is_relative_to(closed)]
        aside = Path(tempfile.mkdtemp(prefix="as-user-"))
        for number, each in enumerate(inside):
            (aside / str(number)).mkdir()
            _mount(str(each), str(aside / str(number)), "", _MS_BIND)
        _mount("none", str(closed), "tmpfs", 0, "mode=755")
        for number, each in enumerate(inside):
            each.mkdir(parents=True)
            _mount(str(aside / str(number)), str(each), "", _MS_BIND)


def main() -> None:
    user, groups, *command = sys.argv[1:]
    account = pwd.getpwnam(user)
    _done(_LIBC.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", "", _MS_REC | _MS_SLAVE)
    _open_ways([Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2]])
    os.setgroups([grp.getgrnam(name).gr_gid for name in groups.split(",") if name])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    _done(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    os.environ["HOME"] = "/nonexistent"
    os.chdir("/")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
