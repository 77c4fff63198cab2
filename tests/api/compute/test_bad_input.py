"""What Compute refuses: each case is a 4xx that names the field and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"

SERVER = [
    ({"name": ""}, "name"),
    ({"name": " blank"}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": 5}, "name"),
    ({"name": "a\u0007b"}, "name"),
    ({"name": None}, "name"),
    ({"flavorRef": None}, "flavorRef"),
    ({"flavorRef": "unknown"}, "unknown"),
    ({"imageRef": "not-a-uuid"}, "imageRef"),
    ({"imageRef": UNKNOWN}, UNKNOWN),
    ({"imageRef": ""}, "imageRef"),
    ({"networks": [{"uuid": "x"}]}, "uuid"),
    ({"networks": [{"uuid": UNKNOWN}]}, UNKNOWN),
    ({"networks": [{"port": UNKNOWN}]}, UNKNOWN),
    ({"networks": [{}]}, "network"),
    ({"networks": "some"}, "networks"),
    ({"networks": [{"uuid": UNKNOWN, "color": 1}]}, "networks"),
    ({"key_name": "nothing"}, "nothing"),
    ({"key_name": 7}, "key_name"),
    ({"user_data": "not base64!"}, "user_data"),
    ({"user_data": "QUFB" * 20000}, "user_data"),
    ({"metadata": {"k": 1}}, "k"),
    ({"metadata": {"k" * 256: "v"}}, "metadata"),
    ({"min_count": 0}, "min_count"),
    ({"min_count": "x"}, "min_count"),
    ({"max_count": -1}, "max_count"),
    ({"min_count": 3, "max_count": 2}, "min_count"),
    ({"min_count": 10**30}, "min_count"),
    ({"availability_zone": "mars"}, "availability zone"),
    ({"config_drive": "perhaps"}, "config_drive"),
    ({"tags": ["a,b"]}, "tags"),
    ({"tags": "a"}, "tags"),
    ({"description": "x" * 256}, "description"),
    ({"hostname": "no blanks"}, "hostname"),
    ({"OS-DCF:diskConfig": "maybe"}, "OS-DCF:diskConfig"),
    ({"accessIPv4": "1.2.3"}, "accessIPv4"),
    ({"accessIPv6": "1.2.3.4"}, "accessIPv6"),
    ({"security_groups": [{"name": ""}]}, "name"),
    ({"security_groups": [{"name": "no-such-group"}]}, "no-such-group"),
    ({"block_device_mapping_v2": [{"source_type": "volume", "uuid": UNKNOWN}]}, "Boot sequence"),
    ({"personality": []}, "personality"),
    ({"unknown": 1}, "unknown"),
    ({"trusted_image_certificates": []}, "trusted_image_certificates"),
]


@pytest.mark.parametrize(("values", "names"), SERVER)
def test_a_bad_server_is_refused(member: Cloud, values: dict[str, Any], names: str) -> None:
    answer = member.new(**{"name": "bad", **values})
    assert 400 <= answer.status_code < 500
    (fault,) = answer.json.values()
    assert names in fault["message"]
    assert member.get("/servers").json["servers"] == []


def test_forcing_a_host_is_for_admins(member: Cloud) -> None:
    for values in ({"host": "h"}, {"hypervisor_hostname": "h"}, {"availability_zone": "nova:h"}):
        assert member.new("forced", **values).status_code == 403


def test_networks_must_be_named_from_2_37(member: Cloud) -> None:
    body = {"server": {"name": "n", "flavorRef": "1", "imageRef": member.image_id}}
    answer = member.call("POST", "/servers", body, "2.37")
    assert (answer.status_code, "networks" in answer.json["badRequest"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "Malformed request body"),
        ({}, "server"),
        ({"server": None}, "server"),
        ({"server": []}, "server"),
        ({"server": {}}, "required"),
        ({"server": {"name": "a"}, "more": 1}, "more"),
        (
            {"server": {"name": "a", "flavorRef": "1", "networks": "auto"}, "os:scheduler_hints": {"group": "x"}},
            "group",
        ),
    ],
)
def test_a_bad_document_is_refused(member: Cloud, body: Any, says: str) -> None:
    answer = member.call("POST", "/servers", body)
    assert answer.status_code == 400
    assert says in answer.json["badRequest"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/os-keypairs", {"keypair": {"name": "k", "public_key": "rubbish"}}, "invalid"),
        ("/os-keypairs", {"keypair": {"name": "k/", "public_key": "x"}}, "name"),
        ("/os-keypairs", {"keypair": {"name": "k"}}, "public_key"),
        ("/os-keypairs", {"keypair": {"name": "k", "public_key": "x", "type": "gpg"}}, "type"),
        ("/os-server-groups", {"server_group": {"name": "g", "policy": "none"}}, "policy"),
        ("/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}, "polic"),
        ("/os-server-groups", {"server_group": {"name": "g", "policy": "affinity",
                                                "rules": {"max_server_per_host": 2}}}, "rules"),
    ],
)  # fmt: skip
def test_bad_keys_and_groups_are_refused(member: Cloud, path: str, body: Any, names: str) -> None:
    answer = member.call("POST", path, body)
    assert answer.status_code == 400
    assert names in answer.json["badRequest"]["message"]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"ram": 0}, "ram"), ({"vcpus": "x"}, "vcpus"), ({"disk": -1}, "disk"), ({"swap": 1.5}, "swap"),
        ({"id": "a/b"}, "id"), ({"name": ""}, "name"), ({"rxtx_factor": "x"}, "rxtx_factor"),
        ({"ram": 2**40}, "ram"), ({"os-flavor-access:is_public": "perhaps"}, "is_public"), ({"more": 1}, "more"),
    ],
)  # fmt: skip
def test_bad_flavors_are_refused(admin: Cloud, values: dict[str, Any], names: str) -> None:
    body = {"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 1, **values}}
    answer = admin.call("POST", "/flavors", body)
    assert answer.status_code == 400
    assert names in answer.json["badRequest"]["message"]


@pytest.mark.parametrize("action", ["fly", "createImage ", ""])
def test_an_unknown_action_is_400(member: Cloud, action: str) -> None:
    answer = member.act(UNKNOWN, action)
    assert answer.status_code == 400
    assert "There is no such action" in answer.json["badRequest"]["message"]


@pytest.mark.parametrize(
    "path",
    ["/servers/x", "/servers/%00", "/servers/%ff", f"/servers/{UNKNOWN}", "/flavors/none", "/os-keypairs/none",
     "/os-server-groups/none", "/nothing", f"/servers/{UNKNOWN}/nothing"],
)  # fmt: skip
def test_what_does_not_exist_is_404(member: Cloud, path: str) -> None:
    assert member.get(path).status_code == 404


def test_quotas_hold(member: Cloud) -> None:
    answer = member.new("too-many", min_count=11, max_count=11)
    assert answer.status_code == 403
    assert answer.json["forbidden"]["message"].startswith("Quota exceeded for instances: Requested 11, but already")
    assert member.get("/servers").json["servers"] == []
