"""``novalite import``: a file becomes a server, here or on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from novalite.cli import names
from novalite.cli.commands import Leaf
from novalite.cli.server import pairs, waiting
from novalite.cli.server_view import ImageNames, facts
from novalite.cli.session import Session, pass_session
from novalite.errors import Busy, Failed, Invalid

if TYPE_CHECKING:
    from novalite.cli.server_file import Opened
    from novalite.cli.waiting import Show

_PATH = "/admin/imports"


@click.command("import", cls=Leaf)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the server; default: the one it had.")
@click.option("--flavor", shell_complete=names.of("flavor"), help="Its size; default: one as large as it was.")
@click.option("--network", multiple=True, shell_complete=names.of("network"),
              help="Of each card, in order; default: those of the same names.")  # fmt: skip
@click.option("--security-group", "groups", multiple=True, help="Default: those of the same names.")
@click.option("--property", "properties", multiple=True, callback=pairs, metavar="NAME=VALUE",
              help="For an OVA: properties of its image such as hw_firmware_type=uefi.")  # fmt: skip
@click.option("--first-disk", is_flag=True, help="For an OVA with several disks: take the first and leave the others.")
@waiting
@pass_session
def import_(session: Session, /, path: Path, wait: bool, timeout: float, **wishes: Any) -> None:
    """Make a server of a file that 'novalite export' or another program (OVA) has written.

    Every disk is looked at as an uploaded image is. Nothing stays of what is refused.
    """
    from novalite.cli.server_file import read

    with path.open("rb") as file:
        opened = read(file)
        if opened.manifest is None:
            server_id = _of_ova(session, opened, path, wishes, timeout)
        else:
            server_id = _of_manifest(session, opened, wishes, timeout if wait else 0.0)
    if not server_id:
        return
    server = session.client.get("compute", f"/servers/{server_id}")["server"]
    if wait and opened.manifest is None:
        from novalite.cli import waiting as waits

        with waits.progress(quiet=session.json) as tell:
            server = waits.for_status(session.client, server, "ACTIVE", seconds=timeout, show=tell)
    session.show_one(server, facts(server, ImageNames(session)))


def _of_manifest(session: Session, opened: Opened, wishes: dict[str, Any], seconds: float) -> str:
    """The id of the server; empty when nobody waits for it."""
    client = session.client
    body: dict[str, Any] = {"manifest": opened.manifest}
    body |= {key: wishes[key] for key in ("name", "flavor") if wishes[key]}
    body |= {key: list(wishes[option]) for key, option in (("networks", "network"), ("security_groups", "groups"))
             if wishes[option]}  # fmt: skip
    made = client.post("appliance", _PATH, {"import": body})["import"]
    path = f"{_PATH}/{made['id']}"
    try:
        for disk in made["disks"]:
            _send(session, opened, disk["file"], f"/images/{disk['image_id']}/file")
        client.post("appliance", f"{path}/begin", None)
    except BaseException:
        client.delete("appliance", path)
        raise
    if not seconds:
        session.say(f"{made['name']} is being made; import {made['id']} tells how far it is.")
        return ""
    return _ended(session, path, seconds)


def _ended(session: Session, path: str, seconds: float) -> str:
    from novalite.cli import waiting as waits

    latest: dict[str, Any] = {}

    def over() -> bool:
        latest.update(session.client.get("appliance", path)["import"])
        return latest["status"] in ("done", "failed")

    with waits.progress(quiet=session.json) as tell:
        tell("the server is being made of what has come")
        if not waits.until(over, seconds=seconds):
            raise Busy(f"The server is still being made after {seconds:g} seconds.", code="import.slow",
                       hint="It goes on by itself.")  # fmt: skip
    if latest["status"] == "failed":
        raise Failed(f"The server could not be made: {latest['problem']}", code="import.failed")
    session.client.delete("appliance", path)
    return str(latest["server_id"])


def _send(session: Session, opened: Opened, name: str, path: str) -> None:
    from novalite.cli import waiting as waits

    size = opened.members[name].size
    with waits.progress(quiet=session.json) as tell:
        session.client.request("PUT", "image", path, content=_told(opened.content(name), name, size, tell),
                               headers={"Content-Type": "application/octet-stream",
                                        "Content-Length": str(size)})  # fmt: skip


def _told(content: Iterator[bytes], name: str, size: int, tell: Show) -> Iterator[bytes]:
    sent = 0
    for piece in content:
        yield piece
        sent += len(piece)
        tell(f"{name}: {sent * 100 // max(1, size)} % of {size >> 20} MiB sent")


def _of_ova(session: Session, opened: Opened, path: Path, wishes: dict[str, Any], seconds: float) -> str:
    """The first disk becomes an image as with any OVA, and that a server."""
    from novalite.cli import find, image_import
    from novalite.cli import waiting as waits
    from novalite.drivers.storage import ova

    disks = ova.disks(opened.members, opened.file)
    if len(disks) > 1 and not wishes["first_disk"]:
        raise Invalid(f"The OVA has {len(disks)} disks, of which only the first can be taken: {', '.join(disks)}.",
                      field="first_disk", code="import.several_disks",
                      hint="--first-disk takes it and leaves the others.")  # fmt: skip
    if not wishes["flavor"]:
        raise Invalid("Say how large the server shall be.", field="flavor", hint="--flavor")
    client, name = session.client, wishes["name"] or path.stem
    flavor, networks = find.flavor(client, wishes["flavor"]), find.networks(client, wishes["network"])
    image = client.post("image", "/images", {
        **wishes["properties"], "name": f"{name} (imported)", "disk_format": "vmdk", "container_format": "ova",
        "visibility": "private",
    })  # fmt: skip
    try:
        with waits.progress(quiet=session.json) as tell, path.open("rb") as file:
            size, chunks = path.stat().st_size, iter(lambda: file.read(1 << 20), b"")
            client.request("PUT", "image", f"/images/{image['id']}/stage",
                           content=_told(chunks, path.name, size, tell),
                           headers={"Content-Type": "application/octet-stream",
                                    "Content-Length": str(size)})  # fmt: skip
            client.post("image", f"/images/{image['id']}/import", {"method": {"name": "glance-direct"}})
            tell(f"{path.name}: it is looked at and converted")
            image_import.ended(client, image["id"], seconds=seconds)
        body = {"name": name, "imageRef": image["id"], "flavorRef": flavor["id"], "networks": networks}
        if wishes["groups"]:
            body["security_groups"] = [{"name": each} for each in wishes["groups"]]
        made = client.post("compute", "/servers", {"server": body})["server"]
    except BaseException:
        client.delete("image", f"/images/{image['id']}")
        raise
    return str(made["id"])
