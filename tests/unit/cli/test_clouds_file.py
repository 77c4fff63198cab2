"""clouds.yaml as people and programs write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.cli import clouds_file
from novalite.errors import Invalid

USUAL = """\
---
# made by hand
clouds:
  home:   # ours
    auth:
      auth_url: "http://127.0.0.1:8774/identity/v3"
      username: admin
      password: 'it''s #1: "good"'
      project_name: admin
    region_name: RegionOne
    regions:
      - RegionOne
    verify: false
  'far away':
    auth: {}
"""


def test_the_usual_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(USUAL.replace("auth: {}", "auth:"))
    clouds = clouds_file.read(path)
    assert list(clouds) == ["home", "far away"]
    assert clouds["home"]["auth"] == {
        "auth_url": "http://127.0.0.1:8774/identity/v3",
        "username": "admin",
        "password": 'it\'s #1: "good"',
        "project_name": "admin",
    }
    assert clouds["home"]["region_name"] == "RegionOne"
    assert clouds["home"]["verify"] == "false"


@pytest.mark.parametrize("line", ["auth: {username: admin}", "auth: &anchor", "auth: |", "no colon here"])
def test_what_is_not_understood_is_refused_by_its_line(line: str) -> None:
    with pytest.raises(Invalid, match="Line 3 of it"):
        clouds_file.parse(f"clouds:\n  home:\n    {line}\n", name="it")


def test_a_file_without_clouds_has_none(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text("cache:\n  expiration: 5\n")
    assert clouds_file.read(path) == {}
