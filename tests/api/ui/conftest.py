"""A browser without a screen: Flask's client with a session of the UI."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import Appliance, wait_for


class Browser:
    """Keeps the cookie, sends forms as a browser sends them."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.client: FlaskClient = appliance.app.test_client()
        self.origin = "http://localhost"

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers, buffered=True)

    def part(self, path: str) -> Any:
        """What htmx asks for."""
        return self.get(path, **{"HX-Request": "true"})

    def send(self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **form: str) -> Any:
        """A form of our own page, sent by a browser."""
        data = {"form_token": self.form_token if token is None else token, **form}
        sent = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        return self.client.post(path, data=data, headers=sent)

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="(\w+)"', self.get("/servers").text)
        return found[1] if found else ""

    def log_in(self, name: str = "admin", password: str = "", **more: str) -> Any:
        form = {"name": name, "password": password or self.appliance.password, **more}
        return self.client.post("/login", data=form, headers={"Origin": self.origin})

    def launch(self, name: str, **more: str) -> str:
        """The id of a new server that is ACTIVE."""
        answer = self.send("/servers", **self.filled_in(name, **more))
        assert answer.status_code == 303, answer.text
        server_id = answer.location.rpartition("/")[2]
        wait_for(lambda: "ACTIVE" in self.get(f"/servers/{server_id}").text, why="it did not become ACTIVE")
        return str(server_id)

    def filled_in(self, name: str, **more: str) -> dict[str, str]:
        form = self.get("/servers/new").text
        image = re.search(r'id="image".*?<option value="([^"]+)"', form, re.DOTALL)
        assert image, "there is no image to boot from"
        return {"name": name, "image": image[1], "flavor": "1", "count": "1", **more}


@pytest.fixture(scope="module")
def browser(appliance: Appliance) -> Browser:
    """The admin's, logged in, with an image to boot from."""
    appliance.image("tiny")
    made = Browser(appliance)
    assert made.log_in().status_code == 303
    return made


@pytest.fixture
def stranger(appliance: Appliance) -> Browser:
    return Browser(appliance)
