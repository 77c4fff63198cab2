"""The attacker: a member of a project of their own, who owns nothing of what is attacked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Appliance


@pytest.fixture(scope="module")
def mallory(appliance: Appliance) -> str:
    """The token of a member who owns nothing of what is attacked."""
    return appliance.member("mallory")


@pytest.fixture(scope="module")
def flavor(appliance: Appliance) -> str:
    body = {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1}}
    return str(appliance.post("/compute/v2.1/flavors", body).json["flavor"]["id"])


def server_body(flavor: str, image: str, **more: Any) -> dict[str, Any]:
    """The body that asks for one server."""
    return {"server": {"name": "victim", "flavorRef": flavor, "imageRef": image, "networks": "auto", **more}}
