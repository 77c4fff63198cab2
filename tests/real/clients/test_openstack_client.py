"""The unmodified ``openstack`` command, as people install it, through every command a first user needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.boot_sector import obedient
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.appliance.process import running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real

CREATE = ("server", "create", "--wait", "--image", "tiny", "--flavor", "small", "--network", "private")


@pytest.fixture(scope="module")
def openstack(new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    directory = tmp_path_factory.mktemp("client")
    with running(directory / "state", given={"compute.stop_timeout_seconds": 2}) as appliance:
        yield new_shell(appliance, directory)


def test_the_command_as_it_is_installed(openstack: Shell) -> None:
    """The others too run it unmodified, but load it only once."""
    command = str(Path(sys.executable).with_name("openstack"))
    done = subprocess.run([command, "token", "issue"], capture_output=True, text=True, timeout=300, check=False,
                          env=openstack.environment)  # fmt: skip
    assert (done.returncode, "project_id" in done.stdout) == (0, True), done.stderr


def test_tokens_and_the_catalogue(openstack: Shell) -> None:
    token = openstack.json("token", "issue")
    assert token["id"]
    assert token["project_id"]
    catalogue = {entry["Type"]: entry for entry in openstack.json("catalog", "list")}
    assert {"identity", "compute", "image", "network"} <= set(catalogue)


def test_flavors(openstack: Shell) -> None:
    assert openstack.json("flavor", "list")
    made = openstack.json("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "small")
    assert (made["name"], made["ram"]) == ("small", 128)
    assert "small" in [flavor["Name"] for flavor in openstack.json("flavor", "list")]


def test_images(openstack: Shell) -> None:
    (openstack.directory / "disk.raw").write_bytes(bytes(1 << 20))
    made = openstack.json("image", "create", "--disk-format", "raw", "--container-format", "bare",
                          "--file", "disk.raw", "tiny")  # fmt: skip
    assert made["name"] == "tiny"
    shown = openstack.json("image", "show", "tiny")
    assert (shown["status"], shown["size"]) == ("active", 1 << 20)
    openstack("image", "create", "--disk-format", "raw", "--file", "disk.raw", "gone")
    assert {image["Name"] for image in openstack.json("image", "list")} >= {"tiny", "gone"}
    openstack("image", "delete", "gone")
    assert "gone" not in [image["Name"] for image in openstack.json("image", "list")]


def test_keypairs(openstack: Shell) -> None:
    private = openstack("keypair", "create", "gone")
    assert "PRIVATE KEY" in private
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"], cwd=openstack.directory, check=True)
    made = openstack.json("keypair", "create", "--public-key", "key.pub", "mine")
    assert made["name"] == "mine"
    assert {key["Name"] for key in openstack.json("keypair", "list")} == {"gone", "mine"}
    openstack("keypair", "delete", "gone")
    assert [key["Name"] for key in openstack.json("keypair", "list")] == ["mine"]


def test_networks(openstack: Shell) -> None:
    [network] = [each for each in openstack.json("network", "list") if each["Name"] == "private"]
    [subnet] = openstack.json("subnet", "list", "--network", "private")
    assert network["Subnets"] == [subnet["ID"]]
    assert re.fullmatch(r"[\d.]+/24", subnet["Subnet"])


def test_hosts_quotas_and_limits(openstack: Shell) -> None:
    [host] = openstack.json("hypervisor", "list")
    assert host["State"] == "up"
    services = {service["Binary"]: service for service in openstack.json("compute", "service", "list")}
    assert services["nova-compute"]["State"] == "up"
    quota = {row["Resource"]: row["Limit"] for row in openstack.json("quota", "show")}
    assert quota["instances"] == 10
    limits = {row["Name"]: row["Value"] for row in openstack.json("limits", "show", "--absolute")}
    assert limits["max_total_instances"] == 10


class TestServers:
    """One server's life, in order."""

    def test_create_and_wait(self, openstack: Shell) -> None:
        (openstack.directory / "user-data").write_text("#!/bin/sh\necho hello\n")
        made = openstack.json(
            *CREATE, "--key-name", "mine", "--user-data", "user-data", "--property", "colour=blue", "hello"
        )
        assert (made["status"], made["name"]) == ("ACTIVE", "hello")
        assert made["adminPass"]
        assert made["properties"] == {"colour": "blue"}

    def test_list_and_show(self, openstack: Shell) -> None:
        [listed] = openstack.json("server", "list")
        assert (listed["Name"], listed["Status"], listed["Image"], listed["Flavor"]) == (
            "hello",
            "ACTIVE",
            "tiny",
            "small",
        )
        assert listed["Networks"]["private"]
        shown = openstack.json("server", "show", "hello")
        assert (shown["id"], shown["key_name"]) == (listed["ID"], "mine")

    def test_the_console(self, openstack: Shell) -> None:
        assert "login:" in openstack("console", "log", "show", "hello")
        console = openstack.json("console", "url", "show", "hello")
        assert console["url"].startswith(f"http://127.0.0.1:{openstack.appliance.port}/")

    def test_power(self, openstack: Shell) -> None:
        for command, status in (
            ("stop", "SHUTOFF"), ("start", "ACTIVE"), ("pause", "PAUSED"), ("unpause", "ACTIVE"),
            ("suspend", "SUSPENDED"), ("resume", "ACTIVE"),
        ):  # fmt: skip
            openstack("server", command, "hello")
            openstack.appliance.wait_status(self._id(openstack), status)
        assert openstack.status("hello") == "ACTIVE"

    def test_reboot(self, openstack: Shell) -> None:
        for how in ("--soft", "--hard"):
            openstack("server", "reboot", how, "--wait", "hello")
            assert openstack.status("hello") == "ACTIVE"

    def test_rebuild_rescue_and_a_password(self, openstack: Shell) -> None:
        wishes = ("--image", "tiny", "--property", "colour=red", "--preserve-ephemeral", "--no-key-name")
        openstack("server", "rebuild", *wishes, "--wait", "hello")
        built = openstack.json("server", "show", "hello")
        assert (built["status"], built["properties"], built["key_name"]) == ("ACTIVE", {"colour": "red"}, None)
        openstack("server", "rescue", "--image", "tiny", "--password", "in need", "hello")
        openstack.appliance.wait_status(self._id(openstack), "RESCUE")
        openstack("server", "unrescue", "hello")
        openstack.appliance.wait_status(self._id(openstack), "ACTIVE")
        openstack("server", "set", "--password", "sesame", "hello")
        openstack("server", "dump", "create", "hello")

    def test_images_backups_and_a_shelf(self, openstack: Shell) -> None:
        made = openstack.json("server", "image", "create", "--wait", "--name", "kept", "hello")
        assert (made["name"], made["status"]) == ("kept", "active")
        assert made["properties"]["instance_uuid"] == self._id(openstack)
        for name in ("first", "second"):
            wishes = ("--name", name, "--type", "daily", "--rotate", "1", "--wait")
            openstack("server", "backup", "create", *wishes, "hello")
            openstack.appliance.wait_status(self._id(openstack), "ACTIVE")
        names = {image["Name"] for image in openstack.json("image", "list", "--property", "backup_type=daily")}
        assert names == {"second"}
        openstack("server", "shelve", "--wait", "hello")
        assert openstack.status("hello") == "SHELVED_OFFLOADED"
        openstack("server", "unshelve", "--availability-zone", "nova", "--wait", "hello")
        assert openstack.status("hello") == "ACTIVE"
        openstack("image", "delete", "kept", "second")

    def test_an_action_in_the_wrong_state_is_refused_in_words(self, openstack: Shell) -> None:
        assert "while it is in vm_state active" in openstack.refused("server", "start", "hello")

    def test_rename(self, openstack: Shell) -> None:
        openstack("server", "set", "--name", "renamed", "hello")
        assert [server["Name"] for server in openstack.json("server", "list")] == ["renamed"]

    def test_several_at_once(self, openstack: Shell) -> None:
        openstack(*CREATE, "--min", "2", "--max", "2", "many")
        assert {server["Name"] for server in openstack.json("server", "list")} == {"renamed", "many-1", "many-2"}

    def test_delete_and_wait(self, openstack: Shell) -> None:
        openstack("server", "delete", "--wait", "renamed", "many-1", "many-2")
        assert openstack.json("server", "list") == []
        assert openstack.appliance.doctor() == []

    def test_what_is_not_there_is_said(self, openstack: Shell) -> None:
        assert "no server found for nothing" in openstack.refused("server", "show", "nothing").lower()

    def _id(self, openstack: Shell) -> str:
        [server] = openstack.appliance.get("/compute/v2.1/servers")["servers"]
        return str(server["id"])


def test_the_sdk_creates_a_server_and_waits(openstack: Shell) -> None:
    program = """
import openstack
cloud = openstack.connect(cloud="novalite")
server = cloud.create_server("sdk", image="tiny", flavor="small", network="private", wait=True, timeout=300)
print(server.status, bool(cloud.get_server(server.id).private_v4 or server.addresses))
cloud.delete_server(server.id, wait=True, timeout=300)
print(cloud.get_server(server.id))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False,
        env=os.environ | {"OS_CLIENT_CONFIG_FILE": str(openstack.appliance.state_dir / "clouds.yaml")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ACTIVE", "True", "None"]


def test_a_real_guest_is_created_and_deleted(new_shell: NewShell, tmp_path: Path) -> None:
    ensure_libvirtd()
    with running(tmp_path / "state", driver="libvirt") as appliance:
        openstack = new_shell(appliance, tmp_path)
        (tmp_path / "disk.raw").write_bytes(obedient())
        openstack("image", "create", "--disk-format", "raw", "--file", "disk.raw", "tiny")
        openstack("flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "0", "small")
        made = openstack.json(*CREATE, "real")
        assert made["status"] == "ACTIVE"
        assert openstack.json("server", "list")[0]["Name"] == "real"
        openstack("server", "delete", "--wait", "real")
        assert appliance.doctor() == []
