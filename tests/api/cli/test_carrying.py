"""Servers that travel as files: out of one cloud, into another, hostile files refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.compute import server_exports, server_imports
from novalite.context import internal
from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.errors import DriverError
from tests.api.conftest import wait_for

C, V, N, I = "/compute/v2.1", "/volume/v3", "/network/v2.0", "/image/v2"  # noqa: E741
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Q1vHnTa0hNFb0Ks6n4nT2Pp1eQJk0YtJm7Z0xJ8Ww me@here"


def _flavor(appliance: Any) -> None:
    flavor = {"name": "roomy", "vcpus": 2, "ram": 512, "disk": 2, "OS-FLV-EXT-DATA:ephemeral": 1, "swap": 64}
    assert appliance.post(f"{C}/flavors", {"flavor": flavor}).status_code == 200


def _volume(appliance: Any, **values: Any) -> str:
    volume_id = str(appliance.post(f"{V}/volumes", {"volume": {"size": 1, **values}}).json["volume"]["id"])
    wait_for(lambda: appliance.get(f"{V}/volumes/{volume_id}").json["volume"]["status"] == "available")
    return volume_id


def _server(appliance: Any, name: str) -> Any:
    found = appliance.get(f"{C}/servers/detail?name={name}", version="2.95").json["servers"]
    return found[0] if found else None


def _images(appliance: Any) -> list[Any]:
    hidden = appliance.get(f"{I}/images?os_hidden=true").json["images"]
    return [*appliance.get(f"{I}/images").json["images"], *hidden]


def _manifest(path: Path) -> Any:
    with tarfile.open(path) as tar:
        return json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def rich(appliance: Any) -> str:
    """The id of a server with everything that can be taken along."""
    _flavor(appliance)
    image_id = appliance.image("base")
    assert appliance.post(f"{C}/os-keypairs", {"keypair": {"name": "mine", "public_key": _KEY}}).status_code == 200
    group = {"security_group": {"name": "web"}}
    assert appliance.post(f"{N}/security-groups", group).status_code == 201
    flavors = appliance.get(f"{C}/flavors").json["flavors"]
    body = {
        "name": "shop", "imageRef": image_id, "networks": "auto", "key_name": "mine", "metadata": {"a": "b"},
        "flavorRef": next(each["id"] for each in flavors if each["name"] == "roomy"), "tags": ["one", "two"],
        "security_groups": [{"name": "web"}], "user_data": base64.b64encode(b"#!/bin/sh\n").decode(),
        "description": "It sells.",
    }  # fmt: skip
    server_id = str(appliance.post(f"{C}/servers", {"server": body}, version="2.79").json["server"]["id"])
    wait_for(lambda: _server(appliance, "shop")["status"] == "ACTIVE")
    volume_id = _volume(appliance, name="goods", metadata={"x": "y"})
    attached = appliance.post(f"{C}/servers/{server_id}/os-volume_attachments",
                              {"volumeAttachment": {"volumeId": volume_id}})  # fmt: skip
    assert attached.status_code == 200, attached.text
    wait_for(lambda: appliance.get(f"{V}/volumes/{volume_id}").json["volume"]["status"] == "in-use")
    return server_id


@pytest.fixture
def exported(novalite: Any, rich: str, tmp_path: Path) -> Path:
    path = tmp_path / "shop.novalite"
    assert novalite("export", rich, str(path)) == 0, novalite.err
    return path


def test_a_server_goes_to_another_cloud(
    appliance: Any, exported: Path, fresh: Callable[..., Any], speak_to: Callable[[Any], Any]
) -> None:
    assert exported.stat().st_mode & 0o777 == 0o600
    with tarfile.open(exported) as tar:
        assert tar.getnames() == ["manifest.json", "0-root.qcow2", "1-volume.qcow2", "2-ephemeral0.qcow2"]
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        for disk in manifest["disks"]:
            content = tar.extractfile(disk["file"]).read()  # type: ignore[union-attr]
            assert (len(content), hashlib.sha512(content).hexdigest()) == (disk["size"], disk["sha512"])
    assert [image["name"] for image in _images(appliance)] == ["base"], "nothing stays of an export that was fetched"
    assert _server(appliance, "shop")["OS-EXT-STS:task_state"] is None

    there = fresh(network__name=manifest["networks"][0]["network"])
    novalite = speak_to(there)
    assert novalite("import", str(exported)) == 1
    assert "No flavor here has 2 vCPUs" in novalite.err
    _flavor(there)
    assert novalite("import", str(exported)) == 1
    assert "Security group web not found" in novalite.err
    assert there.post(f"{N}/security-groups", {"security_group": {"name": "web"}}).status_code == 201
    assert novalite("import", str(exported), "--network", "nowhere") == 1
    assert "There is no network nowhere" in novalite.err
    assert _images(there) == [], "nothing is made of what is refused"
    assert novalite("import", str(exported)) == 0, novalite.err

    before, after = _server(appliance, "shop"), _server(there, "shop")
    assert after["status"] == "ACTIVE"
    same = ("name", "metadata", "tags", "key_name", "description", "flavor", "security_groups",
            "OS-EXT-SRV-ATTR:user_data", "OS-EXT-SRV-ATTR:hostname")  # fmt: skip
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    [volume] = there.get(f"{V}/volumes/detail").json["volumes"]
    assert (volume["name"], volume["metadata"], volume["status"], volume["bootable"]) == (
        "goods", {"x": "y"}, "in-use", "false"
    )  # fmt: skip
    assert after["os-extended-volumes:volumes_attached"] == [{"id": volume["id"], "delete_on_termination": False}]
    [image] = _images(there)
    assert (image["name"], image["id"]) == ("shop (imported)", after["image"]["id"])
    assert there.get("/admin/imports").json["imports"] == []
    assert there.get("/admin/doctor").json["findings"] == []


def test_it_comes_under_another_name_beside_itself(novalite: Any, appliance: Any, exported: Path) -> None:
    assert novalite("import", str(exported), "--name", "shop two", "--flavor", "roomy") == 0, novalite.err
    assert _server(appliance, "shop two")["OS-EXT-SRV-ATTR:hostname"] == "shop-two"
    assert novalite("server", "delete", "shop two") == 0
    assert novalite("export", "shop", str(exported)) == 1
    assert "--force" in novalite.err
    assert novalite("export", "nobody", str(exported), "--force") == 3


def test_a_server_that_boots_from_a_volume(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    image_id = appliance.image("of-volume")
    root = {"boot_index": 0, "uuid": image_id, "source_type": "image", "destination_type": "volume",
            "volume_size": 1, "delete_on_termination": True}  # fmt: skip
    body = {"name": "heavy", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": [root]}
    made = appliance.post(f"{C}/servers", {"server": body}, version="2.79")
    assert made.status_code == 202, made.text
    wait_for(lambda: _server(appliance, "heavy")["status"] == "ACTIVE")
    path = tmp_path / "heavy"
    assert novalite("export", "heavy", str(path)) == 0, novalite.err
    [disk] = _manifest(path)["disks"]
    assert (disk["role"], disk["boot_index"], disk["delete_on_termination"]) == ("volume", 0, True)
    assert novalite("import", str(path), "--name", "heavier") == 0, novalite.err
    found = _server(appliance, "heavier")
    assert (found["status"], found["image"]) == ("ACTIVE", "")
    assert found["os-extended-volumes:volumes_attached"][0]["delete_on_termination"] is True
    assert novalite("server", "delete", "heavy", "heavier") == 0, novalite.err
    wait_for(lambda: not [v for v in appliance.get(f"{V}/volumes").json["volumes"] if v["name"] != "goods"])


def test_an_ova_goes_out_and_comes_back(novalite: Any, appliance: Any, rich: str, tmp_path: Path) -> None:
    path = tmp_path / "my shop.ova"
    assert novalite("export", "shop", str(path), "--format", "ova") == 0, novalite.err
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert names == ["my-shop.ovf", "my-shop.mf", *(f"my-shop-disk{number}.vmdk" for number in range(3))]
        contents = {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    for line in contents["my-shop.mf"].decode().splitlines():
        name, digest = line.removeprefix("SHA256(").split(")= ")
        assert hashlib.sha256(contents[name]).hexdigest() == digest
    assert all(contents[name][:4] == b"KDMV" for name in names[2:])
    assert novalite("import", str(path), "--flavor", "roomy") == 1
    assert "3 disks" in novalite.err
    assert novalite("import", str(path), "--first-disk") == 1
    assert "--flavor" in novalite.err
    made = ("import", str(path), "--flavor", "roomy", "--first-disk", "--property", "hw_disk_bus=sata")
    assert novalite(*made) == 0, novalite.err
    found = _server(appliance, "my shop")
    image = appliance.get(f"{I}/images/{found['image']['id']}").json
    assert (found["status"], image["hw_disk_bus"], image["disk_format"]) == ("ACTIVE", "sata", "qcow2")
    assert novalite("server", "delete", "my shop") == 0


_DISK = empty_qcow2(1 << 20)


def _plain(**changes: Any) -> Any:
    disk = {
        "file": "root.qcow2", "role": "root", "name": "root", "format": "qcow2", "size": len(_DISK),
        "virtual_size": 1 << 20, "sha512": hashlib.sha512(_DISK).hexdigest(), "bus": "", "boot_index": 0,
        "delete_on_termination": True, "tag": "", "volume": None,
    }  # fmt: skip
    return {
        "format": "novalite-server", "version": 1, "exported_at": "2026-01-01T00:00:00Z",
        "server": {"name": "s", "hostname": "s", "description": None, "metadata": {}, "tags": [], "user_data": None,
                   "config_drive": False, "key": None},
        "flavor": {"name": "m1.tiny", "vcpus": 1, "ram": 256, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}},
        "image": {"name": "i", "min_disk": 0, "min_ram": 0, "properties": {}}, "networks": [], "security_groups": [],
        "disks": [disk], **changes,
    }  # fmt: skip


def _changed(path: str, value: Any) -> Any:
    manifest = copy.deepcopy(_plain())
    *way, last = path.split(".")
    place: Any = manifest
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return manifest


_VOLUME = {"name": None, "description": None, "size": 1, "type": "", "bootable": True, "metadata": {},
           "image_metadata": {}}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "tar"), ("version", 2), ("server", {}), ("server.name", ""), ("server.name", "x\x00y"),
        ("server.user_data", "not base64!"), ("server.hostname", "a b"), ("server.key", {"name": "x"}),
        ("server.metadata", {"metadata1": 5}), ("server.tags", ["a/b"]), ("flavor.vcpus", 0), ("flavor.ram", 2**40),
        ("image.properties", {"os_glance_x": "1"}), ("networks", [{"network": "x"}]), ("networks", 3),
        ("disks", []), ("disks", [_plain()["disks"][0]] * 2), ("disks.0.file", "../etc/passwd"),
        ("disks.0.file", "/etc/passwd"), ("disks.0.file", "a/b"), ("disks.0.role", "floppy"),
        ("disks.0.format", "raw"), ("disks.0.sha512", "00"), ("disks.0.size", -1), ("disks.0.virtual_size", 2**60),
        ("disks.0.boot_index", None), ("disks.0.boot_index", 3), ("disks.0.volume", _VOLUME),
        ("disks.0.name", "ephemeral0"), ("disks.0.surprise", 1), ("disks.0.virtual_size", 2 << 30),
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_right(appliance: Any, path: str, value: Any) -> None:
    answer = appliance.post("/admin/imports", {"import": {"manifest": _changed(path, value)}})
    assert answer.status_code == 400, answer.text
    words = ("flavor", "The root disk has") if value == 2 << 30 else (path.rpartition(".")[2], path.split(".")[0])
    assert any(word in answer.text for word in words), answer.text
    assert appliance.get("/admin/imports").json["imports"] == []


def _tar(path: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), kind, link
            if kind != tarfile.REGTYPE:
                info.size = 0
            tar.addfile(info, io.BytesIO(content))
    return path


def _text(manifest: Any) -> tuple[str, bytes]:
    return "manifest.json", json.dumps(manifest).encode()


def test_files_that_are_no_servers(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    before = _images(appliance)
    good = _text(_plain())
    path = tmp_path / "f"
    for members, more, why in (
        ([good], {}, "root.qcow2 is not in it"),
        ([good, ("root.qcow2", _DISK[:-1])], {}, "where its manifest tells"),
        ([good, ("root.qcow2", _DISK), ("root.qcow2", _DISK)], {}, "two files named"),
        ([good, ("../root.qcow2", _DISK)], {}, "instead of a file name"),
        ([good, ("/root.qcow2", _DISK)], {}, "instead of a file name"),
        ([("manifest.json", b"")], {"kind": tarfile.SYMTYPE, "link": "/etc/passwd"}, "no plain file"),
        ([("manifest.json", b"[1]")], {}, "no object"),
        ([("manifest.json", b"[" * 100000)], {}, "no JSON"),
        ([("manifest.json", b" " * (2 << 20))], {}, "too long"),
        ([("x", b"y")], {}, "neither"),
    ):  # fmt: skip
        _tar(path, *members, **more)  # type: ignore[arg-type]
        assert novalite("import", str(path)) == 1, why
        assert why in novalite.err
    path.write_bytes(b"not a tar" * 1000)
    assert novalite("import", str(path)) == 1
    _tar(path, good, ("root.qcow2", _DISK))
    path.write_bytes(path.read_bytes()[: -len(_DISK) // 2 - 10240])
    assert novalite("import", str(path)) == 1
    assert "cut off" in novalite.err
    assert _images(appliance) == before


def test_disks_that_are_refused_leave_nothing(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    before = _images(appliance)
    backed = bytearray(_DISK)
    backed[8:20] = (1024).to_bytes(8, "big") + (11).to_bytes(4, "big")
    backed[1024:1035] = b"/etc/passwd"
    for content, told, why in (
        (b"\0" * 4096, None, "is raw, not qcow2"),
        (bytes(backed), None, "backing file"),
        (_DISK, "0" * 128, "SHA-512"),
    ):
        manifest = _plain()
        manifest["disks"][0] |= {"size": len(content), "sha512": told or hashlib.sha512(content).hexdigest()}
        path = _tar(tmp_path / "f", _text(manifest), ("root.qcow2", content))
        assert novalite("import", str(path)) == 1, why
        assert why in novalite.err
    assert (_images(appliance), appliance.get("/admin/imports").json["imports"]) == (before, [])


def test_an_import_that_cannot_become_a_server_is_undone(appliance: Any) -> None:
    before = _images(appliance)
    made = appliance.post("/admin/imports", {"import": {"manifest": _plain(), "name": "unlucky"}})
    assert made.status_code == 201, made.text
    told = made.json["import"]
    early = appliance.call("POST", f"/admin/imports/{told['id']}/begin")
    assert (early.status_code, "has not come" in early.text) == (409, True)
    [disk] = told["disks"]
    headers = {"Content-Type": "application/octet-stream"}
    sent = appliance.call("PUT", f"{I}/images/{disk['image_id']}/file", data=_DISK, headers=headers)
    assert sent.status_code == 204, sent.text
    appliance.driver.fail_next("ensure_guest", DriverError("ensure_guest", "no", code="guest.refused"))
    assert appliance.call("POST", f"/admin/imports/{told['id']}/begin").status_code == 202
    shown = wait_for(lambda: _ended(appliance, told["id"]))
    assert (shown["status"], "could not be started" in shown["problem"]) == ("failed", True)
    wait_for(lambda: _server(appliance, "unlucky") is None)
    assert _images(appliance) == before
    assert appliance.call("POST", f"/admin/imports/{told['id']}/begin").status_code == 409
    assert appliance.call("DELETE", f"/admin/imports/{told['id']}").status_code == 204


def _ended(appliance: Any, import_id: str) -> Any:
    shown = appliance.get(f"/admin/imports/{import_id}").json["import"]
    return shown if shown["status"] in ("done", "failed") else None


def test_what_nobody_fetches_or_goes_on_with_is_forgotten(appliance: Any, rich: str) -> None:
    before = _images(appliance)
    export = appliance.post("/admin/exports", {"export": {"server_id": rich}})
    assert export.status_code == 202, export.text
    export_id = export.json["export"]["id"]
    again = appliance.post("/admin/exports", {"export": {"server_id": rich}})
    assert again.status_code == 409, "one thing at a time"
    wait_for(lambda: appliance.get(f"/admin/exports/{export_id}").json["export"]["status"] == "ready")
    made = appliance.post("/admin/imports", {"import": {"manifest": _plain()}})
    assert len(_images(appliance)) == len(before) + 4
    forget = next(job for job in appliance.engine.periodic._jobs if job.name == "carried").run
    forget()
    assert len(_images(appliance)) == len(before) + 4, "not yet"
    with appliance.built.database.write(internal()) as w:
        for each in (server_exports.find(w, export_id), server_imports.find(w, made.json["import"]["id"])):
            each.expires_at = w.now - timedelta(seconds=1)
    forget()
    assert _images(appliance) == before
    assert appliance.get(f"/admin/exports/{export_id}").status_code == 404
    assert appliance.get(f"/admin/imports/{made.json['import']['id']}").status_code == 404


def test_one_that_cannot_be_forgotten_stops_no_other(
    appliance: Any, rich: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _images(appliance)
    ids = [appliance.post("/admin/imports", {"import": {"manifest": _plain()}}).json["import"]["id"] for _ in range(3)]
    store = appliance.built.parts.images
    with appliance.built.database.write(internal()) as w:
        late = [server_imports.find(w, each) for each in ids]
        for each in late:
            each.expires_at = w.now - timedelta(seconds=1)
        kept = {disk["image_id"] for disk in late[1].disks}
    deleted: list[str] = []

    def delete(image_id: str) -> None:
        if image_id in kept:
            raise OSError("the disk does not answer")
        deleted.append(image_id)

    forget = next(job for job in appliance.engine.periodic._jobs if job.name == "carried").run
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", delete)
        with pytest.raises(OSError, match="does not answer"):
            forget()
    there = [appliance.get(f"/admin/imports/{each}").status_code for each in ids]
    assert (there, len(deleted)) == ([404, 200, 404], 2)
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", deleted.append)
        forget()
    assert set(deleted) > kept, "what could not be removed is not forgotten before it is"
    assert appliance.get(f"/admin/imports/{ids[1]}").status_code == 404
    assert _images(appliance) == before


def _export(appliance: Any, server_id: str) -> Any:
    made = appliance.post("/admin/exports", {"export": {"server_id": server_id}})
    assert made.status_code == 202, made.text
    path = f"/admin/exports/{made.json['export']['id']}"
    wait_for(lambda: appliance.get(path).json["export"]["status"] != "making")
    shown = appliance.get(path).json["export"]
    assert appliance.call("DELETE", path).status_code == 204
    wait_for(lambda: _server(appliance, "shop")["OS-EXT-STS:task_state"] is None)
    return shown


def test_the_disks_of_a_running_server_are_copied_at_one_moment(appliance: Any, rich: str) -> None:
    def copies() -> tuple[int, int]:
        return appliance.driver.calls.get("take_snapshots", 0), appliance.driver.calls.get("take_snapshot", 0)

    (together, alone), before = copies(), _images(appliance)
    assert _export(appliance, rich)["status"] == "ready"
    assert copies() == (together + 1, alone)
    assert appliance.driver._guests[rich].snapshots == {}
    lost = DriverError("read_snapshot", "it is lost", code="snapshot.not_found")
    appliance.driver.fail_next("read_snapshot", lost)
    failed = _export(appliance, rich)
    assert failed["status"] == "failed"
    assert "it is lost" in failed["problem"]
    assert copies() == (together + 2, alone), "a copy of another moment is none of this export"
    appliance.driver.fail_next("take_snapshots", DriverError("take_snapshots", "no room", code="disk.full"))
    assert "no room" in _export(appliance, rich)["problem"]
    assert _images(appliance) == before
    appliance.post(f"{C}/servers/{rich}/action", {"os-stop": None})
    wait_for(lambda: _server(appliance, "shop")["status"] == "SHUTOFF")
    assert _export(appliance, rich)["status"] == "ready"
    assert copies() == (together + 3, alone + 3), "of one that is off one after the other, which takes less room"
    appliance.post(f"{C}/servers/{rich}/action", {"os-start": None})
    wait_for(lambda: _server(appliance, "shop")["status"] == "ACTIVE")


def test_others_see_none_of_it(appliance: Any, rich: str) -> None:
    stranger = appliance.member("stranger")
    answer = appliance.post("/admin/exports", {"export": {"server_id": rich}}, token=stranger)
    assert answer.status_code == 404
    made = appliance.post("/admin/imports", {"import": {"manifest": _plain()}}).json["import"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/begin")):
        assert appliance.call(method, f"/admin/imports/{made['id']}{path}", token=stranger).status_code == 404
    assert appliance.get("/admin/imports", token=stranger).json["imports"] == []
    assert appliance.call("DELETE", f"/admin/imports/{made['id']}").status_code == 204
    for wrong in ({}, {"server_id": "x"}, {"server_id": rich, "format": "zip"}):
        assert appliance.post("/admin/exports", {"export": wrong}).status_code == 400
    assert appliance.get(f"/admin/exports/{uuid4()}").status_code == 404
