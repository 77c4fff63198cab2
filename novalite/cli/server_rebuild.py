"""``novalite server rebuild``, ``rescue`` and ``password``: a server begun anew, or got into again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from novalite.cli import names
from novalite.cli.server import act, pairs, server, waiting
from novalite.cli.session import Session, pass_session

_SERVER = click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))


@server.command()
@_SERVER
@click.option("--image", shell_complete=names.of("image"), help="Name or id; default: the image it stands on.")
@click.option(
    "--user-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File the guest runs at its first boot.",
)
@click.option("--key", shell_complete=names.of("key"), help="Name of the SSH key to install instead.")
@click.option(
    "--property", "properties", multiple=True, callback=pairs, metavar="NAME=VALUE",
    help="Metadata instead of what there is; may be repeated.",
)  # fmt: skip
@click.option("--keep-ephemeral", is_flag=True, help="Keep what is on the flavor's own extra disks.")
@waiting
@pass_session
def rebuild(session: Session, /, reference: str, wait: bool, timeout: float, **wishes: Any) -> None:
    """Begin a server's disk anew from an image. What is on it is lost; its addresses stay."""
    from novalite.cli import find

    found = find.server(session.client, reference)
    image = find.image(session.client, wishes["image"]) if wishes["image"] else found["image"]
    body: dict[str, Any] = {"imageRef": image["id"], "preserve_ephemeral": wishes["keep_ephemeral"]}
    if wishes["user_data"]:
        body["user_data"] = base64.b64encode(wishes["user_data"].read_bytes()).decode()
    if wishes["key"]:
        body["key_name"] = wishes["key"]
    if wishes["properties"]:
        body["metadata"] = wishes["properties"]
    target = "SHUTOFF" if found["status"] == "SHUTOFF" else "ACTIVE"
    act(session, (found["id"],), {"rebuild": body}, target, wait=wait, timeout=timeout)


@server.command()
@_SERVER
@click.option("--image", shell_complete=names.of("image"), help="Name or id of what to boot from.")
@waiting
@pass_session
def rescue(session: Session, reference: str, image: str | None, wait: bool, timeout: float) -> None:
    """Boot a server from another image, its own disk beside it; 'unrescue' leads back."""
    from novalite.cli import find

    wishes = {"rescue_image_ref": find.image(session.client, image)["id"]} if image else None
    act(session, (reference,), {"rescue": wishes}, "RESCUE", wait=wait, timeout=timeout)


@server.command()
@_SERVER
@click.password_option("--password", help="The new one; asked for when it is not given.")
@pass_session
def password(session: Session, reference: str, password: str) -> None:
    """Set the password of a running guest's administrator, through its agent."""
    from novalite.cli import find

    found = find.server(session.client, reference)
    session.client.post("compute", f"/servers/{found['id']}/action", {"changePassword": {"adminPass": password}})
    session.say(f"The password of {found['name']} is set.")
