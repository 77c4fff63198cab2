"""Machines that others made: taken over where they are, used as servers, given back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.compute import adoptions, servers
from novalite.cloud.volume import volumes as volume_records
from novalite.context import internal
from novalite.drivers.compute.base import ForeignCard, ForeignDisk, ForeignGuest, Power
from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.errors import DriverError
from tests.api.conftest import wait_for

C, V, N = "/compute/v2.1", "/volume/v3", "/network/v2.0"
_macs = iter(f"52:54:00:00:{number // 256:02x}:{number % 256:02x}" for number in range(60000))


def _machine(tmp_path: Path, name: str, **changes: Any) -> ForeignGuest:
    root, data = tmp_path / f"{name}.qcow2", tmp_path / f"{name}.img"
    root.write_bytes(empty_qcow2(2 << 30))
    data.write_bytes(b"data" * 1024)
    disks = (ForeignDisk(str(data), "raw", "vdb", "virtio", 4096, serial="OWN"),
             ForeignDisk(str(root), "qcow2", "vda", "virtio", 2 << 30, boot_order=1))  # fmt: skip
    made = ForeignGuest(
        name, str(uuid4()), Power.OFF, 3, 777, disks, (ForeignCard(next(_macs), "e1000", "bridge br0"),),
        {"hw_machine_type": "q35", "hw_vif_model": "e1000", "hw_disk_bus": "virtio"}, left_out=("the sound card",),
        starts_with_machine=True,
    )  # fmt: skip
    return replace(made, **changes)


def _server(appliance: Any, server_id: str) -> Any:
    answer = appliance.get(f"{C}/servers/{server_id}", version="2.95")
    return answer.json["server"] if answer.status_code == 200 else None


def _volumes(appliance: Any) -> list[Any]:
    return list(appliance.get(f"{V}/volumes/detail").json["volumes"])


def _there(appliance: Any) -> list[str]:
    return [each["name"] for each in appliance.get("/admin/foreign-guests").json["foreign_guests"]]


def test_a_machine_becomes_a_server_and_is_given_back(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "old")
    appliance.driver.somebody_makes(machine)
    before = appliance.driver.foreign_guest("old")
    assert novalite.rows("adopt") == [["old", "off", machine.id]]
    assert novalite("adopt", "old", "--name", "new name") == 0, novalite.err
    assert "Left out: the sound card" in novalite.err
    assert _there(appliance) == []
    server = _server(appliance, machine.id)
    assert (server["status"], server["name"], server["image"]) == ("SHUTOFF", "new name", "")
    assert (server["flavor"]["vcpus"], server["flavor"]["ram"]) == (3, 777)
    [addresses] = server["addresses"].values()
    assert addresses[0]["OS-EXT-IPS-MAC:mac_addr"] == machine.cards[0].mac_address
    volumes = {volume["name"]: volume for volume in _volumes(appliance)}
    root, data = volumes["old vda"], volumes["old vdb"]
    assert [(each["status"], each["size"], each["bootable"]) for each in (root, data)] == [
        ("in-use", 2, "true"), ("in-use", 1, "false")
    ]  # fmt: skip
    assert [each["attachments"][0]["device"] for each in (root, data)] == ["/dev/vda", "/dev/vdb"]

    assert novalite("server", "start", machine.id) == 0, novalite.err
    spec = appliance.driver._guests[machine.id].spec
    assert [(disk.path, disk.format, disk.device, disk.boot_index) for disk in spec.disks] == [
        (machine.disks[1].path, "qcow2", "vda", 0), (machine.disks[0].path, "raw", "vdb", -1)
    ]  # fmt: skip
    assert spec.disks[1].serial == "OWN"
    assert (spec.machine, spec.nics[0].mac_address, spec.nics[0].model, spec.vcpus, spec.memory_mib) == (
        "q35", machine.cards[0].mac_address, "e1000", 3, 777
    )  # fmt: skip
    assert novalite("adopt", "old", "--undo") == 1
    assert "stop it first" in novalite.err
    assert novalite("server", "reboot", "--hard", machine.id) == 0, novalite.err
    assert novalite("server", "stop", machine.id) == 0, novalite.err
    assert appliance.get("/admin/doctor").json["findings"] == []

    assert novalite("adopt", "old", "--undo") == 0, novalite.err
    assert (_server(appliance, machine.id), _volumes(appliance)) == (None, [])
    assert appliance.driver.foreign_guest("old") == before
    assert [Path(disk.path).exists() for disk in machine.disks] == [True, True]
    assert appliance.get("/admin/adoptions").json["adoptions"] == []
    assert not [
        each for each in appliance.get(f"{C}/flavors?is_public=None").json["flavors"] if "adopted" in each["name"]
    ]
    assert appliance.get("/admin/doctor").json["findings"] == []

    assert novalite("adopt", "old") == 0, "once more, with the same id"
    assert _server(appliance, machine.id)["status"] == "SHUTOFF"
    assert novalite("adopt", "old", "--undo") == 0, novalite.err


def test_deleting_keeps_the_disks_unless_it_was_asked(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "kept")
    appliance.driver.somebody_makes(machine)
    assert novalite("adopt", "kept") == 0, novalite.err
    assert novalite("server", "delete", machine.id) == 0, novalite.err
    volumes = _volumes(appliance)
    assert [volume["status"] for volume in volumes] == ["available", "available"]
    for volume in volumes:
        assert appliance.call("DELETE", f"{V}/volumes/{volume['id']}").status_code == 202
    wait_for(lambda: not _volumes(appliance))
    assert [Path(disk.path).exists() for disk in machine.disks] == [True, True]
    assert novalite("adopt", "kept", "--undo") == 0, "also without its server"
    assert "kept" in _there(appliance)

    assert novalite("adopt", "kept") == 0, novalite.err
    assert novalite("adopt", "kept", "--delete-disks") == 0, novalite.err
    assert novalite("server", "delete", machine.id) == 0, novalite.err
    wait_for(lambda: not _volumes(appliance))
    assert [Path(disk.path).exists() for disk in machine.disks] == [False, False]
    assert novalite("adopt", "kept", "--undo") == 0, novalite.err


def test_giving_back_never_takes_the_disks(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "changed-my-mind")
    appliance.driver.somebody_makes(machine)
    assert novalite("adopt", "changed-my-mind") == 0, novalite.err
    assert novalite("adopt", "changed-my-mind", "--delete-disks") == 0, novalite.err
    assert novalite("adopt", "changed-my-mind", "--undo") == 0, novalite.err
    wait_for(lambda: not _volumes(appliance))
    assert [Path(disk.path).exists() for disk in machine.disks] == [True, True]


def test_a_server_that_is_started_meanwhile_is_not_given_back(
    novalite: Any, appliance: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = _machine(tmp_path, "quick")
    appliance.driver.somebody_makes(machine)
    assert novalite("adopt", "quick") == 0, novalite.err

    def start(w: Any, found: Any) -> None:
        servers.change(w, found.server_id, {"task_state": "powering-on"})

    with monkeypatch.context() as patch:
        patch.setattr(adoptions, "_refuse_used", start)
        assert appliance.post(f"/admin/adoptions/{machine.id}/undo", None).status_code == 409
    assert _server(appliance, machine.id)["OS-EXT-STS:task_state"] is None
    assert novalite("adopt", "quick", "--undo") == 0, novalite.err


def test_names_that_several_have_are_refused_with_their_ids(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine, namesake = _machine(tmp_path, "twin"), replace(_machine(tmp_path, "second"), name="twin")
    domain_id = appliance.post("/identity/v3/domains", {"domain": {"name": "elsewhere"}}).json["domain"]["id"]
    wanted = [{"name": "twins"}, {"name": "twins", "domain_id": domain_id}]
    projects = [appliance.post("/identity/v3/projects", {"project": each}).json["project"]["id"] for each in wanted]
    appliance.driver.somebody_makes(machine)
    assert novalite("adopt", "twin", "--project", "twins") == 1
    assert all(project_id in novalite.err for project_id in projects), novalite.err
    assert novalite("adopt", "twin", "--project", projects[0]) == 0, novalite.err
    appliance.driver.somebody_makes(namesake)
    assert novalite("adopt", "twin", "--project", projects[1]) == 0, novalite.err
    for options in (("--undo",), ("--delete-disks",)):
        assert novalite("adopt", "twin", *options) == 1
        assert machine.id in novalite.err, novalite.err
        assert namesake.id in novalite.err, novalite.err
    for each in (machine, namesake):
        assert novalite("adopt", each.id, "--undo") == 0, novalite.err
    assert appliance.get("/admin/adoptions").json["adoptions"] == []


def test_what_is_refused_changes_nothing(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    bad = _machine(tmp_path, "bad", refusals=("it has a device passed through", "the disk vdc is encrypted"))
    appliance.driver.somebody_makes(bad)
    assert novalite("adopt", "bad") == 1
    assert "it has a device passed through; the disk vdc is encrypted" in novalite.err
    assert novalite("adopt", "nothing") == 3
    assert novalite("adopt", "nothing", "--undo") == 3
    good = _machine(tmp_path, "good")
    appliance.driver.somebody_makes(good)
    for wrong, why in (
        (("--network", "nowhere"), "networks nowhere"), (("--project", "nobody"), "There is no project nobody"),
        (("--network", "novalite", "--network", "novalite"), "one network, or one for each"),
    ):  # fmt: skip
        assert novalite("adopt", "good", *wrong) == 1
        assert why in novalite.err
    appliance.driver.somebody_makes(_machine(tmp_path, "huge", vcpus=5000))
    assert novalite("adopt", "huge") == 1
    assert (_volumes(appliance), appliance.get("/admin/adoptions").json["adoptions"]) == ([], [])
    [network] = [each for each in appliance.get(f"{N}/networks").json["networks"] if not each["router:external"]]
    port = {"network_id": network["id"], "mac_address": good.cards[0].mac_address}
    taken = appliance.post(f"{N}/ports", {"port": port})
    assert taken.status_code == 201, taken.text
    assert novalite("adopt", "good") == 1
    assert "in use" in novalite.err
    assert appliance.call("DELETE", f"{N}/ports/{taken.json['port']['id']}").status_code == 204
    assert (_volumes(appliance), _there(appliance).count("good")) == ([], 1)
    assert _server(appliance, good.id) is None


def test_a_machine_that_cannot_be_taken_stays_what_it_is(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "stubborn")
    appliance.driver.somebody_makes(machine)
    appliance.driver.fail_next("take_guest", DriverError("take_guest", "it runs by now", code="guest.state"))
    assert novalite("adopt", "stubborn") == 1
    assert "as it was" in novalite.err
    assert "stubborn" in _there(appliance)
    assert (_volumes(appliance), _server(appliance, machine.id)) == ([], None)
    assert appliance.get("/admin/doctor").json["findings"] == []


def test_its_volumes_are_never_begun_anew(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "precious")
    appliance.driver.somebody_makes(machine)
    content = [Path(disk.path).read_bytes() for disk in machine.disks]
    assert novalite("adopt", "precious") == 0, novalite.err
    volume = next(each for each in _volumes(appliance) if each["name"] == "precious vdb")
    made = appliance.post(f"{V}/snapshots", {"snapshot": {"volume_id": volume["id"], "name": "s", "force": True}})
    assert made.status_code == 202, made.text
    snapshot_id = made.json["snapshot"]["id"]
    wait_for(lambda: appliance.get(f"{V}/snapshots/{snapshot_id}").json["snapshot"]["status"] == "available")
    assert novalite("adopt", "precious", "--undo") == 1
    assert "has snapshots" in novalite.err
    assert appliance.call("DELETE", f"{V}/snapshots/{snapshot_id}").status_code == 202
    wait_for(lambda: appliance.get(f"{V}/snapshots/{snapshot_id}").status_code == 404)
    assert novalite("adopt", "precious", "--undo") == 0, novalite.err
    assert [Path(disk.path).read_bytes() for disk in machine.disks] == content


def test_what_would_replace_its_disks_is_refused_at_once(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "mine")
    appliance.driver.somebody_makes(machine)
    content = [Path(disk.path).read_bytes() for disk in machine.disks]
    assert novalite("adopt", "mine") == 0, novalite.err
    assert novalite("server", "delete", machine.id) == 0, novalite.err
    volume_id = next(each["id"] for each in _volumes(appliance) if each["name"] == "mine vdb")
    made = {}
    for kind, path in (("snapshot", "snapshots"), ("backup", "backups")):
        answer = appliance.post(f"{V}/{path}", {kind: {"volume_id": volume_id}})
        assert answer.status_code == 202, answer.text
        made[f"{V}/{path}/{answer.json[kind]['id']}"] = kind
        wait_for(lambda p=path, k=kind, a=answer: appliance.get(f"{V}/{p}/{a.json[k]['id']}").json[k]["status"]
                 == "available")  # fmt: skip
    snapshot, backup = made
    secret = appliance.post(f"{V}/types", {"volume_type": {"name": "adopted-secret"}}).json["volume_type"]["id"]
    body = {"encryption": {"provider": "luks", "control_location": "front-end"}}
    assert appliance.post(f"{V}/types/{secret}/encryption", body).status_code == 200
    image_id = appliance.image("tiny")
    action = f"{V}/volumes/{volume_id}/action"
    found_host = appliance.get(f"{V}/volumes/{volume_id}").json["volume"]["os-vol-host-attr:host"]
    for path, asked in (
        (action, {"revert": {"snapshot_id": snapshot.rpartition("/")[2]}}),
        (action, {"os-reimage": {"image_id": image_id}}),
        (f"{backup}/restore", {"restore": {"volume_id": volume_id}}),
    ):
        refused = appliance.post(path, asked, headers={"OpenStack-API-Version": "volume 3.68"})
        assert refused.status_code == 400, (asked, refused.text)
        assert "adopted where it lies" in refused.text
    assert appliance.call("DELETE", snapshot).status_code == 202
    wait_for(lambda: appliance.get(snapshot).status_code == 404)
    retype = {"os-retype": {"new_type": secret, "migration_policy": "on-demand"}}
    refused = appliance.post(action, retype)
    assert (refused.status_code, "adopted where it lies" in refused.text) == (400, True), refused.text
    other = appliance.post(f"{V}/volumes", {"volume": {"size": 1}}).json["volume"]["id"]
    wait_for(lambda: appliance.get(f"{V}/volumes/{other}").json["volume"]["status"] == "available")
    refused = appliance.post(f"{V}/volumes/{other}/action", {"os-migrate_volume": {"host": found_host}})
    assert refused.status_code == 400, refused.text
    assert appliance.get(f"{V}/volumes/{volume_id}").json["volume"]["status"] == "available"
    assert [Path(disk.path).read_bytes() for disk in machine.disks] == content
    for path in (backup, f"{V}/volumes/{other}"):
        assert appliance.call("DELETE", path).status_code == 202
    wait_for(lambda: appliance.get(backup).status_code == 404)
    assert novalite("adopt", "mine", "--undo") == 0, novalite.err
    assert appliance.call("DELETE", f"{V}/types/{secret}").status_code == 202


def _gone(appliance: Any, *names: str) -> None:
    for volume in _volumes(appliance):
        if volume["name"] in names:
            assert appliance.call("DELETE", f"{V}/volumes/{volume['id']}").status_code == 202
    wait_for(lambda: not {each["name"] for each in _volumes(appliance)} & set(names))


def test_a_volume_that_is_given_up_stays_as_it_was(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "free")
    appliance.driver.somebody_makes(machine)
    data = Path(machine.disks[0].path)
    data.chmod(0o640)
    assert novalite("adopt", "free") == 0, novalite.err
    assert novalite("adopt", "free", "--delete-disks") == 0, novalite.err
    assert novalite("adopt", "free", "--keep-disks") == 0, novalite.err
    assert novalite("server", "delete", machine.id) == 0, novalite.err
    volume = next(each for each in _volumes(appliance) if each["name"] == "free vdb")
    assert appliance.post(f"{V}/volumes/{volume['id']}/action", {"os-unmanage": {}}).status_code == 202
    wait_for(lambda: appliance.get(f"{V}/volumes/{volume['id']}").status_code == 404)
    assert (data.stat().st_mode & 0o777, data.read_bytes()) == (0o640, b"data" * 1024)
    assert volume["id"] not in appliance.built.parts.volumes.found.volume_ids()
    assert not list((appliance.built.settings.state_path / "found-volumes").rglob(f"*{volume['id']}*"))
    _gone(appliance, "free vda")
    assert novalite("adopt", "free", "--undo") == 0, novalite.err


def test_what_has_moved_away_is_not_given_back(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    machine = _machine(tmp_path, "moved")
    appliance.driver.somebody_makes(machine)
    assert novalite("adopt", "moved") == 0, novalite.err
    volume = next(each for each in _volumes(appliance) if each["name"] == "moved vdb")
    with appliance.built.database.write(internal()) as w:
        volume_records.change(w, volume["id"], {"backend": "elsewhere"})
    assert novalite("adopt", "moved", "--undo") == 1
    assert "has moved to backend elsewhere" in novalite.err
    with appliance.built.database.write(internal()) as w:
        volume_records.change(w, volume["id"], {"backend": "found"})
    assert novalite("adopt", "moved", "--undo") == 0, novalite.err


def test_the_disk_of_a_volume_is_not_taken_over_by_another_name(novalite: Any, appliance: Any, tmp_path: Path) -> None:
    made = appliance.post(f"{V}/volumes", {"volume": {"size": 1, "name": "ours"}}).json["volume"]["id"]
    wait_for(lambda: appliance.get(f"{V}/volumes/{made}").json["volume"]["status"] == "available")
    with appliance.built.database.read(internal()) as w:
        path = volume_records.get_many(w, [made])[made].location["path"]
    link = tmp_path / "innocent.qcow2"
    link.symlink_to(path)
    disk = ForeignDisk(str(link), "qcow2", "vda", "virtio", 1 << 30, boot_order=1)
    appliance.driver.somebody_makes(_machine(tmp_path, "thief", disks=(disk,)))
    assert novalite("adopt", "thief") == 1
    assert f"is volume {made} already" in novalite.err
    _gone(appliance, "ours")


def test_only_for_operators(appliance: Any) -> None:
    member = appliance.member("curious")
    assert appliance.get("/admin/foreign-guests", token=member).status_code == 403
    assert appliance.post("/admin/adoptions", {"adoption": {"domain": "x"}}, token=member).status_code == 403


@pytest.mark.parametrize("body", [{}, {"domain": ""}, {"domain": 5}, {"domain": "x", "networks": "y"}])
def test_requests_that_make_no_sense(appliance: Any, body: Any) -> None:
    assert appliance.post("/admin/adoptions", {"adoption": body}).status_code == 400
