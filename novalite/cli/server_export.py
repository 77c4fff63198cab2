"""``novalite export``: a server with its disks and its definition becomes one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from novalite.cli import names
from novalite.cli.commands import Leaf
from novalite.cli.session import Session, pass_session
from novalite.errors import Busy, Conflict, DependencyDown, Failed, NovaLiteError

if TYPE_CHECKING:
    from novalite.cli.client import Client
    from novalite.cli.server_file import Writer
    from novalite.cli.waiting import Show

_PATH = "/admin/exports"
_TRIES = 5
_NOTHING = "0" * 64


@click.command(cls=Leaf)
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["qcow2", "ova"]), default="qcow2", show_default=True,
              help="qcow2: for 'novalite import'; ova: for VirtualBox, VMware and others too.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--timeout", default=4 * 3600.0, metavar="SECONDS", show_default=True, help="Longest wait for the copy.")
@pass_session
def export(session: Session, reference: str, path: Path, form: str, force: bool, timeout: float) -> None:
    """Take a server away as one file: its disks, volumes included, and all that makes another one like it.

    The server goes on meanwhile. What is fetched is checked, and FILE has its name once it is whole.
    """
    from novalite.cli import find
    from novalite.cli import waiting as waits

    if path.exists() and not force:
        raise Conflict(f"{path} is there already.", code="export.exists", hint="--force replaces it.")
    client = session.client
    server = find.server(client, reference)
    made = client.post("appliance", _PATH, {"export": {"server_id": server["id"], "format": form}})["export"]
    try:
        with waits.progress(quiet=session.json) as tell:
            tell(f"{server['name']}: its disks are being copied")
            told = _ready(client, made["id"], seconds=timeout)
            _write(client, told, path, tell)
    finally:
        _forget(session, made["id"])
    size = path.stat().st_size
    if session.json:
        session.show_one({"path": str(path), "size": size, "manifest": told["manifest"]}, [])
    session.say(f"{server['name']} is in {path}, {size >> 20} MiB.")


def _ready(client: Client, export_id: str, *, seconds: float) -> dict[str, Any]:
    from novalite.cli import waiting as waits

    latest: dict[str, Any] = {}

    def over() -> bool:
        latest.update(client.get("appliance", f"{_PATH}/{export_id}")["export"])
        return bool(latest["status"] != "making")

    if not waits.until(over, seconds=seconds):
        raise Busy(f"The disks are not copied after {seconds:g} seconds.", code="export.slow")
    if latest["status"] != "ready":
        raise Failed(f"The server could not be exported: {latest['problem']}", code="export.failed")
    return latest


def _forget(session: Session, export_id: str) -> None:
    """What is left of it goes by itself after a day."""
    try:
        session.client.delete("appliance", f"{_PATH}/{export_id}")
    except NovaLiteError as error:
        session.say(f"The copies in the cloud go later: {error.message}")


def _write(client: Client, told: Mapping[str, Any], path: Path, tell: Show) -> None:
    from novalite.cli.server_file import Writer, fresh, part_of

    part = part_of(path)
    try:
        with fresh(part) as file:
            writer = Writer(file)
            if told["format"] == "ova":
                _write_ova(client, told, writer, path.stem, tell)
            else:
                _write_plain(client, told, writer, tell)
            writer.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_plain(client: Client, told: Mapping[str, Any], writer: Writer, tell: Show) -> None:
    from novalite.cli.server_file import MANIFEST

    manifest = told["manifest"]
    writer.add_text(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    for disk, image_id in zip(manifest["disks"], told["image_ids"], strict=True):
        _add(client, writer, disk["file"], disk, image_id, tell)


def _write_ova(client: Client, told: Mapping[str, Any], writer: Writer, stem: str, tell: Show) -> None:
    from novalite.cli.ovf import envelope

    manifest, stem = told["manifest"], re.sub(r"[^A-Za-z0-9._-]", "-", stem)[:60].strip("-.") or "server"
    files = [f"{stem}-disk{number}.vmdk" for number in range(len(manifest["disks"]))]
    described = envelope(manifest, files)
    writer.add_text(f"{stem}.ovf", described)
    digests = dict.fromkeys((f"{stem}.ovf", *files), _NOTHING)
    place = writer.add_text(f"{stem}.mf", _digest_lines(digests))
    digests[f"{stem}.ovf"] = _sha256(described)
    for disk, image_id, name in zip(manifest["disks"], told["image_ids"], files, strict=True):
        digests[name] = _add(client, writer, name, disk, image_id, tell)["sha256"]
    writer.rewrite(place, _digest_lines(digests))


def _sha256(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()


def _digest_lines(digests: Mapping[str, str]) -> bytes:
    return "".join(f"SHA256({name})= {digest}\n" for name, digest in digests.items()).encode()


def _add(
    client: Client, writer: Writer, name: str, disk: Mapping[str, Any], image_id: str, tell: Show
) -> Mapping[str, str]:
    """Raises ``Failed`` for content that is not what the cloud has told."""
    digests = writer.add(name, disk["size"], _fetched(client, image_id, disk["size"], name, tell))
    if digests["sha512"] != disk["sha512"]:
        raise Failed(f"{name} came damaged: its SHA-512 differs.", code="export.corrupt", hint="Export it again.")
    return digests


def _fetched(client: Client, image_id: str, size: int, name: str, tell: Show) -> Iterator[bytes]:
    """All bytes; what is cut off goes on where it was, a few times."""
    got, failures = 0, 0
    while got < size:
        try:
            for piece in client.stream("image", f"/images/{image_id}/file", offset=got):
                got += len(piece)
                yield piece
                tell(f"{name}: {got * 100 // size} % of {size >> 20} MiB fetched")
            return
        except DependencyDown:
            failures += 1
            if failures >= _TRIES:
                raise
