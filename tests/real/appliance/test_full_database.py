"""An appliance whose disk is full, its database with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.real.appliance.process import running

pytestmark = pytest.mark.real


def test_a_process_starts_on_a_full_disk(tmp_path: Path) -> None:
    """Its database too lies there: nothing can be changed, and everything can be looked at."""
    place = tmp_path / "state"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(place)], check=True)
    try:
        with running(place, driver="fake") as appliance:
            assert appliance.get("/admin/status")["ready"]  # with a token, which is a change too
            ballast = place / "ballast"
            subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=4k"], capture_output=True, check=False)
            body = {"flavor": {"name": "x", "ram": 64, "vcpus": 1, "disk": 0}}
            answer = appliance.call("POST", "/compute/v2.1/flavors", json=body)
            assert (answer.status_code, "disk that keeps the database is full" in answer.text) == (503, True), (
                answer.text
            )
            appliance.restart()
            assert appliance.call("GET", "/compute/v2.1/servers").status_code == 200
            ballast.unlink()
            assert appliance.call("POST", "/compute/v2.1/flavors", json=body).status_code == 200
            assert appliance.doctor() == []
    finally:
        subprocess.run(["umount", str(place)], check=True)
