"""Volumes and snapshots that were made elsewhere are taken over, and given up without their data."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Appliance, running, wait_for

from .conftest import UNKNOWN, Cinder

GIB = 1 << 30


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(tmp_path_factory.mktemp("state"), volumes__backends=("here=files", "other=fake")) as made:
        yield made


@pytest.fixture(scope="module")
def host(admin: Cinder) -> str:
    rows = admin.get("/os-services?binary=cinder-volume")["services"]
    return str(next(row["host"] for row in rows if row["host"].endswith("@here")))


@pytest.fixture
def area(admin: Cinder) -> Path:
    """Where administrators lay files."""
    path = admin.appliance.built.settings.state_path / "volume-backends" / "here" / "manage"
    path.mkdir(exist_ok=True)
    return path


def _image(path: Path, size: str, *options: str, form: str = "qcow2") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", form, *options, str(path), size], check=True)
    return path


def _fill(path: Path, form: str = "qcow2") -> None:
    subprocess.run(["qemu-io", "-f", form, "-c", "write -P 90 1M 4M", str(path)], check=True, capture_output=True)


def _holds(path: Path, form: str = "qcow2") -> bool:
    done = subprocess.run(["qemu-io", "-r", "-f", form, "-c", "read -P 90 1M 4M", str(path)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    return done.returncode == 0 and "failed" not in done.stdout


def _manage(admin: Cinder, host: str, reference: str, **more: Any) -> dict[str, Any]:
    body = {"volume": {"host": host, "ref": {"source-name": reference}, **more}}
    found: dict[str, Any] = admin.ask("/manageable_volumes", body)["volume"]
    return found


def _listed(admin: Cinder, host: str, query: str = "", what: str = "volumes") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get(f"/manageable_{what}/detail?host={host}{query}")[f"manageable-{what}"]
    return found


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_file_becomes_a_volume_and_is_given_up(admin: Cinder, host: str, area: Path, form: str) -> None:
    file = _image(area / f"brought-{form}", "1500M", form=form)
    _fill(file, form)
    inode = file.stat().st_ino
    (row,) = _listed(admin, host)
    assert row == {"reference": {"source-name": f"brought-{form}"}, "size": 2, "safe_to_manage": True,
                   "reason_not_safe": None, "cinder_id": None, "extra_info": None}  # fmt: skip
    made = _manage(admin, f"{host}#here", f"brought-{form}", name="mine", metadata={"a": "b"}, bootable=True)
    volume = admin.until("volumes", made["id"], "available")
    assert (volume["size"], volume["name"], volume["metadata"], volume["bootable"]) == (2, "mine", {"a": "b"}, "true")
    assert volume["os-vol-host-attr:host"].startswith(host)
    place = admin.appliance.built.parts.volumes.of("here").place(made["id"])
    assert place is not None
    assert (Path(place.path).stat().st_ino, place.format) == (inode, form), "it was copied"
    assert _holds(Path(place.path), form)
    assert _listed(admin, host) == []
    admin.act(made["id"], "os-extend", {"new_size": 3})
    admin.until("volumes", made["id"], "available")
    admin.act(made["id"], "os-unmanage", {})
    admin.gone("volumes", made["id"])
    (row,) = _listed(admin, host)
    assert (row["reference"], row["size"]) == ({"source-name": f"volume-{made['id']}"}, 3)
    again = _manage(admin, host, f"volume-{made['id']}")
    assert admin.until("volumes", again["id"], "available")["size"] == 3
    admin.delete("volumes", again["id"])
    assert list(area.iterdir()) == []


def test_hostile_and_foreign_files_are_refused(admin: Cinder, host: str, area: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * (1 << 20))
    _image(area / "backed", "1G", "-b", str(secret), "-F", "raw")
    _image(area / "outside", "1M", "-o", f"data_file={tmp_path / 'data'}")
    _image(area / "foreign", "1M", form="vmdk")
    (area / "cut").write_bytes(_image(tmp_path / "whole", "1G").read_bytes()[:500])
    (area / "link").symlink_to(secret)
    os.link(secret, area / "twice")
    rows = {row["reference"]["source-name"]: row for row in _listed(admin, host)}
    assert {name for name, row in rows.items() if not row["safe_to_manage"]} >= {"foreign", "link", "twice"}
    assert "vmdk" in rows["foreign"]["reason_not_safe"]
    for name in ("backed", "outside", "foreign", "cut", "link", "twice", "missing", "../secret", str(secret)):
        made = _manage(admin, host, name)
        failed = admin.until("volumes", made["id"], "error_managing")
        assert failed["size"] == 0
        assert admin.get(f"/messages?resource_uuid={made['id']}")["messages"], name
        admin.delete("volumes", made["id"])
    assert secret.read_bytes() == b"s" * (1 << 20)
    for path in area.iterdir():
        path.unlink()


def test_a_snapshot_comes_back(admin: Cinder, host: str, area: Path) -> None:
    _image(area / "base", "1G")
    volume_id = _manage(admin, host, "base")["id"]
    admin.until("volumes", volume_id, "available")
    snapshot = admin.snapshot(volume_id)
    assert admin.refused("POST", f"/volumes/{volume_id}/action", {"os-unmanage": {}})[0] == 400
    admin.ask(f"/snapshots/{snapshot['id']}/action", {"os-unmanage": {}})
    admin.gone("snapshots", snapshot["id"])
    (row,) = _listed(admin, host, what="snapshots")
    assert row["reference"] == {"source-name": f"snapshot-{snapshot['id']}"}
    assert _listed(admin, host) == []
    body = {"volume_id": volume_id, "ref": row["reference"], "name": "back", "metadata": {"a": "b"}}
    made = admin.ask("/manageable_snapshots", {"snapshot": body})["snapshot"]
    found = admin.until("snapshots", made["id"], "available")
    assert (found["size"], found["volume_id"], found["name"], found["metadata"]) == (1, volume_id, "back", {"a": "b"})
    copy = admin.volume(snapshot_id=made["id"])
    _image(area / "snapshot-large", "2G")
    body = {"volume_id": volume_id, "ref": {"source-name": "snapshot-large"}}
    large = admin.ask("/os-snapshot-manage", {"snapshot": body}, version="3.0")["snapshot"]
    admin.until("snapshots", large["id"], "error")
    assert [path.name for path in area.iterdir()] == [f"snapshot-{large['id']}"], "it stays to be managed"
    for kind, id in (("snapshots", large["id"]), ("snapshots", made["id"]), ("volumes", volume_id)):
        admin.delete(kind, id)
    admin.delete("volumes", copy["id"])
    for path in area.iterdir():
        path.unlink()


def test_pages(admin: Cinder, host: str, area: Path) -> None:
    for name, size in (("a", "3G"), ("b", "1G"), ("c", "2G")):
        _image(area / name, size)

    def names(query: str) -> list[str]:
        return [row["reference"]["source-name"] for row in _listed(admin, host, query)]

    assert names("") == ["c", "b", "a"]
    assert names("&sort=size:asc") == ["b", "c", "a"]
    assert names("&sort_key=reference&sort_dir=asc&limit=1&offset=1") == ["b"]
    assert "reason_not_safe" not in admin.get(f"/manageable_volumes?host={host}")["manageable-volumes"][0]
    for query in ("&sort=name", "&marker=a"):
        assert admin.refused("GET", f"/manageable_volumes?host={host}{query}")[0] == 400
    for path in area.iterdir():
        path.unlink()


def test_bad_requests(admin: Cinder, member: Cinder, host: str) -> None:
    for body in (
        {"host": host}, {"host": host, "ref": {}}, {"host": host, "ref": {"source-id": "x"}},
        {"host": "nowhere", "ref": {"source-name": "x"}}, {"ref": {"source-name": "x"}},
        {"host": host, "ref": {"source-name": "x"}, "size": 1}, {"cluster": "c", "ref": {"source-name": "x"}},
    ):  # fmt: skip
        assert admin.refused("POST", "/manageable_volumes", {"volume": body})[0] == 400, body
    body = {"host": host, "ref": {"source-name": "x"}}
    assert admin.refused("POST", "/manageable_volumes", {"volume": {**body, "volume_type": "none"}})[0] == 404
    assert member.refused("POST", "/manageable_volumes", {"volume": body})[0] == 403
    assert admin.refused("POST", "/manageable_volumes", {"volume": body}, "3.7")[0] == 404
    assert admin.refused("GET", "/manageable_volumes")[0] == 400
    unknown = {"volume_id": UNKNOWN, "ref": {"source-name": "x"}}
    assert admin.refused("POST", "/manageable_snapshots", {"snapshot": unknown})[0] == 400


def test_the_simulated_backend_does_it_too(admin: Cinder, host: str) -> None:
    admin.ask("/types", {"volume_type": {"name": "fake", "extra_specs": {"volume_backend_name": "other"}}}, 200)
    volume = admin.volume(volume_type="fake", size=4)
    admin.act(volume["id"], "os-unmanage", {})
    admin.gone("volumes", volume["id"])
    other = host.replace("@here", "@other")
    again = _manage(admin, other, f"volume-{volume['id']}")
    wait_for(lambda: admin.get(f"/volumes/{again['id']}")["volume"]["size"] == 4)
    admin.delete("volumes", again["id"])
