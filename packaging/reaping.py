#!/usr/bin/env python3
"""Runs a program as its child and collects the processes it leaves behind, for machines whose process 1 does not.

libvirt waits for each dead QEMU to be collected; where nobody does it, stopping a guest takes seconds.
usage: reaping.py PROGRAM [ARGUMENT ...]
"""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
