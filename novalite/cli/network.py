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


@network.command("attach-lan")
@click.argument("interface", metavar="IFACE")
@click.option("--name", default="lan", show_default=True, help="Name of the network that servers can choose.")
@click.option("--wait", "seconds", default=10, show_default=True, type=click.IntRange(1, 60), metavar="SECONDS",
              help="How long the gateway may take to answer again before all is undone.")  # fmt: skip
@pass_session
def attach_lan(session: Session, interface: str, name: str, seconds: int) -> None:
    """Let servers be on the LAN behind an interface of this machine, with addresses from the LAN's own DHCP server.

    The machine's addresses move to a bridge. When its gateway does not answer any more, they move back.
    """
    wanted = {"interface": interface, "name": name, "wait_seconds": seconds}
    made = session.appliance.post("appliance", "/admin/lans", {"lan": wanted})["lan"]
    session.show_one(made, made.items())


@network.command("detach-lan")
@click.argument("name", default="lan")
@pass_session
def detach_lan(session: Session, name: str) -> None:
    """Give the interface of a LAN back; no server may be on its network."""
    session.appliance.delete("appliance", f"/admin/lans/{name}")


@network.command("lans")
@pass_session
def list_lans(session: Session) -> None:
    """List LANs that servers can be on."""
    found = session.appliance.get("appliance", "/admin/lans")["lans"]
    session.show_list(
        found,
        [
            ("Name", lambda each: each["name"]),
            ("Interface", lambda each: each["interface"]),
            ("Network", lambda each: each["network_id"] or ""),
        ],
    )


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
