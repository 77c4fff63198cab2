"""Taking an appliance away."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite import settings as options
from novalite.appliance.purge import purge
from novalite.errors import Failed, NotFound
from tests.api.conftest import running


def test_nothing_is_left_of_a_stopped_appliance(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(state):
        pass
    loaded, _ = options.load(arguments={"state_dir": str(state), "compute.driver": "fake"}, environment={})
    removed = list(purge(loaded))
    assert not state.exists()
    assert removed[-1] == f"state {state}"


def test_a_directory_without_an_appliance_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    loaded, _ = options.load(arguments={"state_dir": str(tmp_path)}, environment={})
    with pytest.raises(NotFound):
        list(purge(loaded))
    assert (tmp_path / "mine").exists()


def test_a_running_appliance_is_not_taken_away(tmp_path: Path) -> None:
    from novalite.appliance.process import own_state

    with running(tmp_path / "state") as appliance:
        own_state(appliance.built.settings.state_path)
        with pytest.raises(Failed, match="Another NovaLite runs"):
            list(purge(appliance.built.settings))
