"""A person launches a real guest in a real browser, sees its screen, types into it, and deletes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Frame

from tests.contracts.waiting import until
from tests.real.appliance.images import bundled_guest_image
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.appliance.process import RealAppliance, running
from tests.real.browser.conftest import Persons

pytestmark = pytest.mark.real

READ_CANVAS = """() => {
  const canvas = document.querySelector("#screen canvas");
  const copy = document.createElement("canvas");
  copy.width = canvas.width; copy.height = canvas.height;
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  const data = context.getImageData(0, 0, copy.width, copy.height).data;
  const rows = [];
  for (let top = 0; top < copy.height; top += 16) {
    let lit = 0;
    for (let y = top; y < Math.min(top + 16, copy.height); y += 1)
      for (let x = 0; x < copy.width; x += 1)
        if (data[(y * copy.width + x) * 4 + 1] > 100) lit += 1;
    rows.push(lit);
  }
  return { width: copy.width, height: copy.height, rows };
}"""


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    ensure_libvirtd()
    with running(tmp_path_factory.mktemp("browser") / "state", driver="libvirt") as made:
        made.image(bundled_guest_image(), name="novalite-guest", disk_format="qcow2", visibility="public")
        yield made


def lit_rows(frame: Frame) -> list[int]:
    """How many pixels are lit in each text row of the guest's screen."""
    found: list[int] = frame.evaluate(READ_CANVAS)["rows"]
    return found


def changed(before: list[int], after: list[int]) -> int:
    return sum(old != new for old, new in zip(before, after, strict=True))


def test_a_guest_from_launch_to_deletion(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    server_id = someone.launch("hello", user_data="#!/bin/sh\necho user data ran here\n")
    someone.page.evaluate("document.body.dataset.same = 'yes'")
    someone.wait_state("ACTIVE", 60)
    page.locator(".log", has_text="hello login:").wait_for()
    page.locator(".log", has_text=re.compile("userdata exit=0")).wait_for()
    assert page.evaluate("document.body.dataset.same") == "yes", "all this without a reload"

    page.get_by_role("link", name="Open console").click()
    frame = someone.console_frame()
    until(lambda: sum(row > 30 for row in lit_rows(frame)) >= 5, "the guest's text is on the canvas")
    before = lit_rows(frame)
    frame.locator("#screen canvas").click()
    page.keyboard.type("root\n", delay=40)
    until(lambda: lit_rows(frame) != before, "what was typed is on the canvas")
    asked = lit_rows(frame)
    page.keyboard.type("novalite\n", delay=40)
    until(lambda: changed(asked, lit_rows(frame)) >= 3, "the guest has let root in")

    frame.get_by_role("button", name="Paste text").click()
    frame.get_by_label(re.compile("typed into the guest")).fill('echo "Typed: $(hostname)|ok" > /dev/ttyS0\n')
    frame.get_by_role("button", name="Type it").click()
    frame.get_by_role("status").filter(has_text=re.compile("Typed .* characters")).wait_for()
    page.get_by_role("link", name="hello", exact=True).click()
    page.locator(".log", has_text="Typed: hello|ok").wait_for()

    someone.delete("hello")
    appliance.wait_gone(server_id)


def test_power_actions_and_their_states_come_by_themselves(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    server_id = someone.launch("switches")
    someone.wait_state("ACTIVE")
    for button, state in (("Pause", "PAUSED"), ("Unpause", "ACTIVE"), ("Suspend", "SUSPENDED"), ("Resume", "ACTIVE")):
        page.get_by_role("button", name=button, exact=True).click()
        someone.wait_state(state)
    page.get_by_role("link", name="Open console").click()
    someone.console_frame()
    appliance.delete(server_id)
    status = page.frame_locator("iframe.frame").get_by_role("status")
    status.filter(has_text=re.compile("withdrawn|closed", re.IGNORECASE)).wait_for()
    appliance.wait_gone(server_id)


def test_the_serial_console_is_a_terminal(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    someone.launch("lines")
    page.locator(".log", has_text="lines login:").wait_for()
    page.get_by_role("link", name="Open console").click()
    page.get_by_role("link", name="Serial console").click()
    page.wait_for_url(re.compile("kind=serial"))
    frame = someone.console_frame()
    frame.locator("#screen").click()
    page.keyboard.type("root\n", delay=40)
    frame.locator(".xterm-accessibility-tree", has_text="Password:").wait_for(state="attached")
    page.keyboard.type("novalite\n", delay=40)
    page.keyboard.type("echo $((6*7))-answers\n", delay=20)
    frame.locator(".xterm-accessibility-tree", has_text="42-answers").wait_for(state="attached")
    page.get_by_role("link", name="lines", exact=True).click()
    someone.delete("lines")
