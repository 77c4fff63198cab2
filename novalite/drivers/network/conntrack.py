"""Ends tracked connections, by the ``conntrack`` program: what was let through or translated is asked about anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from novalite.drivers.network.commands import run
from novalite.drivers.network.namespaces import inside
from novalite.errors import DriverError


def forget(op: str, namespace: str, filters: Iterable[Sequence[str]]) -> None:
    """The IPv4 connections that any of the filters names (options of ``conntrack -D``) are gone."""
    for options in filters:
        try:
            run(op, inside(namespace, ["conntrack", "-D", "-f", "ipv4", *options]))
        except DriverError as error:
            if "0 flow entries" not in error.detail:
                raise
