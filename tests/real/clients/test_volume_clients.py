"""The unmodified ``openstack volume`` commands, and openstacksdk, against Block Storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openstack
import pytest

from tests.contracts.waiting import until
from tests.real.appliance.process import RealAppliance, running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    with running(tmp_path_factory.mktemp("client") / "state") as made:
        yield made


@pytest.fixture(scope="module")
def cli(appliance: RealAppliance, new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(appliance, tmp_path_factory.mktemp("shell"))


def settled(appliance: RealAppliance, kind: str = "volumes") -> list[dict[str, Any]]:
    """All of a kind, once nothing goes on with them."""
    found: list[dict[str, Any]] = []

    def done() -> bool:
        found[:] = appliance.get(f"/volume/v3/{kind}/detail")[kind]
        return all(one["status"] == "available" for one in found)

    until(done, f"all {kind} are available")
    return found


def test_the_commands(appliance: RealAppliance, cli: Shell) -> None:
    assert cli.json("volume", "create", "--size", "1", "--property", "a=b", "one")["status"] == "creating"
    settled(appliance)
    cli("volume", "set", "--size", "2", "--bootable", "one")
    settled(appliance)
    cli("volume", "snapshot", "create", "--volume", "one", "kept")
    settled(appliance, "snapshots")
    cli("volume", "create", "--snapshot", "kept", "two")
    settled(appliance)
    rows = {row["Name"]: row for row in cli.json("volume", "list", "--long")}
    assert {name: (row["Size"], row["Status"]) for name, row in rows.items()} == {
        "one": (2, "available"), "two": (2, "available")
    }  # fmt: skip
    assert rows["one"]["Properties"] == {"a": "b"}
    cli("image", "create", "--volume", "two", "copy")
    settled(appliance)
    assert [image["status"] for image in appliance.get("/image/v2/images?name=copy")["images"]] == ["active"]
    cli("volume", "snapshot", "delete", "kept")
    until(lambda: settled(appliance, "snapshots") == [], "the snapshot is gone")
    cli("volume", "delete", "one", "two")
    until(lambda: appliance.get("/volume/v3/volumes")["volumes"] == [], "both volumes are gone")


def test_the_commands_of_encryption(appliance: RealAppliance, cli: Shell) -> None:
    made = cli.json("volume", "type", "create", "--encryption-provider", "luks", "--encryption-cipher",
                    "aes-xts-plain64", "--encryption-key-size", "256", "--encryption-control-location", "front-end",
                    "locked")  # fmt: skip
    assert made["encryption"]["provider"] == "luks"
    rows = {row["Name"]: row["Encryption"] for row in cli.json("volume", "type", "list", "--encryption-type")}
    assert (rows["locked"]["key_size"], rows["locked"]["control_location"]) == (256, "front-end")
    assert not rows["__DEFAULT__"].get("provider")
    cli("volume", "create", "--type", "locked", "--size", "1", "secret")
    settled(appliance)
    assert cli.json("volume", "show", "secret")["encrypted"] is True
    cli("volume", "delete", "secret")
    until(lambda: appliance.get("/volume/v3/volumes")["volumes"] == [], "the volume is gone")
    cli("volume", "type", "set", "--encryption-key-size", "128", "locked")
    assert cli.json("volume", "type", "show", "--encryption-type", "locked")["encryption"]["key_size"] == 128
    cli("volume", "type", "unset", "--encryption-type", "locked")
    assert not cli.json("volume", "type", "show", "--encryption-type", "locked")["encryption"]
    cli("volume", "type", "delete", "locked")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_the_library(appliance: RealAppliance) -> None:
    given = appliance.environment
    cloud = openstack.connect(
        auth_url=given["OS_AUTH_URL"], username=given["OS_USERNAME"], password=given["OS_PASSWORD"],
        project_name=given["OS_PROJECT_NAME"], user_domain_name="Default", project_domain_name="Default",
        region_name=given["OS_REGION_NAME"],
    )  # fmt: skip
    try:
        made = cloud.create_volume(size=1, name="sdk", wait=True, timeout=300)
        snapshot = cloud.create_volume_snapshot(made.id, name="sdk", wait=True, timeout=300)
        assert (made.status, snapshot.status, snapshot.volume_id) == ("available", "available", made.id)
        cloud.block_storage.extend_volume(made.id, 2)
        until(lambda: cloud.block_storage.get_volume(made.id).size == 2, "it has grown")
        assert [one.name for one in cloud.block_storage.volumes(name="sdk")] == ["sdk"]
        assert cloud.delete_volume_snapshot(snapshot.id, wait=True, timeout=300)
        assert cloud.delete_volume(made.id, wait=True, timeout=300)
    finally:
        cloud.close()
