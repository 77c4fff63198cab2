"""Lists are made from answers given before, and still never show an old state."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.compute import new_servers
from novalite.cloud.identity.records import Project
from novalite.cloud.network.records import Network
from novalite.context import Context, internal
from tests.api.conftest import Appliance, wait_for


@pytest.fixture(scope="module")
def server(appliance: Appliance) -> str:
    image_id = appliance.image()
    with appliance.built.database.read(internal()) as w:
        project = w.session.scalar(sa.select(Project.id).where(Project.name == "admin"))
    ctx = Context(user_id="u", project_id=project or "", roles=frozenset({"admin", "member", "reader"}))
    with appliance.built.database.write(ctx) as w:
        server_id = new_servers.create(w, new_servers.NewServer("seen", "1", image_id))[0].id
    wait_for(lambda: listed(appliance)["status"] == "ACTIVE")
    return server_id


def listed(appliance: Appliance, **more: Any) -> Any:
    (one,) = appliance.get("/compute/v2.1/servers/detail", **more).json["servers"]
    return one


def test_a_change_shows_at_once(appliance: Appliance, server: str) -> None:
    for name in ("first", "second"):
        body = {"server": {"name": name}}
        assert appliance.call("PUT", f"/compute/v2.1/servers/{server}", json=body).status_code == 200
        assert listed(appliance)["name"] == name


def test_each_version_has_its_own_answer(appliance: Appliance, server: str) -> None:
    assert "description" not in listed(appliance, version="2.18")
    assert "description" in listed(appliance, version="2.19")


def test_what_only_admins_see_is_not_passed_on(appliance: Appliance, server: str) -> None:
    assert "OS-EXT-SRV-ATTR:host" in listed(appliance)
    password = "another-passphrase"
    body = {"user": {"name": "reader", "password": password}}
    user = appliance.post("/identity/v3/users", body).json["user"]["id"]
    project = appliance.get("/identity/v3/projects?name=admin").json["projects"][0]["id"]
    role = next(r["id"] for r in appliance.get("/identity/v3/roles").json["roles"] if r["name"] == "reader")
    appliance.call("PUT", f"/identity/v3/projects/{project}/users/{user}/roles/{role}")
    seen = listed(appliance, token=appliance.token("reader", password))
    assert "OS-EXT-SRV-ATTR:host" not in seen


def test_a_network_that_is_renamed_shows_its_new_name(appliance: Appliance, server: str) -> None:
    with appliance.built.database.read(internal()) as w:
        network = w.session.scalar(sa.select(Network.id).where(Network.name == "private"))
    body = {"network": {"name": "renamed"}}
    assert appliance.call("PUT", f"/network/v2.0/networks/{network}", json=body).status_code == 200
    assert list(listed(appliance)["addresses"]) == ["renamed"]


def test_a_page_takes_the_same_number_of_queries_however_long_it_is(appliance: Appliance, server: str) -> None:
    engine, seen = appliance.built.database.engine, []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    def queries() -> int:
        seen.clear()
        appliance.get("/compute/v2.1/servers/detail", version="2.90")
        return len([text for text in seen if text.startswith("SELECT")])

    one = queries()
    image_id = appliance.image()
    with appliance.built.database.read(internal()) as w:
        project = w.session.scalar(sa.select(Project.id).where(Project.name == "admin"))
    ctx = Context(user_id="u", project_id=project or "", roles=frozenset({"admin", "member", "reader"}))
    with appliance.built.database.write(ctx) as w:
        new_servers.create(w, new_servers.NewServer("more", "1", image_id, min_count=8, max_count=8))
    everyone = "/compute/v2.1/servers/detail?status=ACTIVE"
    wait_for(lambda: len(appliance.get(everyone).json["servers"]) == 9)
    assert queries() <= one + 3
