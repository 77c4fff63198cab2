"""What operators ask of a running appliance."""

from __future__ import annotations

from typing import Any


def test_health_is_told_without_a_token(appliance: Any) -> None:
    assert appliance.client.get("/healthz").status_code == 200


def test_status_names_every_component_and_its_thread(appliance: Any) -> None:
    status = appliance.get("/admin/status").json
    states = {each["name"]: each["state"] for each in status["components"]}
    assert {"scheduler", "conductor-1", "network", "periodic", "console-proxy"} <= states.keys()
    assert set(states.values()) == {"running"}
    assert status["hosts"][0]["state"] == "up"


def test_the_doctor_finds_nothing_in_a_new_appliance(appliance: Any) -> None:
    assert appliance.get("/admin/doctor").json["findings"] == []


def test_operators_pages_are_for_admins(appliance: Any) -> None:
    assert appliance.get("/admin/status", token=appliance.member("curious")).status_code == 403
    assert appliance.client.get("/admin/status").status_code == 401
