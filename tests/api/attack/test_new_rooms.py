"""What a member may try with volumes, ports, trusts and image mappings to reach what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.base import OfImage, VolumePlace
from novalite.drivers.storage.fake_volumes import FakeVolumes
from novalite.errors import DriverError, HostUnreachable
from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, running, wait_for

C, N, V, I, K = "/compute/v2.1", "/network/v2.0", "/volume/v3", "/image/v2", "/identity/v3"  # noqa: E741


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(Path(tmp_path_factory.mktemp("rooms"))) as found:
        yield found


@pytest.fixture(scope="module")
def victim(appliance: Appliance, flavor: str) -> str:
    """A server of the administrator's project."""
    made = appliance.post(f"{C}/servers", server_body(flavor, appliance.image(), networks="none"), version="2.79")
    found = str(made.json["server"]["id"])
    wait_for(lambda: appliance.get(f"{C}/servers/{found}").json["server"]["status"] == "ACTIVE")
    return found


def network(appliance: Appliance, token: str, cidr: str, **more: Any) -> str:
    made = appliance.post(f"{N}/networks", {"network": {"name": cidr, **more}}, token=token).json["network"]["id"]
    body = {"subnet": {"network_id": made, "cidr": cidr, "ip_version": 4}}
    assert appliance.post(f"{N}/subnets", body, token=token).status_code == 201
    return str(made)


def me(appliance: Appliance, token: str) -> tuple[str, str]:
    told = appliance.get(f"{K}/auth/tokens", token=token, headers={"X-Subject-Token": token}).json["token"]
    return told["user"]["id"], told["project"]["id"]


def limited(appliance: Appliance, token: str, role: str, *, unrestricted: bool = False) -> str:
    """The token of an application credential of the user with one role."""
    user, _ = me(appliance, token)
    body = {"name": f"{role}-{unrestricted}", "roles": [{"name": role}], "unrestricted": unrestricted}
    made = appliance.post(
        f"{K}/users/{user}/application_credentials", {"application_credential": body}, token=token
    ).json["application_credential"]
    given = {"methods": ["application_credential"], "application_credential": {k: made[k] for k in ("id", "secret")}}
    answer = appliance.client.post(f"{K}/auth/tokens", json={"auth": {"identity": given}})
    return str(answer.headers["X-Subject-Token"])


def test_nobody_plugs_a_port_into_somebody_elses_server(appliance: Appliance, mallory: str, victim: str) -> None:
    body = {"network_id": network(appliance, mallory, "10.8.0.0/24"), "device_owner": "compute:nova"}
    asked = appliance.post(f"{N}/ports", {"port": {**body, "device_id": victim}}, token=mallory)
    assert asked.status_code == 403
    assert appliance.get(f"{C}/servers/{victim}").json["server"]["addresses"] == {}
    own = appliance.post(f"{N}/ports", {"port": {**body, "device_id": "not-a-server"}}, token=mallory)
    assert own.status_code == 201


def test_no_card_on_an_external_network_by_the_back_door(appliance: Appliance, mallory: str, flavor: str) -> None:
    outside = network(appliance, appliance.token(), "198.51.100.0/24", **{"router:external": True})
    body = server_body(flavor, appliance.image(), networks="none")
    server = appliance.post(f"{C}/servers", body, token=mallory, version="2.79").json["server"]["id"]
    wait_for(lambda: appliance.get(f"{C}/servers/{server}").json["server"]["status"] == "ACTIVE")
    wanted = {"interfaceAttachment": {"net_id": outside}}
    assert appliance.post(f"{C}/servers/{server}/os-interface", wanted, token=mallory).status_code == 403
    ports = appliance.get(f"{N}/ports?network_id={outside}").json["ports"]
    assert [port["device_owner"] for port in ports] == ["network:dhcp"], "the network's own"


def test_the_format_of_an_image_is_never_what_a_volumes_owner_says(
    appliance: Appliance, mallory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """qemu-img told to read a raw image as qed, say, would open whatever file its header names."""
    driver: FakeVolumes = appliance.built.parts.volumes.of("")._driver  # type: ignore[attr-defined]
    formats: list[str] = []

    def ensure(*given: Any, **more: Any) -> VolumePlace:
        source = given[2]
        assert isinstance(source, OfImage)
        formats.append(source.format)
        if len(formats) == 1:
            raise DriverError("create_volume", "not now", retryable=True)
        return FakeVolumes.ensure_volume(driver, *given, **more)

    monkeypatch.setattr(driver, "ensure_volume", ensure)
    body = {"volume": {"size": 1, "imageRef": appliance.image()}}
    volume = appliance.post(f"{V}/volumes", body, token=mallory).json["volume"]["id"]
    wait_for(lambda: formats)
    lie = {"os-set_image_metadata": {"metadata": {"disk_format": "qed"}}}
    assert appliance.post(f"{V}/volumes/{volume}/action", lie, token=mallory).status_code == 200
    wait_for(lambda: appliance.get(f"{V}/volumes/{volume}", token=mallory).json["volume"]["status"] == "available")
    assert formats == ["raw", "raw"]


def test_numbers_that_an_owner_has_spoilt_break_nothing(appliance: Appliance, mallory: str, flavor: str) -> None:
    volume = appliance.post(f"{V}/volumes", {"volume": {"size": 1}}, token=mallory).json["volume"]["id"]
    path = f"{V}/volumes/{volume}"
    wait_for(lambda: appliance.get(path, token=mallory).json["volume"]["status"] == "available")
    spoilt = {"os-set_image_metadata": {"metadata": {"min_disk": "x", "min_ram": "9" * 200}}}
    for action in (spoilt, {"os-set_bootable": {"bootable": True}}):
        assert appliance.post(f"{path}/action", action, token=mallory).status_code == 200
    copied = appliance.post(f"{path}/action", {"os-volume_upload_image": {"image_name": "a"}}, token=mallory)
    assert copied.status_code == 202
    wait_for(lambda: appliance.get(path, token=mallory).json["volume"]["status"] == "available")
    root = {"source_type": "volume", "uuid": volume, "destination_type": "volume", "boot_index": 0}
    body = server_body(flavor, "", networks="none", block_device_mapping_v2=[root])
    assert appliance.post(f"{C}/servers", body, token=mallory, version="2.79").status_code == 202


@pytest.mark.parametrize(
    "mapping",
    [
        json.dumps([{"source_type": "blank", "destination_type": "volume", "volume_size": 10**30}]),
        json.dumps([{"source_type": "blank", "destination_type": "local", "volume_size": -5}]),
        json.dumps([{"source_type": "blank", "destination_type": "elsewhere", "volume_size": 1}]),
        json.dumps([{"source_type": "file", "uuid": "/etc/shadow", "destination_type": "local"}]),
        "[" * 2000,
    ],
)  # fmt: skip
def test_an_images_own_mapping_is_checked_like_a_request(
    appliance: Appliance, mallory: str, flavor: str, mapping: str
) -> None:
    body = {"name": "e", "disk_format": "raw", "container_format": "bare", "bdm_v2": "true"}
    image = appliance.post(f"{I}/images", {**body, "block_device_mapping": mapping}, token=mallory).json["id"]
    octets = {"Content-Type": "application/octet-stream"}
    appliance.call("PUT", f"{I}/images/{image}/file", data=b"\0" * 512, headers=octets, token=mallory)
    asked = appliance.post(f"{C}/servers", server_body(flavor, image, networks="none"), token=mallory, version="2.79")
    assert asked.status_code == 400


def test_a_restricted_credential_makes_neither_trusts_nor_keys(appliance: Appliance, mallory: str) -> None:
    user, project = me(appliance, mallory)
    token = limited(appliance, mallory, "reader")
    trust = {"trustor_user_id": user, "trustee_user_id": user, "project_id": project, "impersonation": True}
    asked = appliance.post(f"{K}/OS-TRUST/trusts", {"trust": {**trust, "roles": [{"name": "member"}]}}, token=token)
    assert asked.status_code == 403
    keys = f"{K}/users/{user}/credentials/OS-EC2"
    assert appliance.post(keys, {"tenant_id": project}, token=token).status_code == 403
    appliance.post(keys, {"tenant_id": project}, token=mallory)
    for path in (keys, f"{K}/credentials"):
        assert appliance.get(path, token=token).status_code == 403
        assert appliance.get(path, token=mallory).json["credentials"]


def test_a_credential_gives_no_roles_on_that_it_lacks(appliance: Appliance, mallory: str) -> None:
    user, project = me(appliance, mallory)
    token = limited(appliance, mallory, "reader", unrestricted=True)
    trust = {"trustor_user_id": user, "trustee_user_id": user, "project_id": project, "impersonation": True}
    for role, status in (("member", 403), ("reader", 201)):
        body = {"trust": {**trust, "roles": [{"name": role}]}}
        assert appliance.post(f"{K}/OS-TRUST/trusts", body, token=token).status_code == status


@pytest.mark.parametrize("blob", ['{"access": "\\ud800", "secret": "s"}', "[" * 50000])
def test_blobs_that_are_hardly_json(appliance: Appliance, mallory: str, blob: str) -> None:
    user, project = me(appliance, mallory)
    body = {"credential": {"type": "ec2", "user_id": user, "project_id": project, "blob": blob}}
    assert appliance.post(f"{K}/credentials", body, token=mallory).status_code == 400


def test_members_do_not_learn_how_their_servers_host_is_reached(
    appliance: Appliance, mallory: str, flavor: str
) -> None:
    body = server_body(flavor, appliance.image(), networks="none")
    path = f"{C}/servers/{appliance.post(f'{C}/servers', body, token=mallory, version='2.79').json['server']['id']}"
    wait_for(lambda: appliance.get(path).json["server"]["status"] == "ACTIVE")
    gone = HostUnreachable("The agent at https://192.0.2.7:1 does not answer")
    appliance.driver.fail_next("console_text", gone, times=2)
    ask: dict[str, Any] = {"os-getConsoleOutput": {}}
    told = appliance.post(f"{path}/action", ask, token=mallory)
    assert (told.status_code, "192.0.2.7" in told.text) == (503, False)
    assert "192.0.2.7" in appliance.post(f"{path}/action", ask).text


def test_hosts_of_ports_are_texts(appliance: Appliance) -> None:
    own = network(appliance, appliance.token(), "10.7.0.0/24")
    for host in ({"a": 1}, ["x"], 5):
        asked = appliance.post(f"{N}/ports", {"port": {"network_id": own, "binding:host_id": host}})
        assert asked.status_code == 400


def test_device_names_lead_to_no_more_disks_than_there_may_be(appliance: Appliance, mallory: str, flavor: str) -> None:
    body = server_body(flavor, appliance.image(), networks="none")
    server = appliance.post(f"{C}/servers", body, token=mallory, version="2.79").json["server"]["id"]
    wait_for(lambda: appliance.get(f"{C}/servers/{server}").json["server"]["status"] == "ACTIVE")
    volume = appliance.post(f"{V}/volumes", {"volume": {"size": 1}}, token=mallory).json["volume"]["id"]
    wait_for(lambda: appliance.get(f"{V}/volumes/{volume}", token=mallory).json["volume"]["status"] == "available")
    wanted = {"volumeAttachment": {"volumeId": volume, "device": "/dev/vdab"}}
    made = appliance.post(f"{C}/servers/{server}/os-volume_attachments", wanted, token=mallory)
    assert (made.status_code, made.json["volumeAttachment"]["device"]) == (200, "/dev/vdb")
