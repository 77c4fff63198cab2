"""A server's life, as a person at a shell drives it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def server(novalite: Any, image: str) -> Iterator[str]:
    """The name of a running server that goes away again."""
    assert novalite("server", "create", "web", "--image", image, "--flavor", "m1.tiny") == 0, novalite.err
    yield "web"
    assert novalite("server", "delete", "web") == 0, novalite.err


def status(novalite: Any, name: str) -> str:
    return str(novalite.json("server", "show", name)["status"])


def test_create_waits_until_it_runs_and_shows_it(novalite: Any, server: str) -> None:
    shown = novalite.json("server", "show", server)
    assert shown["status"] == "ACTIVE"
    (row,) = novalite.rows("server", "list")
    address = shown["addresses"]["private"][0]["addr"]
    assert row == [shown["id"], "web", "ACTIVE", address, "m1.tiny", "tiny"]
    assert novalite("server", "show", shown["id"]) == 0
    assert "m1.tiny (1 vCPU" in novalite.out


@pytest.mark.parametrize(
    ("actions", "after"),
    [
        (["stop", "start"], ["SHUTOFF", "ACTIVE"]),
        (["pause", "unpause"], ["PAUSED", "ACTIVE"]),
        (["suspend", "resume"], ["SUSPENDED", "ACTIVE"]),
        (["reboot"], ["ACTIVE"]),
        (["rebuild"], ["ACTIVE"]),
        (["rescue", "unrescue"], ["RESCUE", "ACTIVE"]),
        (["shelve", "unshelve"], ["SHELVED_OFFLOADED", "ACTIVE"]),
    ],
)
def test_actions_wait_for_their_result(novalite: Any, server: str, actions: list[str], after: list[str]) -> None:
    for action, expected in zip(actions, after, strict=True):
        assert novalite("server", action, server) == 0, novalite.err
        assert novalite.err == f"web is {expected}.\n"
        assert status(novalite, server) == expected


def test_a_resize_waits_for_a_word(novalite: Any, server: str) -> None:
    for end, flavor in (("revert", "m1.tiny"), ("confirm", "m1.small")):
        assert novalite("server", "resize", server, "m1.small") == 0, novalite.err
        assert novalite.err == "web is VERIFY_RESIZE.\n"
        assert novalite("server", end, server) == 0, novalite.err
        assert novalite.err == "web is ACTIVE.\n"
        assert novalite("server", "show", server) == 0
        assert flavor in novalite.out
    assert novalite("server", "resize", server, "none") == 3


def test_a_migration_that_finds_no_host_is_a_failure(novalite: Any, server: str) -> None:
    assert novalite("server", "migrate", server) == 1
    assert "stays what it was" in novalite.err


def test_a_hard_reboot_resets_the_guest(novalite: Any, server: str) -> None:
    assert novalite("server", "reboot", "--hard", server) == 0, novalite.err
    assert status(novalite, server) == "ACTIVE"


def test_an_action_in_the_wrong_state_is_refused_with_its_reason(novalite: Any, server: str) -> None:
    assert novalite("server", "start", server) == 1
    assert "while it is in vm_state active" in novalite.err


def test_rename(novalite: Any, server: str) -> None:
    assert novalite("server", "rename", "web", "shop") == 0
    assert novalite.err == "web is now shop.\n"
    assert novalite("server", "rename", "shop", "web") == 0


def test_the_console_log_is_what_the_guest_printed(novalite: Any, server: str) -> None:
    assert novalite("server", "console", "log", server) == 0
    assert "web login:" in novalite.out
    assert novalite("server", "console", "log", "--lines", "1", server) == 0
    assert "boot 1" not in novalite.out


def test_the_console_url_is_one_address(novalite: Any, server: str) -> None:
    assert novalite("server", "console", "url", server) == 0
    assert novalite.out.startswith("http://")
    assert "token" in novalite.out


def test_everything_that_can_be_said_at_creation_arrives(
    novalite: Any, appliance: Any, image: str, tmp_path: Path
) -> None:
    script = tmp_path / "setup.sh"
    script.write_text("#!/bin/sh\necho hi\n")
    assert novalite("key", "create", "laptop", "--save", str(tmp_path / "laptop")) == 0, novalite.err
    made = novalite.json(
        "server",
        "create",
        "full",
        "--image",
        image,
        "--flavor",
        "m1.tiny",
        "--key",
        "laptop",
        "--network",
        "private",
        "--user-data",
        str(script),
        "--property",
        "role=web",
        "--property",
        "note=a=b",
        "--config-drive",
    )
    assert made["key_name"] == "laptop"
    assert made["metadata"] == {"role": "web", "note": "a=b"}
    assert made["config_drive"] == "True"
    assert base64.b64decode(made["OS-EXT-SRV-ATTR:user_data"]) == script.read_bytes()
    assert novalite("server", "delete", "full") == 0


def test_several_at_once(novalite: Any, image: str) -> None:
    made = novalite.json("server", "create", "many", "--image", image, "--flavor", "m1.tiny", "--count", "3")
    names = sorted(each["name"] for each in made)
    assert names == ["many-1", "many-2", "many-3"]
    assert {each["status"] for each in made} == {"ACTIVE"}
    assert novalite("server", "delete", *names) == 0
    assert novalite.json("server", "list") == []


def test_a_server_that_fits_nowhere_fails_with_the_schedulers_explanation(
    novalite: Any, appliance: Any, image: str
) -> None:
    assert novalite("flavor", "create", "huge", "--vcpus", "1", "--ram", "50000", "--disk", "50000") == 0, novalite.err
    assert novalite("server", "create", "big", "--image", image, "--flavor", "huge") == 1
    assert "No valid host was found." in novalite.err
    assert "a flavor of at most" in novalite.err
    assert novalite("server", "delete", "big") == 0, novalite.err
    assert novalite("flavor", "delete", "huge") == 0


def test_what_is_not_there_is_not_found(novalite: Any, image: str) -> None:
    assert novalite("server", "show", "nobody") == 3
    assert novalite("server", "create", "x", "--image", "none", "--flavor", "m1.tiny") == 3
    assert novalite("server", "create", "x", "--image", image, "--flavor", "none") == 3
    assert novalite("server", "create", "x", "--image", image, "--flavor", "m1.tiny", "--network", "none") == 3
    assert novalite("server", "create", "x", "--image", image, "--flavor", "m1.tiny", "--key", "none") != 0
    assert novalite.json("server", "list") == []


def test_a_stopped_server_is_rebuilt_from_another_image_and_stays_off(
    novalite: Any, server: str, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert novalite("server", "stop", server) == 0, novalite.err
    wishes = ("--user-data", str(script), "--property", "colour=red", "--keep-ephemeral")
    assert novalite("server", "rebuild", *wishes, server) == 0, novalite.err
    shown = novalite.json("server", "show", server)
    assert (shown["status"], shown["metadata"]) == ("SHUTOFF", {"colour": "red"})


def test_a_password_is_set(novalite: Any, server: str) -> None:
    assert novalite("server", "password", server, "--password", "sesame") == 0, novalite.err
    assert "The password of web is set." in novalite.err


def test_an_image_is_made_of_a_server(novalite: Any, server: str) -> None:
    assert novalite("server", "image", server, "kept") == 0, novalite.err
    made = novalite.json("image", "show", "kept")
    assert (made["status"], made["image_type"]) == ("active", "snapshot")
    assert novalite.json("server", "image", server, "again")["status"] == "active"
    for name in ("kept", "again"):
        assert novalite("image", "delete", name) == 0, novalite.err


def test_coming_back_in_a_zone_that_is_none(novalite: Any, server: str) -> None:
    assert novalite("server", "shelve", server) == 0, novalite.err
    assert novalite("server", "unshelve", "--zone", "nowhere", server) == 1
    assert "availability zone" in novalite.err
    assert novalite("server", "unshelve", "--zone", "nova", server) == 0, novalite.err
