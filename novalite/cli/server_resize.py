"""``novalite server resize``, ``migrate``, ``confirm`` and ``revert``: another size or host, and what ends that."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli import names
from novalite.cli.server import act, server, waiting
from novalite.cli.session import Session, pass_session
from novalite.errors import Failed

_SERVER = click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
_SETTLED = ("VERIFY_RESIZE", "ACTIVE", "SHUTOFF")


@server.command()
@_SERVER
@click.argument("flavor", shell_complete=names.of("flavor"))
@waiting
@pass_session
def resize(session: Session, reference: str, flavor: str, wait: bool, timeout: float) -> None:
    """Give a server another flavor. It is off meanwhile, and waits for 'confirm' or 'revert' afterwards."""
    from novalite.cli import find

    wanted = find.flavor(session.client, flavor)
    _move(session, reference, {"resize": {"flavorRef": wanted["id"]}}, wait=wait, timeout=timeout)


@server.command()
@_SERVER
@click.option("--host", help="Where to; default: where there is room.")
@waiting
@pass_session
def migrate(session: Session, reference: str, host: str | None, wait: bool, timeout: float) -> None:
    """Take a server to another host. It is off meanwhile, and waits for 'confirm' or 'revert' afterwards."""
    _move(session, reference, {"migrate": {"host": host} if host else None}, wait=wait, timeout=timeout)


def _move(session: Session, reference: str, body: dict[str, Any], *, wait: bool, timeout: float) -> None:
    from novalite.cli import find

    act(session, (reference,), body, _SETTLED, wait=wait, timeout=timeout)
    found = find.server(session.client, reference)
    if wait and found["status"] != "VERIFY_RESIZE":
        raise Failed(
            f"Server {found['name']} stays what it was.",
            code="server.not_moved",
            hint=f"'openstack server event list {found['id']}' tells why.",
        )


@server.command()
@_SERVER
@waiting
@pass_session
def confirm(session: Session, reference: str, wait: bool, timeout: float) -> None:
    """Keep a server's new size or host; what was before is thrown away."""
    act(session, (reference,), {"confirmResize": None}, ("ACTIVE", "SHUTOFF"), wait=wait, timeout=timeout)


@server.command()
@_SERVER
@waiting
@pass_session
def revert(session: Session, reference: str, wait: bool, timeout: float) -> None:
    """Bring a server back to its size, host and disks of before."""
    act(session, (reference,), {"revertResize": None}, ("ACTIVE", "SHUTOFF"), wait=wait, timeout=timeout)
