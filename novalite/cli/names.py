"""Completes the names of what is in the cloud, when a shell asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from novalite.cli.client import Client

Completer = Callable[[click.Context, click.Parameter, str], list[str]]

_LISTS: dict[str, tuple[str, str, str]] = {
    "server": ("compute", "/servers", "servers"),
    "flavor": ("compute", "/flavors", "flavors"),
    "image": ("image", "/images", "images"),
    "network": ("network", "/networks", "networks"),
    "volume": ("block-storage", "/volumes", "volumes"),
    "key": ("compute", "/os-keypairs", "keypairs"),
    "host": ("compute", "/os-hypervisors", "hypervisors"),
}


def of(kind: str) -> Completer:
    """A completer of the names of ``kind``; silent when the cloud does not answer."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        from novalite.cli.session import Session
        from novalite.errors import NovaLiteError

        try:
            found = _names(context.ensure_object(Session).client, kind)
        except NovaLiteError:
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete


def _names(client: Client, kind: str) -> list[str]:
    service, path, key = _LISTS[kind]
    return [_name(each) for each in client.get(service, path)[key]]


def _name(thing: dict[str, Any]) -> str:
    inner = thing.get("keypair", thing)
    return str(inner.get("name") or inner.get("hypervisor_hostname"))
