"""What is done about qemu-img's own whims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novalite.drivers import programs
from novalite.drivers.storage import qemu_img
from novalite.drivers.storage.base import VolumeKey
from novalite.errors import DriverError

KEY = VolumeKey("11" * 32)
UNMEASURED = DriverError("make", "qemu-img: disk: Unable to get accurate CPU usage", code="driver.failed")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[DriverError]:
    """How the next calls of programs end; after that they run."""
    ends: list[DriverError] = []
    real = programs.run

    def run(*given: Any, **more: Any) -> str:
        if ends:
            raise ends.pop()
        return real(*given, **more)

    monkeypatch.setattr(programs, "run", run)
    return ends


def test_an_encrypted_disk_is_made_although_qemu_could_not_tell_how_fast_it_is(
    tmp_path: Path, failing: list[DriverError]
) -> None:
    failing += [UNMEASURED, UNMEASURED]
    qemu_img.create("make", tmp_path / "disk", 1 << 20, "raw", key=KEY)
    assert qemu_img.luks_header("look", tmp_path / "disk") > 0


def test_it_does_not_go_on_for_ever_nor_repeat_what_is_no_use(tmp_path: Path, failing: list[DriverError]) -> None:
    failing += [UNMEASURED] * 50
    with pytest.raises(DriverError) as refused:
        qemu_img.create("make", tmp_path / "disk", 1 << 20, key=KEY)
    assert (refused.value.code, refused.value.retryable) == ("luks.unmeasured", True)
    failing[:] = [UNMEASURED, DriverError("make", "no such thing", code="driver.failed")]
    with pytest.raises(DriverError, match="no such thing"):
        qemu_img.create("make", tmp_path / "disk", 1 << 20, key=KEY)
    assert len(failing) == 1
