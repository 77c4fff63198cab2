"""Who may do what: every route without a token, as a reader, as a member with other people's ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from novalite.api.compute import front as compute
from novalite.api.identity import front as identity
from novalite.api.image import front as image
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.network import front as network
from novalite.api.volume import front as volume
from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, wait_for

FRONTS = (identity.FRONT, compute.FRONT, image.FRONT, network.FRONT, volume.FRONT)
C, N, I = "/compute/v2.1", "/network/v2.0", "/image/v2"  # noqa: E741


def every_route() -> Iterator[tuple[Front, Route]]:
    for front in FRONTS:
        for route in front.routes:
            yield front, route


def at(front: Front, route: Route, **ids: str) -> str:
    return front.prefix + re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: ids.get(found[1], "x"), route.path)


def version_for(route: Route) -> str:
    return route.until or route.since or "2.1"


def send(appliance: Appliance, front: Front, route: Route, path: str, **more: Any) -> Any:
    body: dict[str, Any] = {"json": {route.action: None} if route.action else {}}
    if route.method in ("GET", "HEAD", "DELETE"):
        body = {}
    version = version_for(route) if front.versions and front.name == "compute" else ""
    return appliance.call(route.method, path, version=version, **body, **more)


@pytest.mark.parametrize("token", ["none", "wrong", "long", "unicode"])
def test_nothing_but_what_is_public_answers_without_a_token(appliance: Appliance, token: str) -> None:
    headers = {"wrong": "gAAAA", "long": "x" * 7000, "unicode": "\xff\xfe"}.get(token)
    given = {"X-Auth-Token": headers} if headers else {}
    for front, route in every_route():
        if route.rule == PUBLIC:
            continue
        answer = appliance.client.open(at(front, route), method=route.method, headers=given)
        assert answer.status_code == 401, f"{route.method} {route.path}"


@dataclass(frozen=True)
class Belongings:
    """What the admin's project has: ids by the placeholder they stand for."""

    ids: dict[str, str]


@pytest.fixture(scope="module")
def owned(appliance: Appliance, flavor: str) -> Belongings:
    private = appliance.post(f"{I}/images", {"name": "p", "disk_format": "raw", "container_format": "bare"}).json["id"]
    appliance.call("PUT", f"{I}/images/{private}/file", data=b"\0" * 4096, content_type="application/octet-stream")
    body = server_body(flavor, private, tags=["owned"], metadata={"k": "v"})
    server = appliance.post(f"{C}/servers", body, version="2.90").json["server"]["id"]
    wait_for(lambda: appliance.get(f"{C}/servers/{server}").json["server"]["status"] == "ACTIVE")
    net = appliance.post(f"{N}/networks", {"network": {"name": "own"}}).json["network"]["id"]
    subnet = appliance.post(f"{N}/subnets", {"subnet": {"network_id": net, "cidr": "10.99.0.0/24", "ip_version": 4}})
    port = appliance.post(f"{N}/ports", {"port": {"network_id": net}}).json["port"]["id"]
    group = appliance.get(f"{N}/security-groups").json["security_groups"][0]["id"]
    rule = appliance.get(f"{N}/security-group-rules").json["security_group_rules"]
    set_ = {"server_group": {"name": "g", "policy": "affinity"}}
    server_group = appliance.post(f"{C}/os-server-groups", set_, version="2.64").json["server_group"]["id"]
    action = appliance.get(f"{C}/servers/{server}/os-instance-actions").json["instanceActions"][0]["request_id"]
    me = appliance.get("/identity/v3/users").json["users"][0]["id"]
    appliance.post(f"{C}/os-keypairs", {"keypair": {"name": "adminkey"}})
    return Belongings({
        "server_id": server, "image_id": private, "network_id": net, "subnet_id": subnet.json["subnet"]["id"],
        "port_id": port, "security_group_id": group, "group_id": server_group, "request_id": action, "user_id": me,
        "name": "adminkey", "key": "k", "tag": "owned", "id": rule[0]["id"] if rule else "x", "member_id": "x",
    })  # fmt: skip


OWN_PLACES = {"server_id", "image_id", "network_id", "subnet_id", "port_id", "security_group_id", "group_id"}


def test_what_other_projects_have_is_not_there(appliance: Appliance, mallory: str, owned: Belongings) -> None:
    """404 for each route with an id, and never a success; 400 only where the body is looked at first."""
    seen = 0
    for front, route in every_route():
        places = set(re.findall(r"\{(\w+)", route.path)) & OWN_PLACES
        if not places or front is identity.FRONT or "/flavors/" in route.path:
            continue
        seen += 1
        path = at(front, route, **owned.ids)
        answer = send(appliance, front, route, path, token=mallory)
        assert answer.status_code in (400, 403, 404, 410, 415), f"{route.method} {path} {route.action} {answer.text}"
        if answer.status_code == 403:  # refused for the rule's sake: then an id of nowhere must look the same
            nowhere = dict.fromkeys(owned.ids, "00000000-0000-0000-0000-000000000000")
            other = send(appliance, front, route, at(front, route, **nowhere), token=mallory)
            assert other.status_code == 403, f"{route.method} {path} {route.action} tells that it exists"
    assert seen > 40
    assert appliance.get(f"{C}/servers/{owned.ids['server_id']}").json["server"]["status"] == "ACTIVE"


WRITES = [
    ("POST", f"{C}/servers/{{server_id}}/action", {"os-stop": None}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"reboot": {"type": "SOFT"}}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"pause": None}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"suspend": None}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"lock": None}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"os-getConsoleOutput": {}}),
    ("POST", f"{C}/servers/{{server_id}}/action", {"os-getVNCConsole": {"type": "novnc"}}),
    ("PUT", f"{C}/servers/{{server_id}}", {"server": {"name": "stolen"}}),
    ("DELETE", f"{C}/servers/{{server_id}}", None),
    ("GET", f"{C}/servers/{{server_id}}/metadata", None),
    ("PUT", f"{C}/servers/{{server_id}}/metadata", {"metadata": {"a": "b"}}),
    ("GET", f"{C}/servers/{{server_id}}/ips", None),
    ("GET", f"{C}/servers/{{server_id}}/os-instance-actions", None),
    ("GET", f"{C}/servers/{{server_id}}/os-instance-actions/{{request_id}}", None),
    ("GET", f"{C}/os-keypairs/{{name}}", None),
    ("DELETE", f"{C}/os-keypairs/{{name}}", None),
    ("GET", f"{C}/os-server-groups/{{group_id}}", None),
    ("DELETE", f"{C}/os-server-groups/{{group_id}}", None),
    ("GET", f"{I}/images/{{image_id}}", None),
    ("GET", f"{I}/images/{{image_id}}/file", None),
    ("GET", f"{I}/images/{{image_id}}/members", None),
    ("POST", f"{I}/images/{{image_id}}/members", {"member": "me"}),
    ("PUT", f"{I}/images/{{image_id}}/tags/x", None),
    ("DELETE", f"{I}/images/{{image_id}}", None),
    ("GET", f"{N}/networks/{{network_id}}", None),
    ("PUT", f"{N}/networks/{{network_id}}", {"network": {"name": "stolen"}}),
    ("DELETE", f"{N}/networks/{{network_id}}", None),
    ("GET", f"{N}/subnets/{{subnet_id}}", None),
    ("DELETE", f"{N}/subnets/{{subnet_id}}", None),
    ("GET", f"{N}/ports/{{port_id}}", None),
    ("PUT", f"{N}/ports/{{port_id}}", {"port": {"name": "stolen"}}),
    ("DELETE", f"{N}/ports/{{port_id}}", None),
    ("GET", f"{N}/security-groups/{{security_group_id}}", None),
    ("POST", f"{N}/ports", {"port": {"network_id": "{network_id}"}}),
    ("POST", f"{N}/subnets", {"subnet": {"network_id": "{network_id}", "cidr": "10.98.0.0/24"}}),
]


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str) and "{" in value:
        return value.format(**ids)
    return {key: filled(item, ids) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_well_formed_request_for_another_projects_id_is_404(
    appliance: Appliance, mallory: str, owned: Belongings, method: str, path: str, body: Any
) -> None:
    sent = {} if body is None else {"json": filled(body, owned.ids)}
    answer = appliance.call(method, path.format(**owned.ids), token=mallory, **sent)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(
    "more",
    [
        {"imageRef": "{image_id}"},
        {"networks": [{"uuid": "{network_id}"}]},
        {"networks": [{"port": "{port_id}"}]},
        {"key_name": "adminkey"},
        {"security_groups": [{"name": "{security_group_id}"}]},
    ],
)
def test_a_new_server_cannot_use_what_other_projects_have(
    appliance: Appliance, mallory: str, owned: Belongings, flavor: str, more: dict[str, Any]
) -> None:
    body = server_body(flavor, appliance.image())
    body["server"] |= {
        key: [filled(item, owned.ids) for item in value] if isinstance(value, list) else filled(value, owned.ids)
        for key, value in more.items()
    }
    answer = appliance.post(f"{C}/servers", body, version="2.90", token=mallory)
    assert answer.status_code == 400, answer.text
    assert appliance.get(f"{C}/servers", token=mallory).json == {"servers": []}
    assert appliance.get(f"{N}/ports", token=mallory).json == {"ports": []}


def test_a_server_group_of_another_project_is_no_hint(
    appliance: Appliance, mallory: str, owned: Belongings, flavor: str
) -> None:
    body = {**server_body(flavor, appliance.image()), "os:scheduler_hints": {"group": owned.ids["group_id"]}}
    assert appliance.post(f"{C}/servers", body, version="2.90", token=mallory).status_code == 400


def test_a_reader_changes_nothing(appliance: Appliance) -> None:
    """Every route that writes is forbidden, or finds nothing to write to, or sees a bad body; none succeeds."""
    reader = appliance.member("onlyreads", "reader")
    allowed = {"POST /v3/auth/tokens", "DELETE /v3/auth/tokens"}
    for front, route in every_route():
        if route.method in ("GET", "HEAD") or route.rule == PUBLIC or f"{route.method} {route.path}" in allowed:
            continue
        answer = send(appliance, front, route, at(front, route), token=reader)
        assert answer.status_code in (400, 403, 404, 410, 415), f"{route.method} {route.path} {answer.text}"


def test_a_reader_may_not_even_try(appliance: Appliance, flavor: str) -> None:
    reader = appliance.token("onlyreads", "a-long-passphrase", "onlyreads")
    image_id = appliance.image()
    tries: list[tuple[str, Any]] = [
        (f"{C}/servers", server_body(flavor, image_id)),
        (f"{C}/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}),
        (f"{I}/images", {"name": "x"}),
        (f"{N}/networks", {"network": {"name": "x"}}),
        (f"{N}/ports", {"port": {"network_id": image_id}}),
        ("/identity/v3/projects", {"project": {"name": "x"}}),
        ("/identity/v3/users", {"user": {"name": "x"}}),
        ("/identity/v3/roles", {"role": {"name": "x"}}),
    ]
    for path, body in tries:
        assert appliance.post(path, body, token=reader).status_code == 403, path


ADMINS = [
    ("GET", "/admin/status"), ("GET", "/admin/doctor"), ("GET", f"{C}/os-hypervisors"), ("GET", f"{C}/os-services"),
    ("GET", f"{C}/os-hypervisors/detail"), ("GET", f"{C}/servers/detail?all_tenants=1"), ("POST", f"{C}/flavors"),
    ("DELETE", f"{C}/flavors/1"), ("GET", "/identity/v3/users"), ("GET", "/identity/v3/role_assignments"),
    ("GET", "/identity/v3/projects"), ("POST", "/identity/v3/domains"), ("GET", f"{C}/os-aggregates"),
    ("PUT", f"{C}/os-quota-sets/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADMINS)
def test_a_member_does_not_reach_what_is_for_admins(appliance: Appliance, mallory: str, method: str, path: str) -> None:
    bodies: dict[str, Any] = {
        f"{C}/flavors": {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}},
        "/identity/v3/domains": {"domain": {"name": "x"}},
        f"{C}/os-quota-sets/x": {"quota_set": {"cores": 1}},
    }
    sent = {"json": bodies[path]} if path in bodies else {}
    assert appliance.call(method, path, token=mallory, **sent).status_code == 403


@pytest.mark.parametrize(
    "more",
    [{"availability_zone": "nova:{host}"}, {"availability_zone": "nova::{host}"}, {"host": "{host}"},
     {"hypervisor_hostname": "{host}"}, {"availability_zone": ":{host}"}],
)  # fmt: skip
def test_a_member_names_no_host(appliance: Appliance, mallory: str, flavor: str, more: dict[str, str]) -> None:
    host = next(iter(appliance.built.hosts))
    body = server_body(flavor, appliance.image(), **{key: value.format(host=host) for key, value in more.items()})
    assert appliance.post(f"{C}/servers", body, version="2.90", token=mallory).status_code == 403


def test_a_member_neither_publishes_nor_gives_away(appliance: Appliance, mallory: str) -> None:
    own = appliance.post(f"{I}/images", {"name": "m"}, token=mallory).json["id"]
    patch = "application/openstack-images-v2.1-json-patch"
    for name, value in (("visibility", "public"), ("owner", "other"), ("id", own.upper()), ("status", "active"),
                        ("checksum", "x"), ("size", 1), ("file", "/etc/passwd"), ("locations", [])):  # fmt: skip
        data = f'[{{"op": "replace", "path": "/{name}", "value": {value!r}}}]'.replace("'", '"')
        answer = appliance.call("PATCH", f"{I}/images/{own}", token=mallory, data=data, content_type=patch)
        assert answer.status_code == 403, f"{name} {answer.text}"
    assert appliance.post(f"{I}/images", {"visibility": "public"}, token=mallory).status_code == 403
    assert appliance.post(f"{I}/images", {"owner": "other"}, token=mallory).status_code == 403
    for body in ({"network": {"shared": True}}, {"network": {"project_id": "other"}}):
        assert appliance.post(f"{N}/networks", body, token=mallory).status_code in (403, 501)
