"""Images of 4 GiB: upload, import and download over copying with a checksum, and the memory meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from benchmarks import payload, table, uploads
from benchmarks.caller import Caller
from benchmarks.processes import Program, appliance, pss_mib, tree

AIM_RATIO, AIM_GROWTH_MIB = 2.0, 32.0
_SIZE = 4 << 30


class Peak:
    """The most that a process tree takes while the context is open, in MiB."""

    def __init__(self, pid: int) -> None:
        self._pid, self._end, self.mib = pid, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.mib = max(self.mib, sum(pss_mib(pid) for pid in tree(self._pid)))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def run(directory: Path, *, with_libvirt: bool) -> None:
    gib = _SIZE >> 30
    table.heading(
        "Images", f"{gib} GiB without zeros or repetition that a file system could use; floor: a copy with sha512."
    )
    file = directory / "disk.raw"
    payload.append(file, _SIZE)
    floor = payload.timed(lambda: payload.copy(file, directory / "copy"))
    (directory / "copy").unlink()
    state_dir = directory / "images"
    with appliance(state_dir) as program:
        caller = program.await_ready()
        caller.log_in(state_dir)
        caller.get("/image/v2/images")
        idle = sum(pss_mib(pid) for pid in tree(program.pid))
        rows = [["floor: copy with sha512", f"{floor:.1f} s", "1", ""]]
        seconds, image_id = _uploaded(program, caller, file, "file", rows, floor)
        _uploaded(program, caller, file, "stage", rows, floor)
        with Peak(program.pid) as peak:
            took = payload.timed(lambda: _download(caller, image_id))
        rows.append(["download", f"{took:.1f} s", f"{took / floor:.2f}", f"{peak.mib:.0f} MiB"])
        most = max(float(row[3].split()[0]) for row in rows[1:])
        caller.close()
    table.show(["what", "time", "ratio", "most memory"], rows)
    table.verdict("upload over copying with sha512", seconds / floor, AIM_RATIO)
    table.verdict("download over copying with sha512", took / floor, AIM_RATIO)
    table.verdict(f"memory above idle ({idle:.0f} MiB)", most - idle, AIM_GROWTH_MIB, " MiB")


def _uploaded(
    program: Program, caller: Caller, file: Path, where: str, rows: list[list[str]], floor: float
) -> tuple[float, str]:
    """Seconds until the image is active, and its id; a staged one is imported."""
    image_id = uploads.new(Caller(caller.port, caller.token), where, "raw")
    with Peak(program.pid) as peak:
        seconds = payload.timed(lambda: uploads.send(caller, image_id, file, where))
    what = "upload" if where == "file" else "stage and import"
    rows.append([what, f"{seconds:.1f} s", f"{seconds / floor:.2f}", f"{peak.mib:.0f} MiB"])
    return seconds, image_id


def _download(caller: Caller, image_id: str) -> None:
    received = uploads.fetch(caller, image_id)
    told = Caller(caller.port, caller.token).get(f"/image/v2/images/{image_id}")
    if received != told["os_hash_value"]:
        raise RuntimeError("the download is not what was uploaded")
