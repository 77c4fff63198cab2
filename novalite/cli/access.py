"""``novalite access``: what may reach servers, as rules of a security group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session
from novalite.errors import NotFound

_SERVICES = {
    "ssh": {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
    "http": {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
    "https": {"protocol": "tcp", "port_range_min": 443, "port_range_max": 443},
    "ping": {"protocol": "icmp"},
    "all": {},
}
_PORTS = re.compile(r"(tcp|udp):([0-9]{1,5})(?:-([0-9]{1,5}))?")
_GROUP = click.option("--group", default="default", show_default=True, help="Name or id of the security group.")


class _What(click.ParamType[Any]):
    """``ssh``, ``ping``, ``http``, ``https``, ``all``, ``tcp:PORT``, ``udp:FIRST-LAST``."""

    name = "what"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value in _SERVICES:
            return _SERVICES[value]
        found = _PORTS.fullmatch(value)
        if found is None:
            self.fail(f"{value} is none of {', '.join(_SERVICES)}, tcp:PORT, udp:PORT or tcp:FIRST-LAST.", param, ctx)
        return {
            "protocol": found[1],
            "port_range_min": int(found[2]),
            "port_range_max": int(found[3] or found[2]),
        }


@click.group(cls=Branch)
def access() -> None:
    """What may reach servers from outside. Nothing may until it is allowed."""


@access.command("list")
@_GROUP
@pass_session
def list_rules(session: Session, group: str) -> None:
    """List what is allowed in."""
    found = _group(session, group)
    session.show_list(
        [rule for rule in found["security_group_rules"] if rule["direction"] == "ingress"],
        [
            ("ID", lambda each: each["id"]),
            ("Protocol", lambda each: each["protocol"] or "any"),
            ("Ports", _ports),
            ("From", _source),
        ],
    )


@access.command()
@click.argument("what", type=_What(), metavar="WHAT")
@click.option("--from", "source", default="0.0.0.0/0", show_default=True, metavar="CIDR", help="Who may.")
@_GROUP
@pass_session
def allow(session: Session, what: dict[str, Any], source: str, group: str) -> None:
    """Let WHAT in: ssh, ping, http, https, all, tcp:PORT, udp:PORT or tcp:FIRST-LAST."""
    found = _group(session, group)
    wanted = {"security_group_id": found["id"], "direction": "ingress", "ethertype": "IPv4", "remote_ip_prefix": source}
    made = session.client.post("network", "/security-group-rules", {"security_group_rule": {**wanted, **what}})
    rule = made["security_group_rule"]
    session.show_one(rule, [(name, rule[name]) for name in sorted(rule)])


@access.command()
@click.argument("rule_id", metavar="ID")
@pass_session
def deny(session: Session, rule_id: str) -> None:
    """Take back what was allowed: the ID is that of `novalite access list`."""
    session.client.delete("network", f"/security-group-rules/{rule_id}")
    session.say("It is no longer let in.")


def _group(session: Session, reference: str) -> dict[str, Any]:
    groups = session.client.collection(
        "network", "/security-groups", "security_groups", project_id=session.client.project_id
    )
    for each in groups:
        if reference in (each["id"], each["name"]):
            return each
    raise NotFound("security group", reference, message=f"There is no security group {reference}.")


def _ports(rule: Mapping[str, Any]) -> str:
    first, last = rule["port_range_min"], rule["port_range_max"]
    if first is None:
        return "any"
    return str(first) if first == last else f"{first}-{last}"


def _source(rule: Mapping[str, Any]) -> str:
    if rule["remote_group_id"]:
        return f"members of group {rule['remote_group_id']}"
    return rule["remote_ip_prefix"] or "anywhere"
