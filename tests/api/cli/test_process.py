"""The commands as processes: an appliance of their own with simulated guests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_QCOW2 = ["qemu-img", "create", "-q", "-f", "qcow2"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that holds a guest image, so that none is built."""
    state = tmp_path / "state"
    (state / "cache").mkdir(parents=True)
    subprocess.run([*_QCOW2, str(state / "cache" / "novalite-guest.qcow2"), "1M"], check=True, timeout=60)
    return state


def novalite(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "novalite.cli.main", "--state-dir", str(state), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "NOVALITE_"))}


def test_the_demo_once_reports_a_server_at_its_prompt_and_leaves_nothing_running(state: Path, port: int) -> None:
    demo = novalite(state, "demo", "--once", "--driver", "fake", "--port", str(port), "--json")
    assert demo.returncode == 0, demo.stderr
    report = json.loads(demo.stdout)
    assert report["reached_login"] is True
    assert report["console"][-1].startswith("hello login:")
    assert report["ui"] == f"http://127.0.0.1:{port}"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert novalite(state, "server", "list").returncode == 4
    again = novalite(state, "demo", "--once", "--driver", "fake", "--port", str(port), "--json")
    assert json.loads(again.stdout)["server_id"] == report["server_id"]


@pytest.fixture
def demo(state: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "novalite.cli.main",
            "--state-dir",
            str(state),
            "demo",
            "--driver",
            "fake",
            "--port",
            str(port),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    yield child
    if child.poll() is None:
        child.kill()
    child.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_serves_until_it_is_told_to_stop(
    demo: subprocess.Popen[str], state: Path, port: int, number: signal.Signals
) -> None:
    assert demo.stdout is not None
    assert demo.stderr is not None
    told = []
    for line in demo.stderr:
        told.append(line)
        if line.startswith("Serving;"):
            break
    assert demo.poll() is None, "".join(told)
    second = novalite(state, "demo", "--once", "--json")
    assert second.returncode == 0, second.stderr
    assert "runs already" not in second.stdout
    demo.send_signal(number)
    assert demo.wait(60) == 0
    out = demo.stdout.read()
    assert "hello reached its login prompt" in out
    assert "Try next:" in out
    assert out.index(f"--state-dir {state} access allow ssh") < out.index(f"--state-dir {state} server ssh")
    assert f"--state-dir {state} server list" in out
    assert novalite(state, "server", "list").returncode == 4


def test_a_port_in_use_is_told(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        demo = novalite(state, "demo", "--once", "--driver", "fake", "--port", str(taken.getsockname()[1]))
    assert demo.returncode == 1
    assert "Cannot listen on 127.0.0.1" in demo.stderr


def test_serve_refuses_an_unknown_option_by_name(state: Path) -> None:
    served = novalite(state, "serve", "--set", "http.colour=red")
    assert served.returncode == 1
    assert "There is no option http.colour" in served.stderr
