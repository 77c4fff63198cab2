"""Which credentials count."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.cli.credentials import find
from novalite.cli.session import Session
from novalite.errors import DependencyDown, Invalid, NotFound

CLOUDS = """\
clouds:
  {name}:
    auth:
      auth_url: http://127.0.0.1:8774/identity/v3
      username: {name}-user
      password: hunter2
      project_name: admin
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    state = tmp_path / "state"
    state.mkdir()
    (state / "clouds.yaml").write_text(CLOUDS.format(name="local"))
    (tmp_path / "clouds.yaml").write_text(CLOUDS.format(name="other"))
    return state


def user(session: Session) -> str:
    return find(session).username


def variables(state: Path, **more: str) -> dict[str, str]:
    return {"NOVALITE_STATE_DIR": str(state), **more}


ANN = {"OS_AUTH_URL": "http://cloud.example/v3", "OS_USERNAME": "ann", "OS_PASSWORD": "pw"}


def test_by_default_the_admin_of_the_local_appliance_speaks(state: Path) -> None:
    assert user(Session(environment=variables(state))) == "local-user"


def test_the_environment_comes_before_the_local_appliance(state: Path) -> None:
    assert user(Session(environment=variables(state, **ANN))) == "ann"
    assert user(Session(environment=variables(state, OS_CLOUD="other"))) == "other-user"


def test_an_explicit_state_directory_comes_before_the_environment(state: Path) -> None:
    assert user(Session(state_dir=str(state), environment=ANN)) == "local-user"


def test_a_named_cloud_comes_before_all(state: Path) -> None:
    assert user(Session(state_dir=str(state), cloud="other", environment=ANN)) == "other-user"


def test_an_unknown_cloud_is_not_found_and_the_known_ones_are_named(state: Path) -> None:
    with pytest.raises(NotFound, match="local, other"):
        find(Session(cloud="nowhere", environment=variables(state)))


def test_without_an_appliance_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(DependencyDown, match="novalite demo"):
        find(Session(state_dir=str(tmp_path), environment={}))


def test_missing_parts_are_named(state: Path) -> None:
    with pytest.raises(Invalid, match="The OS_\\* variables lacks username and password"):
        find(Session(environment=variables(state, OS_AUTH_URL="http://cloud.example/v3")))


def test_an_address_that_is_none_is_refused(state: Path) -> None:
    with pytest.raises(Invalid, match="not an http address"):
        find(Session(environment=variables(state, **{**ANN, "OS_AUTH_URL": "cloud.example:5000"})))


def test_the_password_does_not_show_itself(state: Path) -> None:
    assert "hunter2" not in repr(find(Session(environment=variables(state))))
