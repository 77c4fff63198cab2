"""The unmodified ``openstack limit`` and ``openstack registered limit`` commands, and openstacksdk, and what they do to
images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openstack as sdk
import pytest
from openstack.exceptions import HttpException

from tests.contracts.waiting import until
from tests.real.appliance.process import RealAppliance, running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real
MIB = 1 << 20
RAW = ("--disk-format", "raw", "--container-format", "bare")


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    with running(tmp_path_factory.mktemp("limits") / "state") as made:
        yield made


@pytest.fixture(scope="module")
def openstack(appliance: RealAppliance, new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(appliance, tmp_path_factory.mktemp("shell"))


def named(openstack: Shell, service: str, name: str) -> dict[str, Any]:
    [found] = openstack.json("registered", "limit", "list", "--service", service, "--resource-name", name)
    return dict(found)


def test_a_project_is_held_to_its_limit_of_images(openstack: Shell) -> None:
    made = openstack.json(
        "limit", "create", "--project", "admin", "--service", "glance", "--resource-limit", "2", "image_size_total"
    )  # fmt: skip
    assert (made["resource_limit"], made["resource_name"], made["region_id"]) == (2, "image_size_total", None)
    for size in (2 * MIB + 1, 100 * MIB):
        (openstack.directory / "large.raw").write_bytes(b"x" * size)
        told = openstack.refused("image", "create", *RAW, "--file", "large.raw", "large")
        assert "Quota exceeded for image_size_total" in told
    assert openstack.json("image", "list", "--name", "large") == []
    (openstack.directory / "large.raw").write_bytes(b"x" * (2 * MIB + 1))
    [listed] = openstack.json("limit", "list", "--project", "admin", "--service", "glance")
    assert (listed["ID"], listed["Resource Limit"]) == (made["id"], 2)
    changed = openstack.json("limit", "set", "--resource-limit", "3", "--description", "more", made["id"])
    assert (changed["resource_limit"], changed["description"]) == (3, "more")
    openstack("image", "create", *RAW, "--file", "large.raw", "large enough")
    assert openstack.json("limit", "show", made["id"])["resource_limit"] == 3
    registered = named(openstack, "glance", "image_size_total")
    assert openstack.refused("registered", "limit", "delete", registered["ID"])
    openstack("limit", "delete", made["id"])
    assert openstack.json("limit", "list", "--project", "admin", "--service", "glance") == []


def test_the_default_of_every_project_is_registered(openstack: Shell) -> None:
    before = named(openstack, "glance", "image_stage_total")
    assert before["Default Limit"] == -1
    assert "Duplicate entry" in openstack.refused(
        "registered", "limit", "create", "--service", "glance", "--default-limit", "1000", "image_stage_total"
    )
    openstack("registered", "limit", "delete", before["ID"])
    made = openstack.json(
        "registered", "limit", "create", "--service", "glance", "--default-limit", "1000", "image_stage_total"
    )  # fmt: skip
    assert made["default_limit"] == 1000
    changed = openstack.json("registered", "limit", "set", "--default-limit", "1500", made["id"])
    assert changed["default_limit"] == 1500
    assert openstack.json("registered", "limit", "show", made["id"])["resource_name"] == "image_stage_total"
    usage = openstack.appliance.get("/image/v2/info/usage")["usage"]
    assert usage["image_stage_total"] == {"limit": 1500, "usage": 0}


def test_the_older_commands_show_the_same(openstack: Shell) -> None:
    openstack("project", "create", "thrifty")
    openstack("quota", "set", "--instances", "7", "--volumes", "8", "--ports", "9", "thrifty")
    rows = openstack.json("limit", "list", "--project", "thrifty")
    assert {row["Resource Name"]: row["Resource Limit"] for row in rows} == {"servers": 7, "volumes": 8, "port": 9}
    [port] = [row["ID"] for row in rows if row["Resource Name"] == "port"]
    openstack("limit", "set", "--resource-limit", "10", port)
    openstack("limit", "create", "--project", "thrifty", "--service", "nova", "--resource-limit", "11", "class:VCPU")
    shown = {row["Resource"]: row["Limit"] for row in openstack.json("quota", "show", "thrifty")}
    assert (shown["instances"], shown["volumes"], shown["ports"], shown["cores"]) == (7, 8, 10, 11)


def _volume_quotas(openstack: Shell) -> dict[str, tuple[int, int]]:
    """Limit and use of each."""
    rows = openstack.json("quota", "show", "--volume", "--usage", "admin")
    return {row["Resource"].replace("-", "_"): (row["Limit"], row["In Use"]) for row in rows}


def test_copies_of_protections_are_no_backups_for_the_quotas(openstack: Shell) -> None:
    volume = openstack.json("volume", "create", "--size", "1", "guarded")["id"]
    until(lambda: openstack.json("volume", "show", volume)["status"] == "available", "the volume is made")
    openstack("quota", "set", "--backups", "1", "--backup-gigabytes", "2", "admin")
    path = f"/admin/protections/{volume}"
    asked = openstack.appliance.call("PUT", path, json={"protection": {"schedule": "daily, keep 3"}})
    assert asked.status_code == 200, asked.text
    for number in range(1, 4):
        assert openstack.appliance.call("POST", f"{path}/runs").status_code == 202
        until(lambda: not openstack.appliance.get(path)["protection"]["running"], "the run has ended")
        assert openstack.appliance.get(path)["protection"]["copies"] == number
    assert len(openstack.json("volume", "backup", "list")) == 3
    found = _volume_quotas(openstack)
    assert (found["backups"], found["backup_gigabytes"]) == ((1, 0), (2, 1))
    openstack("volume", "backup", "create", "--name", "by-hand", volume)
    until(lambda: openstack.json("volume", "backup", "show", "by-hand")["status"] == "available", "it is made")
    assert "backups" in openstack.refused("volume", "backup", "create", volume)
    found = _volume_quotas(openstack)
    assert (found["backups"], found["backup_gigabytes"]) == ((1, 1), (2, 2))


def test_types_of_volumes_have_quotas_of_their_own(openstack: Shell) -> None:
    openstack("volume", "type", "create", "gold")
    openstack("quota", "set", "--volume-type", "gold", "--volumes", "0", "--gigabytes", "5", "admin")
    found = _volume_quotas(openstack)
    assert (found["volumes_gold"], found["gigabytes_gold"], found["snapshots_gold"]) == ((0, 0), (5, 0), (-1, 0))
    assert "volumes_gold" in openstack.refused("volume", "create", "--type", "gold", "--size", "1", "rich")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_openstacksdk_makes_and_changes_limits(appliance: RealAppliance) -> None:
    given = appliance.environment
    with sdk.connect(
        auth_url=given["OS_AUTH_URL"], username=given["OS_USERNAME"], password=given["OS_PASSWORD"],
        project_name=given["OS_PROJECT_NAME"], user_domain_name="Default", project_domain_name="Default",
        region_name=given["OS_REGION_NAME"],
    ) as cloud:  # fmt: skip
        identity = cloud.identity
        service = identity.create_service(type="dns", name="designate")
        registered = identity.create_registered_limit(
            service_id=service.id, resource_name="zones", default_limit=10, description="of each project"
        )
        assert (registered.resource_name, registered.default_limit) == ("zones", 10)
        assert identity.update_registered_limit(registered, default_limit=12).default_limit == 12
        project = identity.find_project("admin")
        limit = identity.create_limit(
            service_id=service.id, resource_name="zones", resource_limit=5, project_id=project.id
        )
        assert [each.id for each in identity.limits(service_id=service.id)] == [limit.id]
        assert identity.update_limit(limit, resource_limit=6).resource_limit == 6
        with pytest.raises(HttpException) as refused:
            identity.delete_registered_limit(registered)
        assert refused.value.response.status_code == 403
        identity.delete_limit(limit)
        identity.delete_registered_limit(registered)
        assert list(identity.registered_limits(service_id=service.id)) == []
