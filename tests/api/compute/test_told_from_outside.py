"""What other services tell of servers takes effect, and what they ask of hypervisors is answered honestly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.compute.image_tasks import AssistSnapshot
from novalite.cloud.tasks.tasks import Task
from novalite.context import internal
from tests.api.compute.conftest import Cloud
from tests.api.conftest import wait_for

SNAPSHOTS = "/os-assisted-volume-snapshots"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def server(member: Cloud) -> Iterator[str]:
    server_id = member.boot("told")
    yield server_id
    member.gone(server_id)


def _tell(admin: Cloud, server: str, name: str, tag: str | None = None) -> None:
    event = {"server_uuid": server, "name": name} | ({} if tag is None else {"tag": tag})
    answer = admin.call("POST", "/os-server-external-events", {"events": [event]}, "2.93")
    assert answer.status_code == 200, answer.text
    assert answer.json == {"events": [{**event, "status": "completed", "code": 200}]}


def test_a_guest_that_changed_behind_everybodys_back(admin: Cloud, member: Cloud, server: str) -> None:
    host = admin.appliance.driver
    guest = host._guests[server]
    guest.power = type(guest.power).OFF  # no event tells of it
    _tell(admin, server, "power-update", "PERHAPS")
    _tell(admin, server, "power-update", "POWER_OFF")
    member.wait(server, "SHUTOFF")
    guest.power = type(guest.power).RUNNING
    _tell(admin, server, "power-update", "POWER_ON")
    member.wait(server, "ACTIVE")


def test_cards_that_changed(admin: Cloud, member: Cloud, server: str) -> None:
    """Whoever polls for changes hears of it."""
    before = member.server(server)["updated"]
    wait_for(lambda: _tell(admin, server, "network-changed") or member.server(server)["updated"] > before)
    for name in ("network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"):
        _tell(admin, server, name, UNKNOWN)
    assert member.server(server)["status"] == "ACTIVE"


def test_a_volume_that_grew_but_is_not_the_servers(admin: Cloud, member: Cloud, server: str) -> None:
    _tell(admin, server, "volume-extended", UNKNOWN)
    _tell(admin, server, "volume-reimaged", UNKNOWN)
    assert "extend_volume" not in _actions(member, server)


def _create_info(**changes: Any) -> dict[str, Any]:
    return {"snapshot_id": UNKNOWN, "type": "qcow2", "new_file": "f", **changes}


def test_snapshots_of_volumes_that_nobody_has(admin: Cloud, member: Cloud) -> None:
    body = {"snapshot": {"volume_id": UNKNOWN, "create_info": _create_info()}}
    refused = admin.call("POST", SNAPSHOTS, body)
    assert refused.status_code == 400
    assert refused.json["badRequest"]["message"] == f"No volume Block Device Mapping with id {UNKNOWN}."
    info = json.dumps({"volume_id": UNKNOWN})
    assert admin.call("DELETE", f"{SNAPSHOTS}/{UNKNOWN}?delete_info={info}").status_code == 400
    assert member.call("POST", SNAPSHOTS, body).status_code == 403
    assert member.call("DELETE", f"{SNAPSHOTS}/{UNKNOWN}?delete_info={info}").status_code == 403


def test_a_volume_that_a_server_has(admin: Cloud) -> None:
    """The answer comes at once; the history of the task says that there is no such help."""
    server_id = admin.boot("assisted")
    made = admin.appliance.post("/volume/v3/volumes", {"volume": {"size": 1}}).json["volume"]["id"]
    show = f"/volume/v3/volumes/{made}"
    wait_for(lambda: admin.appliance.get(show).json["volume"]["status"] == "available")
    attached = admin.call(
        "POST", f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": made}}
    )
    assert attached.status_code == 200, attached.text
    wait_for(lambda: admin.appliance.get(show).json["volume"]["status"] == "in-use")
    for given, told in (({}, None), ({"id": UNKNOWN}, UNKNOWN)):
        body = {"snapshot": {"volume_id": made, "create_info": _create_info(**given)}}
        answer = admin.call("POST", SNAPSHOTS, body)
        assert (answer.status_code, answer.json) == (200, {"snapshot": {"id": told, "volumeId": made}})
    with admin.appliance.built.database.read(internal()) as w:
        wanted = sa.select(Task).where(Task.kind == AssistSnapshot.kind)
        first = wait_for(lambda: [one for one in w.session.scalars(wanted) if one.args["volume_id"] == made])[0]
    assert first.args["snapshot_id"] == UNKNOWN
    info = json.dumps({"volume_id": made})
    assert admin.call("DELETE", f"{SNAPSHOTS}/{UNKNOWN}?delete_info={info}").status_code == 204
    _tell(admin, server_id, "volume-extended", made)
    wait_for(lambda: "extend_volume" in _actions(admin, server_id))
    admin.gone(server_id)


def _actions(cloud: Cloud, server_id: str) -> list[str]:
    found = cloud.get(f"/servers/{server_id}/os-instance-actions").json["instanceActions"]
    return [one["action"] for one in found]


@pytest.mark.parametrize(
    "snapshot",
    [
        {"volume_id": UNKNOWN},
        {"create_info": _create_info()},
        {"volume_id": "", "create_info": _create_info()},
        {"volume_id": UNKNOWN, "create_info": _create_info(type="raw")},
        {"volume_id": UNKNOWN, "create_info": _create_info(more="x")},
        {"volume_id": UNKNOWN, "create_info": {"type": "qcow2"}},
    ],
)
def test_bodies_that_are_refused(admin: Cloud, snapshot: Any) -> None:
    assert admin.call("POST", SNAPSHOTS, {"snapshot": snapshot}).status_code == 400


@pytest.mark.parametrize("query", ["", "?delete_info=", "?delete_info=x", "?delete_info={}", "?delete_info=[]"])
def test_deletions_that_name_no_volume(admin: Cloud, query: str) -> None:
    answer = admin.call("DELETE", f"{SNAPSHOTS}/{UNKNOWN}{query}")
    assert answer.status_code == 400
    assert "delete_info" in answer.json["badRequest"]["message"] or "body" in answer.json["badRequest"]["message"]


def test_queries_are_strict_from_2_75_on(admin: Cloud) -> None:
    info = json.dumps({"volume_id": UNKNOWN})
    for version, said in (("2.74", "No volume"), ("2.75", "Additional properties")):
        answer = admin.call("DELETE", f"{SNAPSHOTS}/{UNKNOWN}?delete_info={info}&more=1", version=version)
        assert answer.status_code == 400
        assert said in answer.json["badRequest"]["message"]
