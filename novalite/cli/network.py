"""``novalite network`` and ``novalite subnet``."""

from __future__ import annotations

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session


@click.group(cls=Branch)
def network() -> None:
    """Networks servers are on. A NETWORK is a name or an id."""


@network.command("list")
@pass_session
def list_networks(session: Session) -> None:
    """List networks."""
    found = session.client.collection("network", "/networks", "networks")
    ranges = {each["id"]: each["cidr"] for each in session.client.collection("network", "/subnets", "subnets")}
    session.show_list(
        found,
        [
            ("ID", lambda each: each["id"]),
            ("Name", lambda each: each["name"]),
            ("Status", lambda each: each["status"]),
            ("Subnets", lambda each: [ranges.get(subnet, subnet) for subnet in each["subnets"]]),
            ("MTU", lambda each: each["mtu"]),
            ("Shared", lambda each: each["shared"]),
        ],
    )


@network.command()
@click.argument("reference", metavar="NETWORK", shell_complete=names.of("network"))
@pass_session
def show(session: Session, reference: str) -> None:
    """Show everything about a network."""
    from novalite.cli import find

    found = find.network(session.client, reference)
    session.show_one(found, sorted(found.items()))


@click.group(cls=Branch)
def subnet() -> None:
    """Address ranges of networks."""


@subnet.command("list")
@pass_session
def list_subnets(session: Session) -> None:
    """List subnets."""
    found = session.client.collection("network", "/subnets", "subnets")
    names = {each["id"]: each["name"] for each in session.client.collection("network", "/networks", "networks")}
    session.show_list(
        found,
        [
            ("ID", lambda each: each["id"]),
            ("Name", lambda each: each["name"]),
            ("Network", lambda each: names.get(each["network_id"], each["network_id"])),
            ("Range", lambda each: each["cidr"]),
            ("Gateway", lambda each: each["gateway_ip"]),
            ("DHCP", lambda each: each["enable_dhcp"]),
        ],
    )
