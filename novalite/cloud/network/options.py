"""What settings say of all networks, kept in the database so that every process of the appliance knows it: name
servers to forward to, the domain of guests, and which interfaces of the machine provider networks may use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from novalite.cloud.network.records import NetworkOption, PhysicalNetwork
from novalite.db.work import Work
from novalite.errors import Invalid

_UPSTREAM, _DOMAIN = "upstream_dns", "dns_domain"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_INTERFACE = re.compile(r"[^\s/=]{1,15}")


def configure(w: Work, *, upstream_dns: Sequence[str], dns_domain: str, physical_networks: Sequence[str]) -> None:
    """Write the settings down, at start. ``physical_networks`` are NAME=INTERFACE; those that ``attach_lan`` made stay.
    Raises ``Invalid`` for what is not of this form."""
    w.changed(sa.delete(NetworkOption))
    w.session.add_all(
        NetworkOption(name=name, value=list(value))
        for name, value in ((_UPSTREAM, upstream_dns), (_DOMAIN, [dns_domain] if dns_domain else []))
    )
    wanted = dict(_parsed(text) for text in physical_networks)
    w.changed(sa.delete(PhysicalNetwork).where(~PhysicalNetwork.is_lan))
    kept = set(w.session.scalars(sa.select(PhysicalNetwork.name)))
    w.session.add_all(
        PhysicalNetwork(name=name, interface=interface) for name, interface in wanted.items() if name not in kept
    )
    w.session.flush()


def _parsed(text: str) -> tuple[str, str]:
    name, _, interface = text.partition("=")
    if not _NAME.fullmatch(name) or not _INTERFACE.fullmatch(interface):
        raise Invalid(f"'{text[:100]}' is not NAME=INTERFACE.", field="network.physical_networks")
    return name, interface


def _value(w: Work, name: str) -> list[str]:
    found = w.session.get(NetworkOption, name)
    return list(found.value) if found else []


def upstream_dns(w: Work) -> tuple[str, ...]:
    """Name servers that the networks' own ones ask."""
    return tuple(_value(w, _UPSTREAM))


def dns_domain(w: Work) -> str:
    """The domain of guests whose network says none, without a dot at its end."""
    return "".join(_value(w, _DOMAIN)).rstrip(".")


def interfaces(w: Work) -> Mapping[str, str]:
    """Physical network -> the machine's interface."""
    return {found.name: found.interface for found in w.session.scalars(sa.select(PhysicalNetwork))}


def add_lan(w: Work, name: str, interface: str) -> None:
    """The machine's ``interface`` carries a physical network by a bridge from now on. Repeatable."""
    found = w.session.get(PhysicalNetwork, name)
    if found is None:
        w.session.add(PhysicalNetwork(name=name, interface=interface, is_lan=True))
    else:
        found.interface, found.is_lan = interface, True
    w.session.flush()


def remove_lan(w: Work, name: str) -> None:
    """Forget it; an absent one is a success."""
    w.changed(sa.delete(PhysicalNetwork).where(PhysicalNetwork.name == name, PhysicalNetwork.is_lan))


def lans(w: Work) -> Mapping[str, str]:
    """Physical networks that ``add_lan`` made -> interface."""
    query = sa.select(PhysicalNetwork).where(PhysicalNetwork.is_lan)
    return {found.name: found.interface for found in w.session.scalars(query)}
