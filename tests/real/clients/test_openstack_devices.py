"""The unmodified ``openstack`` command: sizes, disks, cards and groups of servers, and who looks after hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.appliance.process import running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real

CREATE = ("server", "create", "--wait", "--image", "tiny", "--flavor", "small", "--network", "private")


@pytest.fixture(scope="module")
def openstack(new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with an image, two flavors and a server named box."""
    directory = tmp_path_factory.mktemp("client")
    with running(directory / "state", given={"compute.stop_timeout_seconds": 2}) as appliance:
        appliance.image(bytes(1 << 20))
        for name, ram in (("small", 128), ("large", 256)):
            appliance.flavor(name, ram=ram, disk=1)
        made = new_shell(appliance, directory)
        made(*CREATE, "box")
        yield made


def _settled(openstack: Shell, *statuses: str) -> None:
    server_id = openstack.json("server", "show", "box")["id"]
    openstack.appliance.wait_status(server_id, *statuses)


def test_a_server_grows_and_goes_back(openstack: Shell) -> None:
    openstack("server", "resize", "--flavor", "large", "--wait", "box")
    assert openstack.status("box") == "VERIFY_RESIZE"
    openstack("server", "resize", "revert", "box")
    _settled(openstack, "ACTIVE")
    openstack("server", "resize", "--flavor", "large", "--wait", "box")
    openstack("server", "resize", "confirm", "box")
    _settled(openstack, "ACTIVE")
    assert openstack.json("server", "show", "box")["flavor"]["original_name"] == "large"


def test_one_host_has_nowhere_to_move_a_server(openstack: Shell) -> None:
    openstack.run("server", "migrate", "--wait", "box")
    _settled(openstack, "ACTIVE")
    assert openstack.status("box") == "ACTIVE"


def test_a_volume_comes_and_goes(openstack: Shell) -> None:
    openstack("volume", "create", "--size", "1", "data")
    attached = openstack.json("server", "add", "volume", "box", "data")
    assert attached["Device"].startswith("/dev/")
    _settled(openstack, "ACTIVE")
    [listed] = openstack.json("server", "volume", "list", "box")
    assert listed["Volume ID"] == attached["Volume ID"]
    openstack("server", "remove", "volume", "box", "data")
    _settled(openstack, "ACTIVE")
    assert openstack.json("server", "volume", "list", "box") == []


def test_a_server_boots_from_a_volume(openstack: Shell) -> None:
    wishes = ("--flavor", "small", "--network", "private", "--image", "tiny", "--boot-from-volume", "1")
    openstack("server", "create", "--wait", *wishes, "rooted")
    assert openstack.status("rooted") == "ACTIVE"
    [root] = openstack.json("server", "volume", "list", "rooted")
    assert openstack.json("volume", "show", root["Volume ID"])["bootable"] in ("true", True)
    openstack("server", "delete", "--wait", "rooted")


def test_cards_come_and_go(openstack: Shell) -> None:
    port = openstack.json("port", "create", "--network", "private", "card")["id"]
    openstack("server", "add", "port", "box", port)
    _settled(openstack, "ACTIVE")
    assert openstack.json("port", "show", "card")["device_id"] == openstack.json("server", "show", "box")["id"]
    openstack("server", "remove", "port", "box", port)
    _settled(openstack, "ACTIVE")
    before = len(openstack.json("server", "show", "box")["addresses"]["private"])
    openstack("server", "add", "network", "box", "private")
    _settled(openstack, "ACTIVE")
    assert len(openstack.json("server", "show", "box")["addresses"]["private"]) == before + 1


def test_security_groups_of_a_server(openstack: Shell) -> None:
    openstack("security", "group", "create", "web")
    openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "80", "web")
    openstack("server", "add", "security", "group", "box", "web")
    assert "web" in {group["name"] for group in openstack.json("server", "show", "box")["security_groups"]}
    openstack("server", "remove", "security", "group", "box", "web")
    assert "web" not in {group["name"] for group in openstack.json("server", "show", "box")["security_groups"]}


def test_groups_of_servers(openstack: Shell) -> None:
    made = openstack.json("server", "group", "create", "--policy", "anti-affinity", "apart")
    openstack(*CREATE, "--hint", f"group={made['id']}", "first")
    assert len(openstack.json("server", "group", "show", "apart")["members"]) == 1
    openstack.refused(*CREATE, "--hint", f"group={made['id']}", "second")
    assert "No valid host" in openstack.json("server", "show", "second")["fault"]["message"]
    openstack("server", "delete", "--wait", "first", "second")
    openstack("server", "group", "delete", "apart")


def test_what_has_been_done_to_a_server(openstack: Shell) -> None:
    events = openstack.json("server", "event", "list", "box")
    assert {"create", "resize", "revertResize", "attach_volume", "detach_interface"} <= {e["Action"] for e in events}
    [made] = [event for event in events if event["Action"] == "create"]
    shown = openstack.json("server", "event", "show", "box", made["Request ID"])
    assert shown["action"] == "create"
    moves = openstack.json("server", "migration", "list", "--server", "box")
    assert {move["Type"] for move in moves} >= {"resize"}


def test_those_who_look_after_hosts(openstack: Shell) -> None:
    [host] = [each["Host"] for each in openstack.json("compute", "service", "list", "--service", "nova-compute")]
    openstack("aggregate", "create", "rack")
    assert openstack.json("aggregate", "add", "host", "rack", host)["hosts"] == [host]
    openstack("aggregate", "set", "--property", "ssd=true", "rack")
    assert openstack.json("aggregate", "show", "rack")["properties"] == {"ssd": "true"}
    openstack("aggregate", "remove", "host", "rack", host)
    openstack("aggregate", "delete", "rack")
    openstack("compute", "service", "set", "--disable", "--disable-reason", "dust", host, "nova-compute")
    openstack.refused(*CREATE, "nowhere")
    assert openstack.status("nowhere") == "ERROR"
    openstack("compute", "service", "set", "--enable", host, "nova-compute")
    openstack("server", "delete", "--wait", "nowhere")
    assert openstack.json("usage", "show")["Servers"]


def test_locks_and_states(openstack: Shell) -> None:
    openstack("server", "lock", "--reason", "mine", "box")
    openstack("server", "unlock", "box")
    openstack("server", "set", "--state", "error", "--auto-approve", "box")
    assert openstack.status("box") == "ERROR"
    openstack("server", "set", "--state", "active", "--auto-approve", "box")
    openstack("server", "delete", "--wait", "box")
    assert openstack.appliance.doctor() == []
