"""Copies of servers by the clock, as a person at a shell asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.api.admin import protections
from tests.api.conftest import wait_for


def test_a_server_is_protected_and_comes_back(novalite: Any, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert novalite("server", "create", "shop", "--image", image, "--flavor", "m1.tiny") == 0, novalite.err
    assert novalite("server", "protect", "shop", "hourly, keep 0") != 0
    assert "schedule" in novalite.err
    assert novalite("server", "protect", "shop", "daily, keep 1", "--off") != 0
    assert novalite("server", "protect", "shop", "--show") != 0
    assert "is not protected" in novalite.err
    assert novalite("server", "protect", "shop", "hourly, keep 24; daily, keep 7", "--now") == 0, novalite.err
    assert "hourly, keep 24; daily, keep 7" in novalite.out

    def shown() -> Any:
        return novalite.json("server", "protect", "shop", "--show")

    wait_for(lambda: shown()["copies"] == 1 and not shown()["running"])
    run = shown()["runs"][0]
    assert novalite("server", "protect", "shop", "--show") == 0
    assert run["id"] in novalite.out
    assert run["copy_id"] in novalite.out
    assert novalite("server", "protect", "shop", "--off") == 0, novalite.err
    assert shown()["next_run_at"] is None
    assert novalite("server", "delete", "shop") == 0, novalite.err
    monkeypatch.setattr(protections, "limit", lambda call: 1)
    assert novalite("server", "restore-backup", "nothing", "--name", "x") != 0
    made = ("server", "restore-backup", "shop", "--run", run["id"], "--name", "again")
    assert novalite(*made) == 0, novalite.err
    again = novalite.json("server", "show", "again")
    assert (again["status"], again["image"]["id"]) == ("ACTIVE", run["copy_id"])
    assert novalite("server", "delete", "again") == 0, novalite.err
