"""Images sent and received as clients do it: in blocks over a connection of their own."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import payload, waiting
from benchmarks.caller import Caller

_IMAGES = "/image/v2/images"
_SECONDS = 3600.0


def new(caller: Caller, name: str, disk_format: str) -> str:
    """The id of an image without data."""
    body = {"name": name, "disk_format": disk_format, "container_format": "bare"}
    image_id: str = caller.post(_IMAGES, body)["id"]
    return image_id


def send(caller: Caller, image_id: str, file: Path, where: str = "file") -> None:
    """Its data; those sent to ``stage`` are imported. The image is active afterwards."""
    with _connection(caller) as http:
        http.request("PUT", f"{_IMAGES}/{image_id}/{where}", body=payload.blocks(file), headers={
            "X-Auth-Token": caller.token, "Content-Type": "application/octet-stream",
            "Content-Length": str(file.stat().st_size)})  # fmt: skip
        answer = http.getresponse()
        if answer.status != 204:
            raise RuntimeError(f"upload: {answer.status} {answer.read()[:500]!r}")
    # The caller's connection may have been closed meanwhile.
    fresh = Caller(caller.port, caller.token)
    if where == "stage":
        fresh.post(f"{_IMAGES}/{image_id}/import", {"method": {"name": "glance-direct"}})
    waiting.status(fresh, f"{_IMAGES}/{image_id}", "active", longest_seconds=_SECONDS)
    fresh.close()


def fetch(caller: Caller, image_id: str) -> str:
    """The SHA-512 of its data, which are thrown away."""
    digest = hashlib.sha512()
    with _connection(caller) as http:
        http.request("GET", f"{_IMAGES}/{image_id}/file", headers={"X-Auth-Token": caller.token})
        answer = http.getresponse()
        while block := answer.read(payload.BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _connection(caller: Caller) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", caller.port, timeout=_SECONDS, blocksize=payload.BLOCK)
    try:
        yield made
    finally:
        made.close()
