"""Images of 4 GiB: upload, import and download over copying with a checksum, and the memory meanwhile."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import table
from benchmarks.caller import Caller
from benchmarks.processes import Appliance, appliance, pss_mib, tree

AIM_RATIO, AIM_GROWTH_MIB = 2.0, 32.0
_SIZE = 4 << 30
_BLOCK = 1 << 20
_PATTERN_BLOCKS = 61
_SECONDS = 3600.0


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
    _write(file)
    floor = _timed(lambda: _copy(file, directory / "copy"))
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
            took = _timed(lambda: _download(caller, image_id))
        rows.append(["download", f"{took:.1f} s", f"{took / floor:.2f}", f"{peak.mib:.0f} MiB"])
        most = max(float(row[3].split()[0]) for row in rows[1:])
        caller.close()
    table.show(["what", "time", "ratio", "most memory"], rows)
    table.verdict("upload over copying with sha512", seconds / floor, AIM_RATIO)
    table.verdict("download over copying with sha512", took / floor, AIM_RATIO)
    table.verdict(f"memory above idle ({idle:.0f} MiB)", most - idle, AIM_GROWTH_MIB, " MiB")


def _write(file: Path) -> None:
    pattern = [os.urandom(_BLOCK) for _ in range(_PATTERN_BLOCKS)]
    with file.open("wb") as out:
        for number in range(_SIZE // _BLOCK):
            out.write(pattern[number % _PATTERN_BLOCKS])
        os.fsync(out.fileno())


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            yield block


def _copy(file: Path, target: Path) -> None:
    digest = hashlib.sha512()
    with target.open("wb") as out:
        for block in _blocks(file):
            digest.update(block)
            out.write(block)
        os.fsync(out.fileno())


def _uploaded(
    program: Appliance, caller: Caller, file: Path, where: str, rows: list[list[str]], floor: float
) -> tuple[float, str]:
    """Seconds until the image is active, and its id; a staged one is imported."""
    body = {"name": where, "disk_format": "raw", "container_format": "bare"}
    image_id = str(Caller(caller.port, caller.token).post("/image/v2/images", body)["id"])

    def act() -> None:
        with _connection(caller) as http:
            http.request("PUT", f"/image/v2/images/{image_id}/{where}", body=_blocks(file), headers={
                "X-Auth-Token": caller.token, "Content-Type": "application/octet-stream",
                "Content-Length": str(file.stat().st_size)})  # fmt: skip
            answer = http.getresponse()
            assert answer.status == 204, answer.read()
        # The connection of before may have been closed meanwhile.
        fresh = Caller(caller.port, caller.token)
        if where == "stage":
            fresh.post(f"/image/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}})
        while fresh.get(f"/image/v2/images/{image_id}")["status"] != "active":
            time.sleep(0.02)
        fresh.close()

    with Peak(program.pid) as peak:
        seconds = _timed(act)
    what = "upload" if where == "file" else "stage and import"
    rows.append([what, f"{seconds:.1f} s", f"{seconds / floor:.2f}", f"{peak.mib:.0f} MiB"])
    return seconds, image_id


def _download(caller: Caller, image_id: str) -> None:
    digest = hashlib.sha512()
    with _connection(caller) as http:
        http.request("GET", f"/image/v2/images/{image_id}/file", headers={"X-Auth-Token": caller.token})
        answer = http.getresponse()
        while block := answer.read(_BLOCK):
            digest.update(block)
    told = Caller(caller.port, caller.token).get(f"/image/v2/images/{image_id}")
    assert digest.hexdigest() == told["os_hash_value"]


@contextmanager
def _connection(caller: Caller) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", caller.port, timeout=_SECONDS, blocksize=_BLOCK)
    try:
        yield made
    finally:
        made.close()
