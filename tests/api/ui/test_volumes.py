"""Volumes in the browser, from the form to the deletion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.conftest import wait_for
from tests.api.ui.conftest import Browser


def make(browser: Browser, name: str, **more: str) -> str:
    """The id of a new volume that is available."""
    answer = browser.send("/volumes", **{"name": name, "size": "1", **more})
    assert answer.status_code == 303, answer.text
    volume_id = str(answer.location.rpartition("/")[2])
    until(browser, volume_id, "available")
    return volume_id


def told(browser: Browser, volume_id: str) -> Any:
    return browser.appliance.get(f"/volume/v3/volumes/{volume_id}").json["volume"]


def until(browser: Browser, volume_id: str, status: str) -> None:
    wait_for(lambda: told(browser, volume_id)["status"] == status, why=f"it did not become {status}")


def act(browser: Browser, volume_id: str, action: str, **form: str) -> Any:
    return browser.send(f"/volumes/{volume_id}/action", action=action, **form)


def test_a_volume_is_made_from_the_form_and_shown_with_its_facts(browser: Browser) -> None:
    volume_id = make(browser, "data <1>")
    assert "data &lt;1&gt;" in browser.get("/volumes").text
    page = browser.get(f"/volumes/{volume_id}").text
    for fact in ("data &lt;1&gt;", "available", "1 GiB", "__DEFAULT__", volume_id, "No server."):
        assert fact in page
    assert "<html" not in browser.part(f"/volumes/{volume_id}").text, "htmx gets the part alone"


def test_one_of_an_image_can_be_booted_from(browser: Browser) -> None:
    image = re.search(r'<option value="(image:[0-9a-f-]+)">tiny<', browser.get("/volumes/new").text)
    assert image
    volume_id = make(browser, "root", source=image[1])
    assert "yes, made of tiny" in browser.get(f"/volumes/{volume_id}").text
    assert told(browser, volume_id)["bootable"] == "true"


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"size": "0"}, "size", "whole number of GiB"),
        ({"size": "many"}, "size", "whole number of GiB"),
        ({"size": ""}, "size", "1 to"),
        ({"size": "1", "source": "disk:1"}, "source", "blank, or of an image"),
        ({"size": "1", "source": "image:nothing"}, "source", "could not be found"),
        ({"size": "1", "name": "n" * 256}, "name", "255"),
    ],
)
def test_what_cannot_be_made_is_told_at_its_field(
    browser: Browser, form: dict[str, str], field: str, words: str
) -> None:
    answer = browser.send("/volumes", **form)
    assert answer.status_code == 400
    assert words in answer.text
    assert re.search(f'id="{field}"[^>]*aria-invalid="true"', answer.text), "the field is marked"


def test_it_goes_to_a_server_and_comes_back(browser: Browser) -> None:
    server_id, volume_id = browser.launch("keeper"), make(browser, "moving")
    assert f'value="{server_id}"' in browser.get(f"/volumes/{volume_id}").text, "the server is offered"
    assert act(browser, volume_id, "attach", server=server_id).status_code == 303
    until(browser, volume_id, "in-use")
    for path in ("/volumes", f"/volumes/{volume_id}"):
        assert "keeper" in browser.get(path).text
    page = browser.get(f"/servers/{server_id}").text
    assert "/dev/vdb" in page
    assert "moving" in page
    assert act(browser, volume_id, "detach", server=server_id).status_code == 303
    until(browser, volume_id, "available")
    assert "moving" not in browser.get(f"/servers/{server_id}").text


def test_it_grows(browser: Browser) -> None:
    volume_id = make(browser, "growing")
    assert act(browser, volume_id, "extend", size="1").status_code == 400
    assert act(browser, volume_id, "extend", size="2").status_code == 303
    wait_for(lambda: told(browser, volume_id)["size"] == 2)


@pytest.mark.parametrize(("what", "listing"), [("snapshot", "snapshots"), ("backup", "backups")])
def test_copies_are_made_shown_and_deleted(browser: Browser, what: str, listing: str) -> None:
    volume_id = make(browser, f"with {what}")
    assert act(browser, volume_id, what, name=f"kept-{what}").status_code == 303
    path = f"/volume/v3/{listing}/detail?volume_id={volume_id}"
    found = wait_for(
        lambda: [each for each in browser.appliance.get(path).json[listing] if each["status"] == "available"]
    )
    page = browser.get(f"/volumes/{volume_id}").text
    assert f"kept-{what}" in page
    source = f"{what}:{found[0]['id']}"
    assert source in browser.get("/volumes/new").text
    copy = make(browser, f"of {what}", source=source, size="")
    assert told(browser, copy)["size"] == 1
    assert act(browser, volume_id, f"delete_{what}", id=found[0]["id"]).status_code == 303
    wait_for(lambda: not browser.appliance.get(path).json[listing])


def test_deleting_asks_first_and_takes_the_snapshots_along(browser: Browser) -> None:
    volume_id = make(browser, "going")
    act(browser, volume_id, "snapshot")
    wait_for(lambda: "available" in browser.get(f"/volumes/{volume_id}").text.partition("snapshots-title")[2])
    page = browser.get(f"/volumes/{volume_id}/delete").text
    assert "so does its snapshot" in page
    assert browser.send(f"/volumes/{volume_id}/delete").status_code == 303
    wait_for(lambda: browser.get(f"/volumes/{volume_id}").status_code == 404)


def test_actions_that_there_are_not_are_refused(browser: Browser) -> None:
    volume_id = make(browser, "still")
    assert act(browser, volume_id, "explode").status_code == 400
    assert browser.send("/volumes/00000000-0000-4000-8000-000000000000/action", action="backup").status_code == 404
