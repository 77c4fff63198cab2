"""Lists of servers: filters, order, pages, what has changed."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from .conftest import Cloud

NAMES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def three(member: Cloud) -> dict[str, str]:
    return {name: member.boot(name, tags=[name[0], "all"], metadata={"n": name}) for name in NAMES}


def _names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [server["name"] for server in answer.json["servers"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["gamma", "beta", "alpha"]),
        ("name=alpha", ["alpha"]),
        ("name=^.*ta$", ["beta"]),
        ("name=^[a-g]%2B\\w*$", ["gamma", "beta", "alpha"]),
        ("status=active", ["gamma", "beta", "alpha"]),
        ("status=ACTIVE&status=SHUTOFF", ["gamma", "beta", "alpha"]),
        ("status=SHUTOFF", []),
        ("flavor=1", ["gamma", "beta", "alpha"]),
        ("flavor=unknown", []),
        ("image=unknown", []),
        ("tags=a", ["alpha"]),
        ("tags=a,all", ["alpha"]),
        ("tags-any=a,b", ["beta", "alpha"]),
        ("not-tags=a", ["gamma", "beta"]),
        ("not-tags-any=a,b", ["gamma"]),
        ("ip=999", []),
        ("locked=true", []),
        ("vm_state=active&power_state=1", ["gamma", "beta", "alpha"]),
        ("sort_key=display_name&sort_dir=asc", ["alpha", "beta", "gamma"]),
        ("sort_key=vm_state&sort_dir=asc&sort_key=display_name&sort_dir=desc", ["gamma", "beta", "alpha"]),
        ("limit=0", []),
        ("limit=1", ["gamma"]),
        ("changes-since=2000-01-01T00:00:00Z", ["gamma", "beta", "alpha"]),
        ("changes-before=2000-01-01T00:00:00Z", []),
    ],
)
def test_filters_and_order(member: Cloud, three: dict[str, str], query: str, names: list[str]) -> None:
    assert _names(member.get(f"/servers?{query}")) == names
    assert _names(member.get(f"/servers/detail?{query}")) == names


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=-1", 400), ("limit=x", 400), ("marker=unknown", 400), ("sort_key=nothing", 400),
        ("sort_key=display_name&sort_dir=sideways", 400), ("status=nonsense", 400), ("changes-since=soon", 400),
        ("name=(", 400), ("locked=perhaps", 400), ("power_state=on", 400), ("nonsense=1", 400),
        ("all_tenants=perhaps", 400), ("status=deleted", 403), ("all_tenants=1", 403), ("sort_key=host", 403),
        ("name=%00", 400), ("name=(a%2B)%2B$", 400), ("name=a*a*a*a*b", 400), ("limit=99999999999999999999", 400),
    ],
)  # fmt: skip
def test_bad_queries(member: Cloud, query: str, status: int) -> None:
    assert member.get(f"/servers/detail?{query}").status_code == status


def test_old_versions_drop_what_they_do_not_know(member: Cloud, three: dict[str, str]) -> None:
    assert len(_names(member.get("/servers?nonsense=1&tags=a&host=x&locked=perhaps", "2.1"))) == 3
    assert _names(member.get("/servers?status=nonsense", "2.37")) == []


def test_pages_lead_to_one_another(member: Cloud, three: dict[str, str]) -> None:
    seen, path = [], "/servers/detail?limit=1&sort_key=display_name&sort_dir=asc"
    while path:
        answer = member.get(path)
        seen += _names(answer)
        links = answer.json.get("servers_links", [])
        path = links[0]["href"].removeprefix("http://localhost/compute/v2.1") if links else ""
    assert seen == list(NAMES)


def test_admins_list_all_projects(admin: Cloud, three: dict[str, str]) -> None:
    assert not set(NAMES) & set(_names(admin.get("/servers")))
    assert set(NAMES) <= set(_names(admin.get("/servers?all_tenants=1")))
    assert set(NAMES) <= set(_names(admin.get("/servers/detail?all_tenants=true&deleted=False")))
    project = admin.server(three["alpha"])["tenant_id"]
    assert set(_names(admin.get(f"/servers?all_tenants=1&project_id={project}"))) == set(NAMES)


def test_the_address_filter_matches_from_the_start(member: Cloud, three: dict[str, str]) -> None:
    address = member.server(three["beta"])["addresses"]["private"][0]["addr"]
    assert "beta" in _names(member.get(f"/servers?ip={address}"))
    assert len(_names(member.get(f"/servers?ip={address[:4]}"))) == 3


def test_changes_tell_of_deleted_servers(member: Cloud) -> None:
    server_id = member.boot("vanishing")
    member.gone(server_id)
    changed = member.get("/servers/detail?changes-since=2000-01-01T00:00:00Z").json["servers"]
    assert {row["status"] for row in changed if row["id"] == server_id} == {"DELETED"}
    assert "vanishing" not in _names(member.get("/servers"))


def test_the_number_of_queries_does_not_grow_with_the_page(member: Cloud, three: dict[str, str]) -> None:
    engine, counts = member.appliance.built.database.engine, []
    statements: list[str] = []

    def note(_connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "FROM tasks" not in statement:
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        for size in (1, 3):
            statements.clear()
            member.get(f"/servers/detail?limit={size}")
            counts.append(len([text for text in statements if "FROM servers" in text or "FROM ports" in text]))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert counts[0] == counts[1] <= 3
