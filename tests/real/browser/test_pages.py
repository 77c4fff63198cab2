"""The pages in a browser, over simulated guests: live, reachable by everybody, on any screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.appliance.process import RealAppliance, running
from tests.real.browser.chromium import Person
from tests.real.browser.conftest import Persons

pytestmark = pytest.mark.real

CHECKS = Path(__file__).with_name("checks.js").read_text().partition("\n")[2]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    with running(tmp_path_factory.mktemp("pages") / "state") as made:
        made.tiny = made.image(b"\0" * 4096, visibility="public")  # type: ignore[attr-defined]
        yield made


def create(appliance: RealAppliance, name: str, flavor: str = "1") -> str:
    made = appliance.create(name, appliance.tiny, flavor)  # type: ignore[attr-defined]
    appliance.wait_status(made, "ACTIVE", "ERROR")
    return made


def every_page(appliance: RealAppliance) -> list[str]:
    """A page of each kind; one server is there whose name has no place to break."""
    well = create(appliance, "a-server-with-quite-a-long-name-" + "x" * 80)
    ill = create(appliance, "ill", _too_big(appliance))
    volume = appliance.post("/volume/v3/volumes", {"volume": {"size": 1, "name": "v" * 80}})["volume"]["id"]
    return [
        "/servers", "/servers/new", f"/servers/{well}", f"/servers/{ill}", f"/servers/{well}/delete",
        f"/servers/{well}/console", "/volumes", "/volumes/new", f"/volumes/{volume}", f"/volumes/{volume}/delete",
        "/images", "/keys", "/hosts", "/no-such-page",
    ]  # fmt: skip


def _too_big(appliance: RealAppliance) -> str:
    known = {each["id"] for each in appliance.get("/compute/v2.1/flavors")["flavors"]}
    return "huge" if "huge" in known else appliance.flavor("huge", ram=30_000, disk=90_000)


def test_states_change_on_an_open_list_without_a_reload(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    page.evaluate("document.body.dataset.same = 'yes'")
    server_id = create(appliance, "elsewhere")
    row = page.locator(f"#server-{server_id}")
    row.filter(has_text="ACTIVE").wait_for()
    page.locator("#announcer", has_text="elsewhere is ACTIVE").wait_for(state="attached")
    appliance.act(server_id, "os-stop")
    row.filter(has_text="SHUTOFF").wait_for()
    appliance.delete(server_id)
    row.wait_for(state="detached")
    assert page.evaluate("document.body.dataset.same") == "yes"


def test_a_page_opened_before_a_restart_is_true_again_after_it(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    server_id = create(appliance, "survivor")
    page.locator(f"#server-{server_id}", has_text="ACTIVE").wait_for()
    appliance.terminate()
    appliance.start()
    appliance.act(server_id, "os-stop")
    page.locator(f"#server-{server_id}", has_text="SHUTOFF").wait_for()
    page.locator("#link-lost").wait_for(state="hidden")
    appliance.delete(server_id)
    someone.complaints.clear()  # the browser told that the process was away


def test_focus_stays_where_it_is_when_the_list_changes(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    first = create(appliance, "focused")
    link = page.get_by_role("link", name="focused", exact=True)
    link.focus()
    second = create(appliance, "newcomer")
    page.get_by_role("link", name="newcomer", exact=True).wait_for()
    assert link.evaluate("element => element === document.activeElement")
    for server_id in (first, second):
        appliance.delete(server_id)


def test_logging_out_in_one_window_ends_the_other(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    other = someone.context.new_page()
    other.goto(f"http://127.0.0.1:{appliance.port}/servers")
    other.get_by_role("button", name="Log out").click()
    someone.page.wait_for_url("**/login?ended=1")
    someone.complaints.clear()  # a 401 is what was asked for


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_names_landmarks_and_contrast(appliance: RealAppliance, person: Persons, scheme: str) -> None:
    someone = person(appliance, color_scheme=scheme)
    for path in every_page(appliance):
        someone.go(path)
        someone.page.wait_for_load_state("networkidle" if "console" not in path else "load")
        assert someone.page.evaluate(CHECKS) == [], path
    someone.complaints.clear()  # one of the pages is not there
    remove_all(appliance)


def test_pages_fit_on_a_phone(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance, **PHONE)
    for path in every_page(appliance):
        someone.go(path)
        assert someone.page.evaluate("document.documentElement.scrollWidth") <= 360, path
    someone.complaints.clear()  # one of the pages is not there
    remove_all(appliance)


def remove_all(appliance: RealAppliance) -> None:
    for server in appliance.get("/compute/v2.1/servers")["servers"]:
        appliance.delete(server["id"])
        appliance.wait_gone(server["id"])


def test_everything_can_be_done_by_keyboard(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    page = someone.page
    someone.go("/servers")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    _press_until(someone, "Launch", "Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Name").wait_for()
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/servers/[0-9a-f-]{36}$"))
    someone.wait_state("ACTIVE")
    _press_until(someone, "Delete", "Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/delete")
    _press_until(someone, "Delete by-keyboard", "Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/servers?note=deleted")


def _press_until(someone: Person, name: str, key: str) -> None:
    for _ in range(40):
        someone.page.keyboard.press(key)
        if someone.page.evaluate("document.activeElement.textContent.trim()").startswith(name):
            return
    raise AssertionError(f"{name} is not reached by {key}")


def test_without_javascript_the_pages_still_do_their_work(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance, java_script_enabled=False)
    page = someone.page
    server_id = someone.launch("plain")
    appliance.wait_status(server_id, "ACTIVE")
    page.reload()
    page.get_by_role("button", name="Stop", exact=True).click()
    appliance.wait_status(server_id, "SHUTOFF")
    page.reload()
    someone.wait_state("SHUTOFF")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete plain").click()
    appliance.wait_gone(server_id)
    page.reload()
    page.get_by_text("No servers yet").wait_for()


TYPE = """async (text) => {
  const { strokes } = await import("/static/ui/typing.js");
  const { keys, refused } = strokes(text);
  return [keys.map(({ code, shift }) => (shift ? "+" : "") + code).join(" "), refused.join("")];
}"""


def test_text_becomes_the_keys_of_a_us_keyboard(appliance: RealAppliance, person: Persons) -> None:
    page = person(appliance).page
    assert page.evaluate(TYPE, "aA1!|\r\n\t~") == [
        "KeyA +KeyA Digit1 +Digit1 +Backslash Enter Tab +Backquote", "",
    ]  # fmt: skip
    printable = "".join(chr(code) for code in range(32, 127))
    keys, refused = page.evaluate(TYPE, printable)
    assert (len(keys.split()), refused) == (len(printable), "")
    assert page.evaluate(TYPE, "smörgås")[1] == "öå", "what no key gives is named"


def test_an_expired_console_address_says_so(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    someone.go("/console/vnc_auto.html?path=%3Ftoken%3Dnonsense")
    someone.page.get_by_text("has expired or was withdrawn").first.wait_for()
    assert someone.page.evaluate(CHECKS) == []
    someone.complaints.clear()  # a 403 is what was asked for


HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_pages_in_the_background_hold_no_connection_and_are_true_when_looked_at(
    appliance: RealAppliance, person: Persons
) -> None:
    someone = person(appliance)
    behind = []
    for _ in range(8):  # a browser opens six connections to one site
        page = someone.context.new_page()
        page.goto(f"http://127.0.0.1:{appliance.port}/servers")
        page.evaluate(HIDE, True)
        behind.append(page)
    server_id = create(appliance, "seen-by-all")
    someone.page.locator(f"#server-{server_id}", has_text="ACTIVE").wait_for()
    assert behind[0].locator(f"#server-{server_id}").count() == 0
    behind[0].evaluate(HIDE, False)
    behind[0].locator(f"#server-{server_id}", has_text="ACTIVE").wait_for()
    appliance.delete(server_id)
    appliance.wait_gone(server_id)


def test_a_lost_console_connects_again_by_itself(appliance: RealAppliance, person: Persons) -> None:
    someone = person(appliance)
    server_id = create(appliance, "comes-back")
    someone.go(f"/servers/{server_id}/console?kind=serial")
    frame = someone.console_frame()
    appliance.kill()
    frame.locator("#console[data-state=failed]").wait_for()
    frame.get_by_text("NovaLite does not answer this browser").first.wait_for()
    appliance.start()
    frame.locator("#console[data-state=connected]").wait_for()
    someone.complaints.clear()  # the browser told that the process was away
    remove_all(appliance)
