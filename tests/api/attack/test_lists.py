"""Attacks on lists: patterns that never end, thousands of parameters, sort keys and markers of strangers."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance

SERVERS = "/compute/v2.1/servers"
BOMBS = ("(a+)+$", "(a|a)*$", "(a*)*b", "a?" * 40 + "a" * 40, "a.*.*.*.*.*=", "(.*,)*=", r"(a*)\1\1\1b", "(?=(a+)+b)")
NONSENSE = ("[", "(", "*", "a{4294967296}", "(?P<x>", "(" * 200, "a" * 256, "(" * 120 + "a+" + ")+" * 120)
USEFUL = ("aaaa", "^a+$", "a.*", ".*a", ".*a.*a.*", "a|b", "(a|b)a", "a{3}", r"\ba", "(?i)AAAA", "[a-z]+$", ".*?a")


@pytest.fixture(scope="module")
def named(appliance: Appliance, flavor: str) -> str:
    """A server whose name makes such patterns expensive."""
    name = "a" * 250 + "!"
    answer = appliance.post(SERVERS, server_body(flavor, appliance.image(), name=name), version="2.90")
    assert answer.status_code == 202, answer.text
    return name


@pytest.mark.parametrize("pattern", BOMBS + NONSENSE)
def test_a_pattern_that_could_take_for_ever_is_refused(appliance: Appliance, named: str, pattern: str) -> None:
    answer = appliance.get(f"{SERVERS}?name={quote(pattern)}")
    assert answer.status_code == 400
    assert "name" in answer.json["badRequest"]["message"]


@pytest.mark.parametrize("pattern", USEFUL)
def test_patterns_that_people_use_find_what_they_mean(appliance: Appliance, named: str, pattern: str) -> None:
    pattern = pattern.replace("^a+$", "^a+!$").replace("[a-z]+$", "[a-z]+!$")
    names = [item["name"] for item in appliance.get(f"{SERVERS}?name={quote(pattern)}").json["servers"]]
    assert names == [named]


@pytest.mark.parametrize(
    "path",
    [
        f"{SERVERS}?" + "&".join(["sort_key=id"] * 600),
        f"{SERVERS}?" + "&".join(["status=ACTIVE"] * 600),
        f"{SERVERS}?" + "&".join(["tags=" + ",".join("a" * 500)] * 7),
        f"{SERVERS}?not-tags-any=" + ",".join("a" * 500),
        "/image/v2/images?" + "&".join(["tag=a"] * 1300),
        "/image/v2/images?" + "&".join(f"p{number}=b" for number in range(1000)),
        "/network/v2.0/ports?" + "&".join(["id=x"] * 1500),
        "/identity/v3/projects?" + "&".join(["tags=a"] * 900),
    ],
)
def test_a_query_is_bounded(appliance: Appliance, path: str) -> None:
    assert appliance.get(path, version="2.26").status_code == 400


def test_a_sort_key_counts_once(appliance: Appliance, named: str) -> None:
    keys = "&".join(["sort_key=display_name&sort_dir=asc"] * 100)
    listed = appliance.get(f"{SERVERS}?{keys}").json["servers"]
    marker = listed[-1]["id"]
    assert appliance.get(f"{SERVERS}?{keys}&marker={marker}").json == {"servers": []}


@pytest.mark.parametrize("listing", ["compute/v2.1/servers", "image/v2/images", "network/v2.0/ports"])
@pytest.mark.parametrize("limit", ["-1", "1e3", "9" * 30, "٣", "0x10", "1\n", "%00", "abc"])
def test_a_limit_that_is_no_number_is_refused(appliance: Appliance, listing: str, limit: str) -> None:
    assert appliance.get(f"/{listing}?limit={quote(limit, safe='%')}").status_code == 400


@pytest.mark.parametrize("listing", ["compute/v2.1/servers", "image/v2/images", "network/v2.0/ports"])
def test_a_marker_of_nowhere_is_refused(appliance: Appliance, listing: str) -> None:
    for marker in ("x", "'--", "%ff", "a" * 900, "00000000-0000-0000-0000-000000000000"):
        assert appliance.get(f"/{listing}?marker={marker}").status_code == 400


def test_a_marker_of_another_project_is_none(appliance: Appliance, named: str, mallory: str) -> None:
    server = appliance.get(f"{SERVERS}?limit=1").json["servers"][0]["id"]
    appliance.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "private-name"}})
    private = appliance.post("/image/v2/images", {"name": "private"}).json["id"]
    asked = (
        f"{SERVERS}?marker={server}",
        "/compute/v2.1/os-keypairs?marker=private-name",
        f"/image/v2/images?marker={private}",
    )
    for path in asked:
        assert appliance.get(path, version="2.40").status_code == 200
        assert appliance.get(path, version="2.40", token=mallory).status_code == 400
