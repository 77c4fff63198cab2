"""Logging in and out: what a session is, and what ends it."""

from __future__ import annotations

import pytest

from tests.api.conftest import Appliance
from tests.api.ui.conftest import Browser


def cookie(answer: object) -> str:
    return answer.headers["Set-Cookie"]  # type: ignore[attr-defined,no-any-return]


def test_a_stranger_is_sent_to_the_login_and_back_to_where_he_wanted(stranger: Browser) -> None:
    answer = stranger.get("/images")
    assert (answer.status_code, answer.location) == (303, "/login?next=/images")
    assert 'value="/images"' in stranger.get(answer.location).text
    assert stranger.log_in(next="/images").location == "/images"


def test_the_cookie_is_kept_from_scripts_and_other_sites(stranger: Browser) -> None:
    text = cookie(stranger.log_in())
    assert "HttpOnly" in text
    assert "SameSite=Strict" in text
    assert "Path=/" in text
    assert "Secure" not in text, "this appliance speaks plain HTTP"


def test_behind_tls_the_cookie_is_bound_to_the_site(fresh: object) -> None:
    appliance = fresh(http__secure_cookies=True)  # type: ignore[operator]
    text = cookie(Browser(appliance).log_in())
    assert text.startswith("__Host-novalite=")
    assert "Secure" in text


@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("nobody", "wrong"), ("", "")])
def test_a_refused_login_tells_the_same_for_wrong_names_and_passwords(
    stranger: Browser, name: str, password: str
) -> None:
    answer = stranger.client.post("/login", data={"name": name, "password": password})
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_login_form_of_another_site_is_refused(stranger: Browser) -> None:
    stranger.origin = "http://evil.example"
    assert stranger.log_in().status_code == 403


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=y"],
)
def test_nobody_is_sent_to_another_site_after_the_login(stranger: Browser, target: str) -> None:
    assert stranger.log_in(next=target).location == "/servers"


def test_logging_out_ends_the_token_itself(stranger: Browser) -> None:
    stranger.log_in()
    name, _, value = cookie(stranger.log_in()).split(";")[0].partition("=")
    assert stranger.send("/logout").location == "/login"
    stranger.client.set_cookie(name, value)
    assert stranger.get("/servers").status_code == 303, "the old cookie opens nothing"


def test_a_token_revoked_elsewhere_ends_the_session(stranger: Browser, appliance: Appliance) -> None:
    token = cookie(stranger.log_in()).split(";")[0].partition("=")[2]
    assert stranger.get("/servers").status_code == 200
    appliance.call("DELETE", "/identity/v3/auth/tokens", headers={"X-Subject-Token": token})
    assert stranger.get("/servers").location == "/login?ended=1"
    part = stranger.part("/servers")
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/login?ended=1")


def test_a_user_with_several_projects_switches_between_them(stranger: Browser, appliance: Appliance) -> None:
    appliance.member("anna")
    other = appliance.post("/identity/v3/projects", {"project": {"name": "annex"}}).json["project"]["id"]
    user = appliance.get("/identity/v3/users?name=anna").json["users"][0]["id"]
    role = appliance.get("/identity/v3/roles?name=reader").json["roles"][0]["id"]
    appliance.call("PUT", f"/identity/v3/projects/{other}/users/{user}/roles/{role}")
    stranger.log_in("anna", "a-long-passphrase")
    assert f'<option value="{other}">annex' in stranger.get("/servers").text
    assert stranger.send("/project", project_id=other).status_code == 303
    page = stranger.get("/servers").text
    assert f'<option value="{other}" selected>annex' in page
    assert stranger.get("/servers/new").status_code == 403, "a reader launches nothing"
    assert stranger.send("/project", project_id="0" * 32).status_code == 404


def test_a_user_without_any_project_hears_it_in_words(stranger: Browser, appliance: Appliance) -> None:
    body = {"user": {"name": "lonely", "password": "a-long-passphrase"}}
    assert appliance.post("/identity/v3/users", body).status_code == 201
    assert stranger.log_in("lonely", "a-long-passphrase").status_code == 303
    answer = stranger.get("/servers")
    assert answer.status_code == 403
    assert "Not allowed" in answer.text
