"""``novalite server image``, ``shelve`` and ``unshelve``: a server becomes an image, and comes back from one."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli import names
from novalite.cli.server import act, server, waiting
from novalite.cli.session import Session, pass_session
from novalite.errors import Busy, Failed, NotFound

_SERVERS = click.argument("references", metavar="SERVER...", nargs=-1, required=True, shell_complete=names.of("server"))


@server.command("image")
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.argument("name")
@waiting
@pass_session
def create_image(session: Session, reference: str, name: str, wait: bool, timeout: float) -> None:
    """Make an image called NAME of what a server's disk holds. The server goes on meanwhile."""
    from novalite.cli import find
    from novalite.cli import waiting as waits

    client = session.client
    found = find.server(client, reference)
    answer = client.post("compute", f"/servers/{found['id']}/action", {"createImage": {"name": name}})
    path = f"/images/{answer['image_id']}"
    image: dict[str, Any] = {}

    def made() -> bool:
        try:
            image.update(client.get("image", path))
        except NotFound as error:
            raise Failed(f"The image {name} could not be made.", code="image.not_made",
                         hint=f"'novalite server show {found['id']}' may tell more.") from error  # fmt: skip
        return str(image["status"]) == "active"

    with waits.progress(quiet=session.json) as tell:
        tell(f"{found['name']}: copying its disk")
        if wait and not waits.until(made, seconds=timeout):
            raise Busy(f"The image {name} is still {image['status']} after {timeout:g} seconds.", code="image.slow",
                       hint="It goes on by itself.")  # fmt: skip
    if session.json:
        session.show_one(image or client.get("image", path), [])
    session.say(f"Image {name} is {'made' if wait else 'being made'}: {answer['image_id']}.")


@server.command()
@_SERVERS
@waiting
@pass_session
def shelve(session: Session, references: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Put servers away as images; their hosts' room is given back at once or after a while."""
    act(session, references, {"shelve": None}, ("SHELVED_OFFLOADED", "SHELVED"), wait=wait, timeout=timeout)


@server.command()
@_SERVERS
@click.option("--zone", help="Availability zone to come back in; only for servers whose host's room was given back.")
@waiting
@pass_session
def unshelve(session: Session, references: tuple[str, ...], zone: str | None, wait: bool, timeout: float) -> None:
    """Bring servers back that were put away."""
    body = {"unshelve": {"availability_zone": zone} if zone else None}
    act(session, references, body, "ACTIVE", wait=wait, timeout=timeout)
