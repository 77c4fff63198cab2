"""A database with one network in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.cloud.network import networks, subnets
from novalite.context import Context
from novalite.db.work import Database
from tests.databases import declared

MEMBER = Context("u1", "11111111-2222-3333-4444-555555555555", frozenset({"member", "reader"}))
OTHER = Context("u2", "99999999-2222-3333-4444-555555555555", frozenset({"member", "reader"}))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(declared(tmp_path / "novalite.db"))
    yield found
    found.close()


def make_network(database: Database, cidr: str = "10.0.0.0/28", *, ctx: Context = MEMBER, **more: object) -> str:
    with database.write(ctx) as w:
        network = networks.create(w, networks.NewNetwork(cidr, shared=bool(more.pop("shared", False))))
        subnets.create(w, network, subnets.NewSubnet(cidr=cidr, **more))  # type: ignore[arg-type]
        return network.id
