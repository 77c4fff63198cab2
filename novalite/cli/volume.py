"""``novalite volume``: disks that outlive servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.server import waiting
from novalite.cli.session import Session, pass_session

_SERVICE = "block-storage"


@click.group(cls=Branch)
def volume() -> None:
    """Disks that outlive servers. A VOLUME is a name or an id."""


def _attached(one: Mapping[str, Any]) -> list[str]:
    return [f"{each['server_id']} {each['device'] or ''}".strip() for each in one["attachments"]]


@volume.command("list")
@click.option("--all-projects", is_flag=True, help="Volumes of every project (admin).")
@click.option("--status", help="Only volumes in this state, such as available.")
@pass_session
def list_(session: Session, all_projects: bool, status: str | None) -> None:
    """List volumes."""
    wanted = {**({"all_tenants": 1} if all_projects else {}), **({"status": status} if status else {})}
    found = session.client.collection(_SERVICE, "/volumes/detail", "volumes", **wanted)
    session.show_list(
        found,
        [
            ("ID", lambda each: each["id"]),
            ("Name", lambda each: each["name"]),
            ("Status", lambda each: each["status"]),
            ("GiB", lambda each: each["size"]),
            ("Bootable", lambda each: each["bootable"]),
            ("Attached to", _attached),
        ],
    )


@volume.command()
@click.argument("reference", metavar="VOLUME", shell_complete=names.of("volume"))
@pass_session
def show(session: Session, reference: str) -> None:
    """Show everything about a volume."""
    from novalite.cli import find

    found = find.volume(session.client, reference)
    session.show_one(found, [(name, value) for name, value in sorted(found.items()) if name != "links"])


@volume.command()
@click.argument("name")
@click.option("--size", type=click.IntRange(1), metavar="GIB", help="Needed unless it is made of something.")
@click.option("--image", help="The image to make it of; servers boot from such a volume.")
@click.option("--volume", "origin", help="The volume to copy.")
@click.option("--snapshot", help="The snapshot to make it of.")
@click.option("--type", "kind", help="The type; 'openstack volume type list' shows them.")
@waiting
@pass_session
def create(session: Session, name: str, size: int | None, image: str | None, origin: str | None, snapshot: str | None,
           kind: str | None, wait: bool, timeout: float) -> None:  # fmt: skip
    """Make a volume: blank, of an image, of a snapshot, or of another volume."""
    from novalite.cli import find, volume_waiting

    client = session.client
    if sum(each is not None for each in (image, origin, snapshot)) > 1:
        raise click.UsageError("a volume is made of one thing: --image, --volume or --snapshot")
    body = {
        "name": name, "size": size, "volume_type": kind,
        "imageRef": find.image(client, image)["id"] if image else None,
        "source_volid": find.volume(client, origin)["id"] if origin else None,
        "snapshot_id": find.snapshot(client, snapshot)["id"] if snapshot else None,
    }  # fmt: skip
    if size is None:
        if not (origin or snapshot):
            raise click.UsageError("give --size")
        del body["size"]
    made = client.post(_SERVICE, "/volumes", {"volume": body})["volume"]
    if wait:
        made = volume_waiting.for_status(session, made, "available", seconds=timeout)
    session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "size", "volume_type", "bootable")])


@volume.command()
@click.argument("reference", metavar="VOLUME", shell_complete=names.of("volume"))
@click.argument("server", metavar="SERVER", shell_complete=names.of("server"))
@click.option("--delete-on-termination", is_flag=True, help="The volume goes when the server does.")
@waiting
@pass_session
def attach(session: Session, reference: str, server: str, delete_on_termination: bool, wait: bool,
           timeout: float) -> None:  # fmt: skip
    """Give a volume to a server, which may run."""
    from novalite.cli import find, volume_waiting

    client = session.client
    wanted, to = find.volume(client, reference), find.server(client, server)
    body: dict[str, Any] = {"volumeId": wanted["id"]}
    if delete_on_termination:
        body["delete_on_termination"] = True
    made = client.post("compute", f"/servers/{to['id']}/os-volume_attachments", {"volumeAttachment": body})
    if wait:
        volume_waiting.for_status(session, wanted, "in-use", seconds=timeout)
    given = made["volumeAttachment"]
    session.show_one(given, [("server", to["name"]), ("volume", wanted["name"]), ("device", given["device"])])


@volume.command()
@click.argument("reference", metavar="VOLUME", shell_complete=names.of("volume"))
@click.argument("server", metavar="[SERVER]", required=False, shell_complete=names.of("server"))
@waiting
@pass_session
def detach(session: Session, reference: str, server: str | None, wait: bool, timeout: float) -> None:
    """Take a volume from its server, which may run. SERVER is needed when several have it."""
    from novalite.cli import find, volume_waiting

    client = session.client
    found = find.volume(client, reference)
    server_id = find.server(client, server)["id"] if server else find.only_server_of(found)
    client.delete("compute", f"/servers/{server_id}/os-volume_attachments/{found['id']}")
    if wait:
        left = len([each for each in found["attachments"] if each["server_id"] != server_id])
        volume_waiting.for_status(session, found, "in-use" if left else "available", seconds=timeout, attachments=left)
        session.say(f"{found['name'] or found['id']} is detached.")


@volume.command()
@click.argument("reference", metavar="VOLUME", shell_complete=names.of("volume"))
@click.argument("size", metavar="GIB", type=click.IntRange(1))
@waiting
@pass_session
def extend(session: Session, reference: str, size: int, wait: bool, timeout: float) -> None:
    """Make a volume larger, also while a server has it."""
    from novalite.cli import find, volume_waiting

    found = find.volume(session.client, reference)
    session.client.post(_SERVICE, f"/volumes/{found['id']}/action", {"os-extend": {"new_size": size}})
    if wait:
        found = volume_waiting.for_status(session, found, found["status"], seconds=timeout)
        session.say(f"{found['name'] or found['id']} has {found['size']} GiB.")


@volume.command()
@click.argument("reference", metavar="VOLUME", shell_complete=names.of("volume"))
@click.argument("name", required=False)
@waiting
@pass_session
def snapshot(session: Session, reference: str, name: str | None, wait: bool, timeout: float) -> None:
    """Keep what is in a volume now as a snapshot, also while a server has it."""
    from novalite.cli import find, volume_waiting

    found = find.volume(session.client, reference)
    body = {"volume_id": found["id"], "name": name}
    made = session.client.post(_SERVICE, "/snapshots", {"snapshot": body})["snapshot"]
    if wait:
        made = volume_waiting.for_status(session, made, "available", seconds=timeout, noun="snapshot")
    session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "size", "volume_id")])


@volume.command("snapshots")
@click.argument("reference", metavar="[VOLUME]", required=False, shell_complete=names.of("volume"))
@pass_session
def list_snapshots(session: Session, reference: str | None) -> None:
    """List snapshots, or those of one volume."""
    from novalite.cli import find

    wanted = {"volume_id": find.volume(session.client, reference)["id"]} if reference else {}
    found = session.client.collection(_SERVICE, "/snapshots/detail", "snapshots", **wanted)
    session.show_list(
        found,
        [
            ("ID", lambda each: each["id"]),
            ("Name", lambda each: each["name"]),
            ("Status", lambda each: each["status"]),
            ("GiB", lambda each: each["size"]),
            ("Volume", lambda each: each["volume_id"]),
        ],
    )


@volume.command("delete-snapshot")
@click.argument("reference", metavar="SNAPSHOT")
@waiting
@pass_session
def delete_snapshot(session: Session, reference: str, wait: bool, timeout: float) -> None:
    """Delete a snapshot; volumes that were made of it stay."""
    from novalite.cli import find, volume_waiting

    found = find.snapshot(session.client, reference)
    session.client.delete(_SERVICE, f"/snapshots/{found['id']}")
    if wait:
        volume_waiting.for_absence(session, found, seconds=timeout, noun="snapshot")
        session.say(f"{found['name'] or found['id']} is deleted.")


@volume.command()
@click.argument("references", metavar="VOLUME...", nargs=-1, required=True, shell_complete=names.of("volume"))
@click.option("--cascade", is_flag=True, help="Their snapshots go too.")
@waiting
@pass_session
def delete(session: Session, references: tuple[str, ...], cascade: bool, wait: bool, timeout: float) -> None:
    """Delete volumes and what is in them."""
    from novalite.cli import find, volume_waiting

    found = [find.volume(session.client, reference) for reference in references]
    for each in found:
        session.client.delete(_SERVICE, f"/volumes/{each['id']}" + ("?cascade=true" if cascade else ""))
    for each in found if wait else ():
        volume_waiting.for_absence(session, each, seconds=timeout)
        session.say(f"{each['name'] or each['id']} is deleted.")
