"""The unmodified ``openstack image`` commands, and openstacksdk, against the image API."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.waiting import until
from tests.contracts.web_server import Web, serving
from tests.real.appliance.process import RealAppliance, running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real
DATA = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving() as made:
        made.files["/disk.raw"] = DATA
        yield made


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory, web: Web) -> Iterator[RealAppliance]:
    given = {"images.web_download_networks": "127.0.0.1/32", "images.web_download_ports": str(web.port)}
    with running(tmp_path_factory.mktemp("images") / "state", given=given) as made:
        yield made


@pytest.fixture(scope="module")
def openstack(appliance: RealAppliance, new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = new_shell(appliance, tmp_path_factory.mktemp("shell"))
    (made.directory / "disk.raw").write_bytes(DATA)
    return made


def active(openstack: Shell, name: str) -> dict[str, Any]:
    def shown() -> dict[str, Any]:
        [image] = openstack.appliance.get(f"/image/v2/images?name={name}")["images"]
        return dict(image)

    until(lambda: shown()["status"] == "active", f"{name} is active")
    return shown()


RAW = ("--disk-format", "raw", "--container-format", "bare")


def test_an_image_is_staged_and_imported(openstack: Shell) -> None:
    openstack("image", "create", "--import", *RAW, "--file", "disk.raw", "staged")
    assert active(openstack, "staged")["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


def test_an_image_is_imported_from_the_web(openstack: Shell, web: Web) -> None:
    body = {"name": "fetched", "disk_format": "raw", "container_format": "bare"}
    assert openstack.appliance.call("POST", "/image/v2/images", json=body).status_code == 201
    openstack("image", "import", "--method", "web-download", "--uri", web.url("/disk.raw"), "fetched")
    image = active(openstack, "fetched")
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    [task] = [one for one in openstack.json("image", "task", "list") if one["ID"]][:1]
    assert openstack.json("image", "task", "show", task["ID"])["status"] == "success"
    assert "glance-direct" in openstack("image", "import", "info")


def test_what_is_saved_is_what_was_sent(openstack: Shell) -> None:
    openstack("image", "create", *RAW, "--file", "disk.raw", "--tag", "a", "--property", "colour=red", "sent")
    openstack("image", "save", "--file", "back.raw", "sent")
    assert (openstack.directory / "back.raw").read_bytes() == DATA
    openstack("image", "set", "--protected", "--min-disk", "2", "--deactivate", "sent")
    shown = openstack.json("image", "show", "sent")
    assert (shown["protected"], shown["min_disk"], shown["status"]) == (True, 2, "deactivated")
    assert openstack.refused("image", "delete", "sent")
    openstack("image", "set", "--unprotected", "--activate", "sent")
    openstack("image", "delete", "sent")


def test_metadata_is_defined(openstack: Shell) -> None:
    openstack("image", "metadef", "namespace", "create", "--public", "mine")
    openstack("image", "metadef", "property", "create", "--name", "speed", "--title", "Speed", "--type", "integer",
              "--schema", "{}", "mine")  # fmt: skip
    assert openstack.json("image", "metadef", "property", "list", "mine")[0]["name"] == "speed"
    openstack("image", "metadef", "namespace", "delete", "mine")


def test_the_sdk_uploads_downloads_and_imports(appliance: RealAppliance, web: Web, tmp_path: Path) -> None:
    import openstack as sdk

    (tmp_path / "disk.raw").write_bytes(DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = appliance.environment
        cloud = sdk.connect(
            auth_url=given["OS_AUTH_URL"], username=given["OS_USERNAME"], password=given["OS_PASSWORD"],
            project_name=given["OS_PROJECT_NAME"], user_domain_name="Default", project_domain_name="Default",
            region_name=given["OS_REGION_NAME"],
        )  # fmt: skip
        image = cloud.create_image(
            "by sdk", filename=str(tmp_path / "disk.raw"), disk_format="raw", container_format="bare", wait=True
        )
        assert image.status == "active"
        assert cloud.image.download_image(image, stream=False).content == DATA
        second = cloud.image.create_image("by sdk 2", disk_format="raw", container_format="bare")
        cloud.image.import_image(second, method="web-download", uri=web.url("/disk.raw"))
        until(lambda: cloud.image.get_image(second.id).status == "active", "the import ends")
        cloud.image.delete_image(second.id)
        cloud.image.delete_image(image.id)
        cloud.close()
    assert appliance.doctor() == []
