"""``novalite server``: list, show, create, delete and drive servers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.server_view import COLUMNS, ImageNames, addresses, facts
from novalite.cli.session import Session, pass_session
from novalite.errors import NovaLiteError

_WAIT_SECONDS = 900.0


@click.group(cls=Branch)
def server() -> None:
    """Make, see and drive servers. A SERVER is a name or an id."""


def waiting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that wait for what they asked for."""
    command = click.option(
        "--wait/--no-wait", default=True, show_default=True, help="Return when it is done, or at once."
    )(command)
    return click.option("--timeout", default=_WAIT_SECONDS, metavar="SECONDS", show_default=True, help="Longest wait.")(
        command
    )


def pairs(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE`` options as a mapping."""
    split = [value.partition("=") for value in values]
    for name, equals, _ in split:
        if not name or not equals:
            raise click.BadParameter("give NAME=VALUE")
    return {name: value for name, _, value in split}


@server.command("list")
@click.option("--all-projects", is_flag=True, help="Servers of every project (admin).")
@click.option("--status", help="Only servers in this state, such as ACTIVE.")
@pass_session
def list_(session: Session, all_projects: bool, status: str | None) -> None:
    """List servers."""
    wanted = {**({"all_tenants": 1} if all_projects else {}), **({"status": status} if status else {})}
    found = session.client.collection("compute", "/servers/detail", "servers", **wanted)
    names = ImageNames(session)
    session.show_list(found, [*COLUMNS, ("Image", lambda each: names.of(each))])


@server.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@pass_session
def show(session: Session, reference: str) -> None:
    """Show everything about a server."""
    from novalite.cli import find

    found = find.server(session.client, reference)
    session.show_one(found, facts(found, ImageNames(session)))


@server.command()
@click.argument("name")
@click.option("--image", required=True, shell_complete=names.of("image"), help="Name or id of the image to start from.")
@click.option("--flavor", required=True, shell_complete=names.of("flavor"), help="Name or id of the size.")
@click.option("--key", shell_complete=names.of("key"), help="Name of the SSH key to install.")
@click.option(
    "--network",
    multiple=True,
    shell_complete=names.of("network"),
    help="Name or id; may be repeated. Default: the only one there is.",
)
@click.option(
    "--user-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File the guest runs at its first boot.",
)
@click.option(
    "--property", "properties", multiple=True, callback=pairs, metavar="NAME=VALUE", help="Metadata; may be repeated."
)
@click.option("--zone", help="Availability zone.")
@click.option("--config-drive", is_flag=True, help="Give metadata on a drive of its own as well.")
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@waiting
@pass_session
def create(session: Session, /, name: str, count: int, wait: bool, timeout: float, **wishes: Any) -> None:
    """Create servers and wait until they run."""
    from novalite.cli import waiting as waits

    client = session.client
    body = {"name": name, **_body(session, wishes)}
    if count > 1:
        body |= {"min_count": count, "max_count": count, "return_reservation_id": True}
    answer = client.post("compute", "/servers", {"server": body})
    if count > 1:
        made = client.collection("compute", "/servers/detail", "servers", reservation_id=answer["reservation_id"])
    else:
        made = [client.get("compute", f"/servers/{answer['server']['id']}")["server"]]
    failures: list[NovaLiteError] = []
    if wait:
        with waits.progress(quiet=session.json) as tell:
            made, failures = waits.for_all(client, made, "ACTIVE", seconds=timeout, show=tell)
    if count > 1:
        session.show_list(made, COLUMNS)
    if failures:
        raise failures[0]
    if count == 1:
        session.show_one(made[0], facts(made[0], ImageNames(session)))


def _body(session: Session, wishes: Mapping[str, Any]) -> dict[str, Any]:
    from novalite.cli import find

    client = session.client
    body: dict[str, Any] = {
        "imageRef": find.image(client, wishes["image"])["id"],
        "flavorRef": find.flavor(client, wishes["flavor"])["id"],
        "networks": find.networks(client, wishes["network"]),
    }
    if wishes["key"]:
        body["key_name"] = wishes["key"]
    if wishes["properties"]:
        body["metadata"] = wishes["properties"]
    if wishes["zone"]:
        body["availability_zone"] = wishes["zone"]
    if wishes["config_drive"]:
        body["config_drive"] = True
    if wishes["user_data"]:
        body["user_data"] = base64.b64encode(wishes["user_data"].read_bytes()).decode()
    return body


@server.command()
@click.argument("references", metavar="SERVER...", nargs=-1, required=True, shell_complete=names.of("server"))
@waiting
@pass_session
def delete(session: Session, references: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Delete servers and their disks."""
    from novalite.cli import find
    from novalite.cli import waiting as waits

    client = session.client
    found = [find.server(client, reference) for reference in references]
    for each in found:
        client.delete("compute", f"/servers/{each['id']}")
    if wait:
        with waits.progress(quiet=session.json) as tell:
            for each in found:
                waits.for_absence(client, each, seconds=timeout, show=tell)
    for each in found:
        session.say(f"{each['name']} is {'deleted' if wait else 'being deleted'}.")


@server.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.argument("name")
@pass_session
def rename(session: Session, reference: str, name: str) -> None:
    """Give a server another name."""
    from novalite.cli import find

    found = find.server(session.client, reference)
    changed = session.client.put("compute", f"/servers/{found['id']}", {"server": {"name": name}})["server"]
    if session.json:
        session.show_one(changed, [])
    session.say(f"{found['name']} is now {changed['name']}.")


def act(
    session: Session,
    references: tuple[str, ...],
    body: Mapping[str, Any],
    target: str | tuple[str, ...],
    *,
    wait: bool,
    timeout: float,
) -> None:
    """Ask each server for one action, then wait for all; prints what they are afterwards."""
    from novalite.cli import find
    from novalite.cli import waiting as waits

    client = session.client
    found = [find.server(client, reference) for reference in references]
    for each in found:
        client.post("compute", f"/servers/{each['id']}/action", body)
    failures: list[NovaLiteError] = []
    if wait:
        with waits.progress(quiet=session.json) as tell:
            found, failures = waits.for_all(client, found, target, seconds=timeout, show=tell)
    if session.json:
        session.show_list(found, [])
    for each in found:
        session.say(f"{each['name']} is {each['status']}." if wait else f"{each['name']}: asked.")
    if failures:
        raise failures[0]


@server.command()
@click.argument("references", metavar="SERVER...", nargs=-1, required=True, shell_complete=names.of("server"))
@click.option("--hard", is_flag=True, help="Press the reset button instead of asking the guest.")
@waiting
@pass_session
def reboot(session: Session, references: tuple[str, ...], hard: bool, wait: bool, timeout: float) -> None:
    """Restart servers."""
    act(session, references, {"reboot": {"type": "HARD" if hard else "SOFT"}}, "ACTIVE", wait=wait, timeout=timeout)


_PLAIN_ACTIONS = {
    "start": ("os-start", "ACTIVE", "Start servers that are off."),
    "stop": ("os-stop", "SHUTOFF", "Shut servers down."),
    "pause": ("pause", "PAUSED", "Halt servers where they are, in memory."),
    "unpause": ("unpause", "ACTIVE", "Let paused servers go on."),
    "suspend": ("suspend", "SUSPENDED", "Save servers' memory to disk and free the host's."),
    "resume": ("resume", "ACTIVE", "Bring suspended servers back."),
    "unrescue": ("unrescue", "ACTIVE", "Boot rescued servers from their own disk again."),
    "restore": ("restore", "ACTIVE", "Bring deleted servers back, by id, while there is time."),
}


def _plain_action(name: str, action: str, target: str, text: str) -> None:
    @server.command(name, help=text)
    @click.argument("references", metavar="SERVER...", nargs=-1, required=True, shell_complete=names.of("server"))
    @waiting
    @pass_session
    def command(session: Session, references: tuple[str, ...], wait: bool, timeout: float) -> None:
        act(session, references, {action: None}, target, wait=wait, timeout=timeout)


for _name, _facts in _PLAIN_ACTIONS.items():
    _plain_action(_name, *_facts)


@server.command()
@click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
@click.argument("command", nargs=-1)
@click.option("--user", help="Who to log in as; default: what the image says, else root.")
@click.option("-i", "--identity", type=click.Path(exists=True, dir_okay=False), help="Private key file.")
@pass_session
def ssh(session: Session, reference: str, command: tuple[str, ...], user: str | None, identity: str | None) -> None:
    """Log in to a server, or run COMMAND there (after --)."""
    import os

    from novalite.cli import find
    from novalite.errors import Conflict

    found = find.server(session.client, reference)
    address = next(iter(addresses(found)), None)
    if address is None:
        raise Conflict(
            f"Server {found['name']} has no address.",
            code="server.no_address",
            hint="'novalite server show' tells its state.",
        )
    login = user or ImageNames(session).admin_user(found) or "root"
    # Known by its id: an address goes to another server one day.
    known = ["-o", f"HostKeyAlias={found['id']}", "-o", "StrictHostKeyChecking=accept-new"]
    argv = ["ssh", *known, *(["-i", identity] if identity else []), "-l", login, "--", address, *command]
    os.execvp(argv[0], argv)  # noqa: S606


from novalite.cli import console as _console  # noqa: E402
from novalite.cli import server_forward as _server_forward  # noqa: E402, F401
from novalite.cli import server_image as _server_image  # noqa: E402, F401
from novalite.cli import server_protect as _server_protect  # noqa: E402, F401
from novalite.cli import server_rebuild as _server_rebuild  # noqa: E402, F401
from novalite.cli import server_resize as _server_resize  # noqa: E402, F401

server.add_command(_console.console)
