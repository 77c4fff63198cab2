"""Servers that begin from a medium: it is in a drive, beside an empty root disk of the flavor's size."""

from __future__ import annotations

import pytest

from novalite.drivers.compute.base import DiskSpec
from tests.api.compute.conftest import Cloud
from tests.api.conftest import Appliance
from tests.contracts.boot_sector import bootable_iso


@pytest.fixture(scope="module")
def iso(appliance: Appliance) -> str:
    body = {"name": "installer", "disk_format": "iso", "container_format": "bare", "visibility": "public"}
    image = str(appliance.post("/image/v2/images", body).json["id"])
    answer = appliance.call(
        "PUT", f"/image/v2/images/{image}/file", data=bootable_iso(), content_type="application/octet-stream"
    )
    assert answer.status_code == 204, answer.text
    return image


def _disks(appliance: Appliance, server: str) -> tuple[DiskSpec, ...]:
    spec = appliance.driver._guests[server].spec
    assert spec is not None
    return spec.disks


def test_the_medium_stands_behind_an_empty_disk(appliance: Appliance, member: Cloud, iso: str) -> None:
    server = member.boot(imageRef=iso)
    root, drive = _disks(appliance, server)
    assert (root.name, root.device, root.size_gib, root.image, root.boot_index) == ("root", "vda", 1, None, 0)
    assert drive.image is not None
    assert (drive.image.id, drive.image.format, drive.cdrom, drive.read_only) == (iso, "iso", True, True)
    assert drive.boot_index == 1
    assert member.server(server)["image"]["id"] == iso
    member.gone(server)


def test_what_was_installed_comes_back_from_the_shelf_without_it(appliance: Appliance, member: Cloud, iso: str) -> None:
    server = member.boot(imageRef=iso)
    assert member.act(server, "shelve").status_code == 202
    member.wait(server, "SHELVED_OFFLOADED")
    assert member.act(server, "unshelve").status_code == 202
    member.wait(server, "ACTIVE")
    [root] = _disks(appliance, server)
    assert root.image is not None
    assert (root.image.format, root.cdrom) == ("qcow2", False)
    member.gone(server)


def test_a_server_is_rebuilt_from_a_medium_and_back(appliance: Appliance, member: Cloud, iso: str) -> None:
    server = member.boot()
    for image, names in ((iso, ["root", f"cdrom-{iso[:8]}"]), (member.image_id, ["root"])):
        assert member.act(server, "rebuild", {"imageRef": image}).status_code == 202
        member.wait(server, "ACTIVE")
        assert [disk.name for disk in _disks(appliance, server)] == names
    member.gone(server)


def test_a_flavor_without_a_disk_has_nowhere_to_install_to(admin: Cloud, iso: str) -> None:
    flavor = admin.call("POST", "/flavors", {"flavor": {"name": "bare", "ram": 64, "vcpus": 1, "disk": 0}})
    answer = admin.new(imageRef=iso, flavorRef=flavor.json["flavor"]["id"])
    assert answer.status_code == 400
    assert "needs a flavor with a disk" in answer.text


def test_nothing_is_rescued_from_a_medium(member: Cloud, iso: str) -> None:
    server = member.boot()
    assert member.act(server, "rescue", {"rescue_image_ref": iso}).status_code == 400
    member.gone(server)
