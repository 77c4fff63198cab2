"""The units that systemd is given: what it can check of them, and what must agree with the code."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from novalite.settings import Settings

PACKAGING = Path(__file__).parents[2] / "packaging"
UNITS = ("novalite.service", "novalite-privileged.service", "novalite-privileged.socket")
MOUNTS = (
    "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectKernelModules",
    "ProtectKernelTunables", "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ReadOnlyPaths",
    "ReadWritePaths", "InaccessiblePaths", "BindPaths", "TemporaryFileSystem", "RootDirectory", "MountFlags",
)  # fmt: skip


def _unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PACKAGING / name)
    return parser


def test_the_service_runs_without_any_right_of_root() -> None:
    service = _unit("novalite.service")["Service"]
    assert service["User"] == "novalite"
    assert (service["CapabilityBoundingSet"], service["AmbientCapabilities"]) == ("", "")
    assert service["NoNewPrivileges"] == "yes"


def test_the_socket_is_where_the_service_looks_for_it() -> None:
    socket = _unit("novalite-privileged.socket")["Socket"]
    assert socket["ListenStream"] == Settings().network.privileged_socket
    assert (socket["SocketGroup"], socket["SocketMode"]) == ("novalite", "0660")


def test_the_privileged_process_shares_the_mounts_of_the_machine() -> None:
    """Network namespaces are mounts: made in mounts of its own they would be nobody else's, and end with it."""
    service = _unit("novalite-privileged.service")["Service"]
    assert not set(service) & set(MOUNTS)
    assert service["CapabilityBoundingSet"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (PACKAGING / name).read_text()
        program = str(Path(sys.executable).with_name("novalite"))
        (tmp_path / name).write_text(text.replace("/opt/novalite/.venv/bin/novalite", program))
    done = subprocess.run(["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
