"""The real process and its surroundings: who may start it, how it ends, what it survives."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.contracts.waiting import until
from tests.real.appliance.process import NOVALITE, RealAppliance, running

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    given = {
        "database.busy_timeout_seconds": 0.5, "compute.stop_timeout_seconds": 1, "http.drain_seconds": 120,
    }  # fmt: skip
    with running(tmp_path_factory.mktemp("process") / "state", given=given) as made:
        made.image(bytes(1 << 20))
        yield made


def _create(appliance: RealAppliance, name: str = "s") -> str:
    [image] = appliance.get("/image/v2/images")["images"]
    return appliance.create(name, image["id"], "1")


def _serve(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NOVALITE, "serve", *words], capture_output=True, text=True, timeout=300, check=False)


def test_when_it_is_ready_the_credentials_are_there_for_their_owner_only(appliance: RealAppliance) -> None:
    for name in ("admin-openrc", "clouds.yaml"):
        assert stat.S_IMODE((appliance.state_dir / name).stat().st_mode) == 0o600
    assert f":{appliance.port}/" in appliance.environment["OS_AUTH_URL"]
    assert appliance.environment["OS_PASSWORD"] not in appliance.log


def test_it_is_two_processes_and_every_component_runs_in_the_second(appliance: RealAppliance) -> None:
    parent, _ = appliance.pids()
    components = {item["name"]: item for item in appliance.get("/admin/status")["components"]}
    assert {"queue", "scheduler", "periodic", "conductor-1", "console-proxy"} <= set(components)
    assert all(item["state"] == "running" for item in components.values()), components
    assert len(os.listdir(f"/proc/{parent}/task")) == 1


def test_a_second_one_on_the_same_state_is_refused_in_words(appliance: RealAppliance) -> None:
    refused = _serve("--state-dir", str(appliance.state_dir), "--port", "0", "--driver", "fake")
    assert refused.returncode != 0
    assert "Another NovaLite runs on" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert appliance.healthy


def test_a_taken_port_is_told_in_words_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = _serve("--state-dir", str(tmp_path / "s"), "--port", str(port), "--driver", "fake")
    assert refused.returncode != 0
    assert f"Cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "s" / "novalite.db").exists()


def test_a_worker_that_is_killed_is_replaced_and_tasks_go_on(appliance: RealAppliance) -> None:
    server_id = _create(appliance)
    _, worker = appliance.pids()
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in appliance.pids() and len(appliance.pids()) == 2, "another worker is there")
    appliance.wait_ready()
    appliance.wait_status(server_id, "ACTIVE")
    assert appliance.doctor() == []
    appliance.delete(server_id)
    appliance.wait_gone(server_id)


def test_sigterm_lets_a_request_end_and_loses_no_task(appliance: RealAppliance) -> None:
    server_id = _create(appliance)
    half_sent, answered = threading.Event(), list[int]()

    def chunks() -> Iterator[bytes]:
        yield bytes(1 << 16)
        half_sent.set()
        until(lambda: not appliance.healthy, "no new request is taken")
        yield bytes(1 << 16)

    body = {"name": "slow", "disk_format": "raw", "container_format": "bare"}
    image_id = appliance.post("/image/v2/images", body)["id"]

    def upload() -> None:
        kind = {"Content-Type": "application/octet-stream"}
        path = f"/image/v2/images/{image_id}/file"
        answered.append(appliance.call("PUT", path, content=chunks(), headers=kind).status_code)

    thread = threading.Thread(target=upload)
    thread.start()
    assert half_sent.wait(300)
    assert appliance.terminate() == 0
    thread.join(30)
    assert answered == [204]
    appliance.start()
    assert appliance.get(f"/image/v2/images/{image_id}")["status"] == "active"
    assert appliance.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204
    appliance.wait_status(server_id, "ACTIVE")
    appliance.delete(server_id)
    appliance.wait_gone(server_id)


def test_an_upload_cut_off_by_a_kill_leaves_nothing(appliance: RealAppliance) -> None:
    body = {"name": "cut", "disk_format": "raw", "container_format": "bare"}
    image_id = appliance.post("/image/v2/images", body)["id"]
    half_sent, dead = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield bytes(1 << 20)
        half_sent.set()
        assert dead.wait(300)
        yield bytes(1 << 20)

    def upload() -> None:
        kind = {"Content-Type": "application/octet-stream"}
        with pytest.raises(httpx.HTTPError):
            appliance.call("PUT", f"/image/v2/images/{image_id}/file", content=chunks(), headers=kind)

    thread = threading.Thread(target=upload)
    thread.start()
    assert half_sent.wait(300)
    appliance.kill()
    dead.set()
    thread.join(30)
    appliance.start()
    assert appliance.get(f"/image/v2/images/{image_id}")["status"] == "queued"
    assert appliance.doctor() == []
    assert appliance.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204


def test_a_database_locked_by_another_process_is_said_and_heals(appliance: RealAppliance) -> None:
    kept = _create(appliance, "kept")
    appliance.wait_status(kept, "ACTIVE")
    [image] = appliance.get("/image/v2/images")["images"]
    body = {"server": {"name": "later", "imageRef": image["id"], "flavorRef": "1", "networks": "auto"}}
    with closing(sqlite3.connect(appliance.state_dir / "novalite.db", isolation_level=None)) as other:
        assert appliance.act(kept, "os-stop").status_code == 202
        other.execute("BEGIN IMMEDIATE")
        refused = appliance.call("POST", "/compute/v2.1/servers", json=body)
        assert refused.status_code == 503
        assert "locked by another process" in refused.text
        assert refused.headers.get("Retry-After")
        assert appliance.server(kept) is not None, "reading goes on"
        other.execute("ROLLBACK")
    appliance.wait_status(kept, "SHUTOFF")
    appliance.delete(kept)
    appliance.wait_gone(kept)
    assert appliance.doctor() == []
