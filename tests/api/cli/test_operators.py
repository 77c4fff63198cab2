"""What operators ask at a shell."""

from __future__ import annotations

from typing import Any

from novalite.cli.demo_server import boot_hello
from novalite.errors import DriverError


def test_status_lists_components_and_hosts(novalite: Any) -> None:
    assert novalite("status") == 0, novalite.err
    assert "scheduler" in novalite.out
    assert "periodic" in novalite.out
    assert {each["state"] for each in novalite.json("status")["components"]} == {"running"}


def test_doctor_is_content_with_a_new_appliance(novalite: Any) -> None:
    assert novalite("doctor") == 0, novalite.out
    assert "All agree." in novalite.out
    assert novalite.json("doctor")["findings"] == []


def test_doctor_tells_what_is_wrong_and_ends_with_1(novalite: Any, appliance: Any, image: str) -> None:
    made = novalite.json("server", "create", "lost", "--image", image, "--flavor", "m1.tiny")
    appliance.driver.guest_vanishes(made["id"])
    assert novalite("doctor") == 1
    assert made["id"] in novalite.out
    assert novalite("server", "delete", "lost") == 0


def test_openrc_holds_what_logs_in(novalite: Any, appliance: Any) -> None:
    variables = novalite.json("openrc")["variables"]
    assert variables["OS_PASSWORD"] == appliance.password


def test_the_demo_finds_or_makes_what_it_needs(novalite: Any, appliance: Any) -> None:
    appliance.image("novalite-guest")
    session = novalite.session()
    first = boot_hello(session, seconds=60)
    assert first.reached_login
    assert first.server["status"] == "ACTIVE"
    assert first.key_path.stat().st_mode & 0o777 == 0o600
    again = boot_hello(session, seconds=60)
    assert again.server["id"] == first.server["id"]
    assert again.reached_login


def test_the_demo_starts_a_server_that_is_off_and_waits_for_its_new_prompt(novalite: Any, appliance: Any) -> None:
    assert novalite("server", "stop", "hello") == 0, novalite.err
    report = boot_hello(novalite.session(), seconds=60)
    assert report.reached_login
    assert "boot 1" not in report.console
    assert "boot 2" in report.console


def test_the_demo_says_when_the_prompt_did_not_come(fresh: Any, speak_to: Any) -> None:
    silent = fresh()
    silent.image("novalite-guest")
    silent.driver.fail_next("console_text", DriverError("console_text", "the log is gone"), times=1000)
    report = boot_hello(speak_to(silent).session(), seconds=3)
    assert report.server["status"] == "ACTIVE"
    assert not report.reached_login
