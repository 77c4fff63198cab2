"""The demo's first server: image, key, flavor and the server itself, each made only when it is not there."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from novalite.cli import find, output
from novalite.cli.command_here import command_here
from novalite.cli.console import console_text, harmless
from novalite.cli.guest import GUEST_IMAGE, build_guest
from novalite.cli.key import new_pair, write_private
from novalite.cli.server_view import addresses
from novalite.cli.session import Session
from novalite.cli.upload import upload
from novalite.cli.waiting import for_absence, for_status, until
from novalite.clock import Deadline
from novalite.errors import Failed, NotFound
from novalite.settings import Settings

NAME = "hello"
IMAGE = "novalite-guest"
KEY = "demo"
GROUP = "demo"
_LET_IN: tuple[dict[str, Any], ...] = (
    {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
    {"protocol": "icmp"},
)
FLAVOR = {"name": "m1.tiny", "vcpus": 1, "ram": 256, "disk": 1}
_LOGIN = re.compile(r"^\S+ login:", re.MULTILINE)
_LAST_LINES = 12


@dataclass(frozen=True)
class Report:
    """What came of it. ``seconds`` from the first request to the login prompt."""

    server: dict[str, Any]
    console: str
    reached_login: bool
    seconds: float
    key_path: Path

    def show(self, session: Session, *, ui: str, settings: Settings) -> None:
        found = addresses(self.server)
        address = found[0] if found else ""
        state = settings.state_path.absolute()
        if session.json:
            output.emit_json(
                {
                    "server_id": self.server["id"],
                    "address": address,
                    "reached_login": self.reached_login,
                    "seconds": round(self.seconds, 1),
                    "console": self.console.splitlines()[-_LAST_LINES:],
                    "ui": ui,
                    "credentials": [str(state / "admin-openrc"), str(state / "clouds.yaml")],
                    "key": str(self.key_path),
                }
            )
            return
        command = command_here(settings)
        click.echo("\nThe last lines of its console:")
        for line in harmless(self.console).splitlines()[-_LAST_LINES:]:
            click.echo(f"  | {line}")
        verdict = "reached its login prompt" if self.reached_login else "did NOT reach its login prompt"
        click.echo(f"\n{NAME} {verdict} after {self.seconds:.0f} s.\n")
        output.facts(
            [
                ("server", f"{NAME} ({self.server['id']})"),
                ("address", address or "none"),
                ("web UI", ui),
                ("credentials", f"{state / 'admin-openrc'} and {state / 'clouds.yaml'}"),
            ]
        )
        click.echo("\nTry next:")
        click.echo(f"  {command} access allow ssh    # once: nothing comes in otherwise")
        click.echo(f"  {command} server ssh -i {shlex.quote(str(self.key_path))} {NAME}")
        click.echo(f"  {command} server list")
        click.echo(f"  {command} server console url {NAME}\n")


def boot_hello(session: Session, *, seconds: float) -> Report:
    """The server, at its login prompt when all went well. Repeating it finds what is there."""
    image = _image(session)
    key_path = _key(session)
    flavor = _flavor(session)
    started = time.monotonic()
    deadline = Deadline(seconds)
    seen = Follower()
    server = _server(session, image, flavor, seen, deadline)
    prompt = _await_login(session, server, seen, deadline)
    return Report(server, seen.text, prompt, time.monotonic() - started, key_path)


class Follower:
    """Follows a log that grows, and may lose its beginning. ``text`` is what was written since ``skip``."""

    def __init__(self) -> None:
        self._last = ""
        self.text = ""

    def skip(self, whole: str) -> None:
        """Count what is there already as old."""
        self._last = whole

    def feed(self, whole: str) -> str:
        """What is new in the log."""
        if whole.startswith(self._last):
            new = whole[len(self._last) :]
        else:
            mark = self._last[-200:]
            place = whole.rfind(mark) if mark else -1
            new = whole if place < 0 else whole[place + len(mark) :]
        self._last = whole
        self.text += new
        return new


def _image(session: Session) -> dict[str, Any]:
    for each in session.client.collection("image", "/images", "images", name=IMAGE):
        if each["status"] == "active":
            return each
        session.client.delete("image", f"/images/{each['id']}")
    path = session.state_path / "cache" / GUEST_IMAGE
    if not path.exists():
        session.say("Building the guest image")
        build_guest(path, session)
    session.say("Uploading the guest image")
    return upload(session, IMAGE, path, disk_format="qcow2", body={"visibility": "public", "os_admin_user": "root"})


def _key(session: Session) -> Path:
    """The private key's file; the cloud's key pair is made to match it."""
    client = session.client
    private_path = session.state_path / "demo-key"
    public_path = private_path.with_suffix(".pub")
    if not public_path.exists() or not private_path.exists():
        private_path.unlink(missing_ok=True)
        private, public = new_pair()
        write_private(private_path, private)
        public_path.write_text(public + "\n")
    public = public_path.read_text().strip()
    for each in client.get("compute", "/os-keypairs")["keypairs"]:
        if each["keypair"]["name"] == KEY:
            if each["keypair"]["public_key"].split()[:2] == public.split()[:2]:
                return private_path
            client.delete("compute", f"/os-keypairs/{KEY}")
    client.post("compute", "/os-keypairs", {"keypair": {"name": KEY, "public_key": public, "type": "ssh"}})
    return private_path


def _reachable(session: Session) -> str:
    """The id of a security group that lets SSH and ping in, which the default group does not."""
    client = session.client
    found = client.collection("network", "/security-groups", "security_groups", name=GROUP)
    asked = {"name": GROUP, "description": "Lets SSH and ping in"}
    group = (
        found[0] if found else client.post("network", "/security-groups", {"security_group": asked})["security_group"]
    )
    present = {rule["protocol"] for rule in group["security_group_rules"]}
    for rule in _LET_IN:
        if rule["protocol"] not in present:
            wanted = {"security_group_id": group["id"], "direction": "ingress", **rule}
            client.post("network", "/security-group-rules", {"security_group_rule": wanted})
    return str(group["id"])


def _flavor(session: Session) -> dict[str, Any]:
    try:
        return find.flavor(session.client, str(FLAVOR["name"]))
    except NotFound:
        made: dict[str, Any] = session.client.post("compute", "/flavors", {"flavor": FLAVOR})["flavor"]
        return made


def _server(
    session: Session, image: dict[str, Any], flavor: dict[str, Any], seen: Follower, deadline: Deadline
) -> dict[str, Any]:
    """The server when it is ACTIVE. One in ERROR is made again, one that is off is started."""
    client, show = session.client, _changes(session)
    try:
        server = find.server(client, NAME)
    except NotFound:
        server = {}
    if server and server["status"] == "ERROR":
        session.say(f"{NAME} is in ERROR: deleting it")
        client.delete("compute", f"/servers/{server['id']}")
        for_absence(client, server, seconds=deadline.remaining, show=show)
        server = {}
    if not server:
        body = {
            "name": NAME,
            "imageRef": image["id"],
            "flavorRef": flavor["id"],
            "key_name": KEY,
            "networks": find.networks(client, ()),
            "security_groups": [{"name": "default"}, {"name": _reachable(session)}],
        }
        server = client.post("compute", "/servers", {"server": body})["server"]
        server = client.get("compute", f"/servers/{server['id']}")["server"]
    else:
        _wake(session, server, seen)
    return for_status(client, server, "ACTIVE", seconds=deadline.remaining, show=show)


_WAKES = {"SHUTOFF": "os-start", "PAUSED": "unpause", "SUSPENDED": "resume"}


def _wake(session: Session, server: dict[str, Any], seen: Follower) -> None:
    session.say(f"{NAME} is there already: {server['status']}")
    action = _WAKES.get(server["status"])
    if action is None or server.get("OS-EXT-STS:task_state"):
        return
    if action == "os-start":
        seen.skip(_console(session, server))
    session.client.post("compute", f"/servers/{server['id']}/action", {action: None})


def _await_login(session: Session, server: dict[str, Any], seen: Follower, deadline: Deadline) -> bool:
    lines = Lines(lambda line: session.say(f"  | {line}"))

    def at_prompt() -> bool:
        lines.feed(harmless(seen.feed(_console(session, server))))
        return _LOGIN.search(seen.text) is not None

    return until(at_prompt, seconds=deadline.remaining)


class Lines:
    """Tells whole lines of a text that comes in pieces; empty ones are left out."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._rest = tell, ""

    def feed(self, piece: str) -> None:
        *whole, self._rest = (self._rest + piece).split("\n")
        for line in whole:
            if line.strip():
                self._tell(line)


def _console(session: Session, server: dict[str, Any]) -> str:
    try:
        return console_text(session.client, server["id"])
    except (NotFound, Failed):
        return ""


def _changes(session: Session) -> Callable[[str], None]:
    """Tells each state once."""
    told: list[str] = []

    def show(text: str) -> None:
        if told[-1:] != [text]:
            told.append(text)
            session.say(text)

    return show
