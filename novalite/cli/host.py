"""``novalite host``: the machines that run servers (admin)."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.output import Column
from novalite.cli.session import Session, pass_session

_COLUMNS: list[Column] = [
    ("Name", lambda each: each["hypervisor_hostname"]),
    ("State", lambda each: each["state"]),
    ("Status", lambda each: each["status"]),
    ("Servers", lambda each: each["running_vms"]),
    ("vCPUs", lambda each: f"{each['vcpus_used']} of {each['vcpus']}"),
    ("Memory MiB", lambda each: f"{each['memory_mb_used']} of {each['memory_mb']}"),
    ("Disk GiB", lambda each: f"{each['local_gb_used']} of {each['local_gb']}"),
    ("Runs", lambda each: each["hypervisor_type"]),
]


@click.group(cls=Branch)
def host() -> None:
    """Machines that run servers. A HOST is a name."""


@host.command("list")
@pass_session
def list_(session: Session) -> None:
    """List hosts and what is in use on them."""
    session.show_list(session.client.collection("compute", "/os-hypervisors/detail", "hypervisors"), _COLUMNS)


@host.command()
@click.argument("name", metavar="HOST", shell_complete=names.of("host"))
@pass_session
def show(session: Session, name: str) -> None:
    """Show everything about a host."""
    everyone = session.client.collection("compute", "/os-hypervisors/detail", "hypervisors")
    found = _named(everyone, "hypervisor_hostname", name)
    session.show_one(found, [(key, value) for key, value in sorted(found.items()) if key != "links"])


@host.command()
@click.argument("name", metavar="HOST", shell_complete=names.of("host"))
@pass_session
def enable(session: Session, name: str) -> None:
    """Let a host take servers again."""
    _set(session, name, {"status": "enabled"})


@host.command()
@click.argument("name", metavar="HOST", shell_complete=names.of("host"))
@click.option("--reason", help="Why; shown to whoever looks.")
@pass_session
def disable(session: Session, name: str, reason: str | None) -> None:
    """Take a host out of service: what runs goes on, nothing new comes."""
    _set(session, name, {"status": "disabled", **({"disabled_reason": reason} if reason else {})})


def _set(session: Session, name: str, body: dict[str, str]) -> None:
    services = session.client.get("compute", "/os-services", binary="nova-compute")["services"]
    found = _named(services, "host", name)
    changed = session.client.put("compute", f"/os-services/{found['id']}", body)["service"]
    if session.json:
        session.show_one(changed, [])
    session.say(f"{name} is {changed['status']}.")


def _named(everyone: list[dict[str, Any]], key: str, name: str) -> dict[str, Any]:
    from novalite.errors import NotFound

    for each in everyone:
        if each[key] == name:
            return each
    raise NotFound("host", name, message=f"There is no host {name}.", hint="'novalite host list' shows them all.")
