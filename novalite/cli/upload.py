"""Puts a file into the image service, with its progress shown; a failed upload leaves no image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from novalite.cli.session import Session
from novalite.cli.waiting import Show, progress

_CHUNK = 1 << 20
_MAGIC = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
    (32769, b"CD001", "iso"),
)


def upload(
    session: Session, name: str, path: Path, *, disk_format: str | None, body: Mapping[str, Any]
) -> dict[str, Any]:
    """The image when it is active. ``disk_format`` None: what the file looks like."""
    client = session.client
    wanted = {**body, "name": name, "disk_format": disk_format or looks_like(path), "container_format": "bare"}
    made = client.post("image", "/images", wanted)
    try:
        with progress(quiet=session.json) as tell:
            client.request(
                "PUT",
                "image",
                f"/images/{made['id']}/file",
                content=_chunks(path, name, tell),
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)},
            )
    except BaseException:
        client.delete("image", f"/images/{made['id']}")
        raise
    found: dict[str, Any] = client.get("image", f"/images/{made['id']}")
    return found


def looks_like(path: Path) -> str:
    """The disk format by its first bytes; raw when none is known."""
    with path.open("rb") as file:
        start = file.read(32774)
    return next((kind for place, magic, kind in _MAGIC if start[place : place + len(magic)] == magic), "raw")


def _chunks(path: Path, name: str, tell: Show) -> Iterator[bytes]:
    size, sent = max(1, path.stat().st_size), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            sent += len(chunk)
            tell(f"{name}: {sent * 100 // size} % of {size >> 20} MiB uploaded")
