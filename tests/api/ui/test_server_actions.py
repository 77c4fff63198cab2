"""Buttons that lead a server into rescue and back, and those of one that was deleted softly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import Appliance, running, wait_for
from tests.api.ui.conftest import Browser


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    directory: Path = tmp_path_factory.mktemp("state")
    with running(directory, compute__reclaim_instance_interval_seconds=90) as made:
        yield made


def buttons(browser: Browser, server_id: str) -> set[str]:
    return set(re.findall(r'name="action" value="(\w+)"', browser.get(f"/servers/{server_id}").text))


def until_shown(browser: Browser, server_id: str, status: str) -> None:
    """The page says so, and that nothing goes on: then there are buttons again, or nothing is left to do."""
    path = f"/servers/{server_id}"
    wait_for(lambda: status in browser.get(path).text and (buttons(browser, server_id) or status == "DELETED"))


def test_into_rescue_and_back(browser: Browser) -> None:
    server_id = browser.launch("in-need")
    assert {"stop", "rescue"} <= buttons(browser, server_id)
    browser.send(f"/servers/{server_id}/action", action="rescue")
    until_shown(browser, server_id, "RESCUE")
    assert buttons(browser, server_id) == {"unrescue"}
    browser.send(f"/servers/{server_id}/action", action="unrescue")
    until_shown(browser, server_id, "ACTIVE")


def test_deleted_restored_and_deleted_for_good(browser: Browser) -> None:
    server_id = browser.launch("dispensable")
    assert "restored for 2 minutes" in browser.get(f"/servers/{server_id}/delete").text
    browser.send(f"/servers/{server_id}/delete")
    until_shown(browser, server_id, "SOFT_DELETED")
    assert server_id in browser.get("/servers").text
    assert buttons(browser, server_id) == {"restore"}
    browser.send(f"/servers/{server_id}/action", action="restore")
    until_shown(browser, server_id, "ACTIVE")
    browser.send(f"/servers/{server_id}/delete")
    until_shown(browser, server_id, "SOFT_DELETED")
    assert "There is no way back" in browser.get(f"/servers/{server_id}/delete").text
    browser.send(f"/servers/{server_id}/delete")
    until_shown(browser, server_id, "DELETED")


def test_there_are_no_other_actions(browser: Browser) -> None:
    server_id = browser.launch("plain")
    for action in ("rebuild", "delete", "softDelete", ""):
        assert browser.send(f"/servers/{server_id}/action", action=action).status_code == 400
