"""``novalite server forward``: ports of the machine that lead to servers."""

from __future__ import annotations

import re
from typing import Any

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.server import server
from novalite.cli.session import Session, pass_session
from novalite.errors import NotFound

_PAIR = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")


class _Ports(click.ParamType[Any]):
    """``8080:80``: the machine's port, and the server's."""

    name = "ports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        found = _PAIR.fullmatch(value)
        if found is None:
            self.fail(f"{value} is not HOSTPORT:GUESTPORT, such as 8080:80.", param, ctx)
        return int(found[1]), int(found[2])


class _Forward(Branch):
    """A group whose own arguments are those of ``add``: `forward NAME 8080:80`."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            args = ["add", *args]
        return super().resolve_command(ctx, args)


@server.group(cls=_Forward)
def forward() -> None:
    """Let ports of this machine lead to servers: forward SERVER HOSTPORT:GUESTPORT."""


@forward.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.argument("ports", type=_Ports(), metavar="HOSTPORT:GUESTPORT")
@click.option("--udp", is_flag=True, help="UDP instead of TCP.")
@pass_session
def add(session: Session, reference: str, ports: tuple[int, int], udp: bool) -> None:
    """Let a port of this machine lead to a server."""
    from novalite.cli import find

    found, (host_port, guest_port) = find.server(session.client, reference), ports
    wanted = {"server_id": found["id"], "host_port": host_port, "guest_port": guest_port,
              "protocol": "udp" if udp else "tcp"}  # fmt: skip
    made = session.client.post("appliance", "/admin/forwards", {"forward": wanted})["forward"]
    session.show_one(made, [(name, made[name]) for name in sorted(made)])
    if not made["let_in"]:
        session.say(
            f"No rule of the server's security groups lets it in yet. "
            f"Allow it: novalite access allow {made['protocol']}:{made['guest_port']}"
        )


@forward.command("list")
@pass_session
def list_forwards(session: Session) -> None:
    """List the ports of this machine that lead to servers."""
    found = session.client.get("appliance", "/admin/forwards")["forwards"]
    session.show_list(
        found,
        [
            ("Port", lambda each: f"{each['host_port']}/{each['protocol']}"),
            ("Server", lambda each: each["server_id"]),
            ("Address", lambda each: f"{each['address']}:{each['guest_port']}"),
            ("Let in", lambda each: each["let_in"]),
        ],
    )


@forward.command()
@click.argument("port", type=click.IntRange(1, 65535), metavar="HOSTPORT")
@click.option("--udp", is_flag=True, help="UDP instead of TCP.")
@pass_session
def remove(session: Session, port: int, udp: bool) -> None:
    """Let a port of this machine lead nowhere again."""
    protocol = "udp" if udp else "tcp"
    for each in session.client.get("appliance", "/admin/forwards")["forwards"]:
        if (each["host_port"], each["protocol"]) == (port, protocol):
            session.client.delete("appliance", f"/admin/forwards/{each['id']}")
            session.say(f"Port {port} ({protocol}) leads nowhere.")
            return
    raise NotFound("forward", str(port), message=f"Port {port} ({protocol}) leads to no server.")
