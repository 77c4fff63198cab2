"""Servers in the browser, from the form to the deletion."""

from __future__ import annotations

import base64
import re

import pytest

from novalite.cloud.compute import protection, servers
from novalite.context import internal
from tests.api.conftest import Appliance, wait_for
from tests.api.ui.conftest import Browser


def test_a_server_is_launched_from_the_form_and_shown_with_its_facts(browser: Browser) -> None:
    server_id = browser.launch("web-1", user_data="#!/bin/sh\r\necho hello\r\n")
    page = browser.get(f"/servers/{server_id}").text
    for fact in ("web-1", "ACTIVE", "m1.tiny: 1 vCPU, 256 MiB, 1 GiB disk", "tiny", server_id):
        assert fact in page
    assert re.search(r"\d+\.\d+\.\d+\.\d+", page), "its address"
    with browser.appliance.built.database.read(internal()) as w:
        kept = servers.get(w, server_id).user_data
    assert base64.b64decode(kept or "") == b"#!/bin/sh\necho hello\n", "a script's lines end as scripts' lines do"


def test_the_page_tells_how_the_server_is_protected(browser: Browser) -> None:
    server_id = browser.launch("kept")
    assert "protection-title" not in browser.get(f"/servers/{server_id}").text
    with browser.appliance.built.database.write(internal()) as w:
        protection.protect(w, server_id, "weekly, keep 3")
    page = browser.get(f"/servers/{server_id}").text
    for fact in ("weekly, keep 3", "none yet", "0, 0 bytes"):
        assert fact in page


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": "   "}, "name", "A name has 1 to 255"),
        ({"count": "0"}, "count", "from 1 to 100"),
        ({"count": "many"}, "count", "from 1 to 100"),
        ({"flavor": "no-such"}, "flavor", "could not be found"),
        ({"image": "no-such"}, "image", "No image found"),
        ({"key": "no-such"}, "key", "not found"),
        ({"user_data": "x" * 60000}, "user_data", "48 KiB"),
    ],
)
def test_a_wrong_field_is_named_and_the_rest_stays_filled_in(
    browser: Browser, wrong: dict[str, str], field: str, words: str
) -> None:
    answer = browser.send("/servers", **(browser.filled_in("kept-name") | wrong))
    assert answer.status_code == 400
    assert words in answer.text
    assert f'aria-describedby="problem-{field}"' in answer.text
    assert "kept-name" in answer.text or field == "name"


def test_a_used_up_quota_is_told_on_the_form(browser: Browser) -> None:
    answer = browser.send("/servers", **browser.filled_in("many", count="50"))
    assert answer.status_code == 409
    assert "Quota exceeded" in answer.text


def test_buttons_follow_the_table_of_states(browser: Browser) -> None:
    server_id = browser.launch("buttons")

    def offered() -> set[str]:
        return set(re.findall(r'name="action" value="(\w+)"', browser.get(f"/servers/{server_id}").text))

    assert offered() == {"stop", "reboot", "reboot_hard", "pause", "suspend", "rescue", "createImage", "shelve"}
    answer = browser.send(f"/servers/{server_id}/action", action="stop")
    assert answer.status_code == 303
    wait_for(lambda: "SHUTOFF" in browser.get(f"/servers/{server_id}").text)
    assert offered() == {"start", "reboot_hard", "rescue", "createImage", "shelve"}
    assert browser.send(f"/servers/{server_id}/action", action="createImage").status_code == 303
    wait_for(lambda: "buttons 20" in browser.get("/images").text, why="its image is not listed")
    wait_for(lambda: "shelve" in offered())
    assert browser.send(f"/servers/{server_id}/action", action="shelve").status_code == 303
    wait_for(lambda: offered() == {"unshelve"})


def test_an_action_that_does_not_fit_is_told_above_the_page(browser: Browser) -> None:
    server_id = browser.launch("running")
    answer = browser.send(f"/servers/{server_id}/action", headers={"HX-Request": "true"}, action="resume")
    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#alerts"
    assert "while it is in vm_state active" in answer.text
    assert browser.send(f"/servers/{server_id}/action", action="explode").status_code == 400
    assert browser.send(f"/servers/{server_id}/action", action="delete").status_code == 400


def test_parts_are_what_the_pages_show(browser: Browser) -> None:
    server_id = browser.launch("in-parts")
    for path in ("/servers", f"/servers/{server_id}", "/images", "/hosts"):
        page, part = browser.get(path).text, browser.part(path).text
        assert part.strip() in page or path == "/hosts"
        assert "<html" not in part


def test_deleting_asks_first_and_then_says_that_it_is_gone(browser: Browser) -> None:
    server_id = browser.launch("doomed")
    question = browser.get(f"/servers/{server_id}/delete").text
    assert "Delete doomed?" in question
    assert "There is no way back" in question
    assert browser.send(f"/servers/{server_id}/delete").location == "/servers?note=deleted"
    wait_for(lambda: "was deleted" in browser.part(f"/servers/{server_id}").text)
    assert "doomed" not in browser.get("/servers").text


def test_a_fault_is_told_in_full(browser: Browser, appliance: Appliance) -> None:
    answer = browser.send("/servers", **browser.filled_in("too-big", flavor=_huge(appliance)))
    server_id = answer.location.rpartition("/")[2]
    wait_for(lambda: "Why it is in ERROR" in browser.get(f"/servers/{server_id}").text)
    page = browser.get(f"/servers/{server_id}").text
    assert re.search(r"(?i)no valid host", page)
    browser.send(f"/servers/{server_id}/delete")


def _huge(appliance: Appliance) -> str:
    body = {"flavor": {"name": "huge", "ram": 40_000, "vcpus": 1, "disk": 90_000, "id": "huge"}}
    assert appliance.post("/compute/v2.1/flavors", body).status_code == 200
    return "huge"


def test_the_console_log_comes_without_terminal_codes(browser: Browser) -> None:
    server_id = browser.launch("talker")
    assert "talker login:" in browser.part(f"/servers/{server_id}/log").text


def test_an_unreachable_host_leaves_the_page_usable(browser: Browser, appliance: Appliance) -> None:
    server_id = browser.launch("cut-off")
    appliance.driver.set_unreachable(True)
    try:
        assert browser.get(f"/servers/{server_id}").status_code == 200
        answer = browser.part(f"/servers/{server_id}/log")
        assert answer.status_code == 200
        assert "note bad" in answer.text
    finally:
        appliance.driver.set_unreachable(False)


def test_servers_of_other_projects_do_not_exist(browser: Browser, appliance: Appliance) -> None:
    server_id = browser.launch("private-matter")
    appliance.member("bert")
    bert = Browser(appliance)
    bert.log_in("bert", "a-long-passphrase")
    for path in ("", "/delete", "/log", "/console"):
        assert bert.get(f"/servers/{server_id}{path}").status_code == 404
    assert bert.send(f"/servers/{server_id}/action", action="stop").status_code == 404
    assert bert.send(f"/servers/{server_id}/delete").status_code == 404
    assert "private-matter" not in bert.get("/servers?all=1").text
    assert bert.get("/hosts").status_code == 403
    assert 'href="/hosts"' not in bert.get("/servers").text
    assert "private-matter" in browser.get("/servers?all=1").text


def test_hosts_show_what_is_promised_in_words_and_bars(browser: Browser) -> None:
    page = browser.get("/hosts").text
    assert "Memory" in page
    assert re.search(r"<meter [^>]*aria-label=\"vCPUs promised\">\d+ of \d+ \(\d+ real\)</meter>", page)
