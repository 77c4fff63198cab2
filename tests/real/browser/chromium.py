"""Headless Chromium that reaches nothing but this machine, and a person who uses NovaLite with it."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Frame, Page, sync_playwright

from tests.contracts.waiting import PATIENCE
from tests.real.appliance.process import RealAppliance

STARTER = Path(__file__).with_name("steady_chromium.py")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
SERVER_PAGE = re.compile(r"/servers/[0-9a-f-]{36}$")


@contextmanager
def chromium() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        program = Path(folder) / "chromium"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STARTER}" "$@"\n')
        program.chmod(0o700)
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody at a browser. ``complaints`` collects what the browser found wrong with the pages."""

    def __init__(self, browser: Browser, appliance: RealAppliance, **context: Any) -> None:
        self.appliance = appliance
        self.context = browser.new_context(**{"viewport": {"width": 1180, "height": 820}, **context})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def go(self, path: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.appliance.port}{path}")

    def log_in(self) -> None:
        self.go("/login")
        self.page.get_by_label("User name").fill("admin")
        self.page.get_by_label("Password").fill(self.appliance.environment["OS_PASSWORD"])
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Servers", exact=True).wait_for()

    def launch(self, name: str, **choices: str) -> str:
        """The new server's id; its page is open then."""
        self.go("/servers")
        self.page.get_by_role("link", name=re.compile("Launch")).first.click()
        self.page.get_by_label("Name").fill(name)
        for label, value in choices.items():
            self.page.get_by_label(label.replace("_", " ").capitalize()).fill(value)
        self.page.get_by_role("button", name="Launch").click()
        self.page.wait_for_url(SERVER_PAGE)
        return self.page.url.rpartition("/")[2]

    def wait_state(self, state: str, seconds: float = PATIENCE) -> None:
        """The state in the open server's title, which has to come by itself."""
        title = self.page.locator("#server .title .state")
        title.filter(has_text=re.compile(f"^{state}$")).wait_for(timeout=seconds * 1000)

    def console_frame(self) -> Frame:
        """The connected console of the page that shows one."""
        inside = self.page.frame_locator("iframe.frame")
        inside.locator("#console[data-state=connected]").wait_for()
        return next(frame for frame in self.page.frames if "/console/" in frame.url)

    def delete(self, name: str) -> None:
        self.page.get_by_role("link", name="Delete").click()
        self.page.get_by_role("button", name=f"Delete {name}").click()
        self.page.wait_for_url("**/servers?note=deleted")
        self.page.get_by_role("link", name=name, exact=True).wait_for(state="detached")

    def close(self) -> None:
        self.context.close()
