"""Encrypted volumes: what types say of it, the keys, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.volume import keys, recrypting
from novalite.cloud.volume.records import Volume
from novalite.context import internal
from novalite.drivers.storage.base import OfSnapshot, OfVolume, VolumeKey
from novalite.engine import workers
from novalite.errors import DriverError
from tests import postgresql
from tests.api.conftest import wait_for
from tests.api.volume.conftest import LUKS, UNKNOWN, Cinder
from tests.api.volume.test_backups import backup
from tests.api.volume.test_in_use import Server


def passphrase(cinder: Cinder, volume_id: str) -> str:
    built = cinder.appliance.built
    with built.database.read(internal()) as w:
        row = w.session.get(Volume, volume_id)
    assert row is not None
    assert row.encryption_key_id is not None
    return keys.opened(built.settings.state_path, row.encryption_key_id, row.sealed_key)


def of(cinder: Cinder, volume_id: str) -> OfVolume:
    return OfVolume(volume_id, VolumeKey(passphrase(cinder, volume_id)))


def is_open_to(cinder: Cinder, source: OfVolume) -> bool:
    """The simulated backend looks at the key."""
    try:
        cinder.driver.stream(source)
    except DriverError:
        return False
    return True


def test_what_is_said_of_a_type(admin: Cinder, kind: str) -> None:
    path = f"/types/{kind}/encryption"
    assert admin.get(path) == {}
    assert admin.refused("GET", f"{path}/provider")[0] == 404
    assert admin.refused("PUT", f"{path}/provider", {"encryption": {"provider": "luks"}})[0] == 404
    assert admin.refused("DELETE", f"{path}/provider")[0] == 404
    made = admin.ask(path, {"encryption": {**LUKS, "key_size": "128"}}, 200)["encryption"]
    assert made == {**LUKS, "key_size": 128, "volume_type_id": kind, "encryption_id": made["encryption_id"]}
    shown = admin.get(path)
    assert {name: shown[name] for name in made} == made
    assert (shown["deleted"], shown["updated_at"]) == (False, None)
    assert admin.get(f"{path}/cipher") == {"cipher": "aes-xts-plain64"}
    assert admin.get(f"{path}/key_size") == {"key_size": 128}
    assert admin.refused("GET", f"{path}/password")[0] == 404
    status, message = admin.refused("POST", path, {"encryption": LUKS})
    assert (status, "already exists" in message) == (400, True)
    answer = admin.call("PUT", f"{path}/{made['encryption_id']}", {"encryption": {"key_size": None, "cipher": None}})
    assert (answer.status_code, answer.json) == (200, {"encryption": {"key_size": None, "cipher": None}})
    assert (admin.get(path)["key_size"], admin.get(path)["provider"]) == (None, "luks")
    assert admin.call("DELETE", f"{path}/{made['encryption_id']}").status_code == 202
    assert admin.get(path) == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"provider": "luks2"}, "luks2"),
        ({"provider": "plain"}, "plain"),
        ({"provider": "nova.volume.encryptors.cryptsetup.CryptsetupEncryptor"}, "plain"),
        ({"provider": "rot13"}, "rot13"),
        ({"provider": ""}, "provider"),
        ({"provider": None}, "provider"),
        ({"provider": "x" * 300}, "provider"),
        ({"control_location": "back-end"}, "back-end"),
        ({"control_location": "the moon"}, "control_location"),
        ({"cipher": "aes-ecb"}, "aes-ecb"),
        ({"cipher": "aes-xts-plain64,x=y"}, "cipher"),
        ({"cipher": ["aes"]}, "cipher"),
        ({"key_size": 512}, "512"),
        ({"key_size": -1}, "key_size"),
        ({"key_size": 2**40}, "key_size"),
        ({"key_size": "many"}, "key_size"),
        ({"key_size": True}, "key_size"),
        ({"key": "secret"}, "key"),
    ],
)
def test_what_is_not_offered_is_told(admin: Cinder, kind: str, wrong: dict[str, Any], field: str) -> None:
    status, message = admin.refused("POST", f"/types/{kind}/encryption", {"encryption": {**LUKS, **wrong}})
    assert (status, field in message) == (400, True), message
    assert admin.get(f"/types/{kind}/encryption") == {}


def test_names_of_old_are_known(admin: Cinder, kind: str) -> None:
    path = f"/types/{kind}/encryption"
    for provider in ("LuksEncryptor", "nova.volume.encryptors.luks.LuksEncryptor"):
        admin.ask(path, {"encryption": {"provider": provider, "control_location": "front-end"}}, 200)
        assert admin.get(path)["provider"] == provider
        assert admin.call("DELETE", f"{path}/provider").status_code == 202


def test_a_type_that_says_what_is_not_offered_takes_no_volumes(admin: Cinder, member: Cinder, luks: str) -> None:
    """Cinder lets anything be written down, and so do changes here."""
    for change in ({"provider": "Some"}, {"provider": "luks", "control_location": "back-end"}):
        assert admin.call("PUT", f"/types/{luks}/encryption/x", {"encryption": change}).status_code == 200
        status, message = member.refused("POST", "/volumes", {"volume": {"size": 1, "volume_type": luks}})
        assert (status, "encrypted cannot be used" in message) == (400, True)


def test_who_may(member: Cinder, reader: Cinder, admin: Cinder, luks: str) -> None:
    for cinder in (member, reader):
        assert cinder.refused("GET", f"/types/{luks}/encryption")[0] == 403
        assert cinder.refused("POST", f"/types/{luks}/encryption", {"encryption": LUKS})[0] == 403
    for method in ("GET", "DELETE"):
        assert admin.refused(method, f"/types/{UNKNOWN}/encryption{'/x' if method == 'DELETE' else ''}")[0] == 404
    assert admin.refused("POST", f"/types/{UNKNOWN}/encryption", {"encryption": LUKS})[0] == 404
    assert admin.refused("GET", f"/volumes/{UNKNOWN}/encryption")[0] == 404


def test_a_type_in_use_stays_as_it_is(admin: Cinder, member: Cinder, luks: str) -> None:
    plain = admin.ask("/types", {"volume_type": {"name": "plain"}}, 200)["volume_type"]["id"]
    used = [member.volume(volume_type=name)["id"] for name in (luks, "plain")]
    refused = [
        admin.refused("PUT", f"/types/{luks}/encryption/x", {"encryption": {"key_size": 128}}),
        admin.refused("DELETE", f"/types/{luks}/encryption/x"),
        admin.refused("POST", f"/types/{plain}/encryption", {"encryption": LUKS}),
    ]
    assert [(status, "Volume type in use" in message) for status, message in refused] == [(400, True)] * 3
    for volume_id in used:
        member.delete("volumes", volume_id)
    assert admin.call("DELETE", f"/types/{plain}").status_code == 202


def test_an_encrypted_volume_has_a_key_of_its_own_that_nobody_is_told(
    admin: Cinder, member: Cinder, other: Cinder, luks: str
) -> None:
    first, second, plain = member.volume(volume_type=luks), member.volume(volume_type=luks), member.volume()
    assert (first["encrypted"], plain["encrypted"]) == (True, False)
    assert first["encryption_key_id"] != second["encryption_key_id"]
    assert "encryption_key_id" not in plain
    assert "encryption_key_id" not in member.get(f"/volumes/{first['id']}", "3.63")["volume"]
    told = member.get(f"/volumes/{first['id']}/encryption")
    assert told == {**LUKS, "encryption_key_id": first["encryption_key_id"]}
    assert member.get(f"/volumes/{first['id']}/encryption/cipher") == LUKS["cipher"]
    assert member.get(f"/volumes/{first['id']}/encryption/key_size") == 256
    assert member.get(f"/volumes/{first['id']}/encryption/sealed_key") is None
    assert member.get(f"/volumes/{plain['id']}/encryption") == {"encryption_key_id": None}
    assert other.refused("GET", f"/volumes/{first['id']}/encryption")[0] == 404
    secrets = [passphrase(member, one["id"]) for one in (first, second)]
    assert len(set(secrets)) == 2
    for one, secret in zip((first, second), secrets, strict=True):
        assert is_open_to(member, of(member, one["id"]))
        assert secret not in json.dumps(admin.get(f"/volumes/{one['id']}"))
    assert not is_open_to(member, OfVolume(first["id"], VolumeKey(secrets[1])))
    assert not is_open_to(member, OfVolume(first["id"]))
    nowhere(member, secrets)
    for one in (first, second, plain):
        member.delete("volumes", one["id"])


def nowhere(cinder: Cinder, secrets: list[str]) -> None:
    """No file of the appliance holds a key as it is."""
    files = [path for path in cinder.appliance.built.settings.state_path.rglob("*") if path.is_file()]
    assert postgresql.SERVER or any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        assert all(secret.encode() not in content for secret in secrets), path


def test_the_guest_is_given_the_key_and_the_hosts_files_are_not(member: Cinder, luks: str) -> None:
    server, volume_id = Server(member), member.volume(volume_type=luks)["id"]
    server.attach(volume_id)
    spec = member.appliance.driver._guests[server.id].spec
    assert spec is not None
    disk = next(disk for disk in spec.disks if disk.serial == volume_id[:20])
    secret = passphrase(member, volume_id)
    assert disk.key is not None
    assert disk.key.passphrase == secret
    assert disk.key.id == member.get(f"/volumes/{volume_id}")["volume"]["encryption_key_id"]
    assert secret not in repr(spec)
    nowhere(member, [secret])
    # What is in use is copied and grows with its key.
    snapshot, copy = member.snapshot(volume_id, force=True), member.volume(source_volid=volume_id)
    assert is_open_to(member, of(member, copy["id"]))
    member.act(volume_id, "os-extend", {"new_size": 2})
    assert member.until("volumes", volume_id, "in-use")["size"] == 2
    made = member.ask("/backups", {"backup": {"volume_id": volume_id, "force": True}})["backup"]
    member.until("backups", made["id"], "available")
    member.delete("backups", made["id"])
    # Its memory is saved and brought back.
    for action, status in (("suspend", "SUSPENDED"), ("resume", "ACTIVE")):
        assert server.ask("POST", f"/servers/{server.id}/action", {action: None}).status_code == 202
        _until(lambda status=status: server.ask("GET", f"/servers/{server.id}").json["server"]["status"] == status)
    server.detach(volume_id)
    member.delete("snapshots", snapshot["id"])
    for one in (volume_id, copy["id"]):
        member.delete("volumes", one)


def _until(what: Callable[[], bool]) -> None:
    wait_for(what)


def test_copies_are_encrypted_with_keys_of_their_own(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks, imageRef=member.appliance.image())["id"]
    snapshot = member.snapshot(volume_id)
    made = [member.volume(snapshot_id=snapshot["id"]), member.volume(source_volid=volume_id)]
    assert all(one["encrypted"] and one["volume_type"] == "encrypted" for one in made)
    assert len({passphrase(member, one) for one in (volume_id, *(copy["id"] for copy in made))}) == 3
    assert all(is_open_to(member, of(member, one["id"])) for one in made)
    plain = member.volume(source_volid=volume_id, volume_type="__DEFAULT__")
    back = member.volume(source_volid=plain["id"], volume_type=luks)
    assert (plain["encrypted"], back["encrypted"]) == (False, True)
    assert is_open_to(member, OfVolume(plain["id"]))
    assert is_open_to(member, of(member, back["id"]))
    before = passphrase(member, volume_id)
    member.act(volume_id, "revert", {"snapshot_id": snapshot["id"]}, version="3.40")
    member.until("volumes", volume_id, "available")
    member.act(volume_id, "os-reimage", {"image_id": member.appliance.image("other")}, version="3.68")
    member.until("volumes", volume_id, "available")
    member.act(volume_id, "os-extend", {"new_size": 2})
    member.until("volumes", volume_id, "available")
    assert passphrase(member, volume_id) == before
    assert is_open_to(member, of(member, volume_id))
    member.delete("snapshots", snapshot["id"])
    for one in (volume_id, plain["id"], back["id"], *(copy["id"] for copy in made)):
        member.delete("volumes", one)


def test_what_would_lay_it_down_in_plain_is_refused(admin: Cinder, member: Cinder, luks: str) -> None:
    encrypted, plain = member.volume(volume_type=luks)["id"], member.volume()["id"]
    for volume_id, wanted in ((encrypted, "__DEFAULT__"), (plain, luks)):
        body = {"os-retype": {"new_type": wanted, "migration_policy": "never"}}
        assert member.refused("POST", f"/volumes/{volume_id}/action", body)[0] == 400
    for volume_id in (encrypted, plain):
        assert member.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
        member.delete("volumes", volume_id)


class Once(dict[str, Exception]):
    """Faults that happen one time."""

    def __getitem__(self, method: str) -> Exception:
        return self.pop(method)


def test_a_retype_writes_the_data_anew(admin: Cinder, member: Cinder, luks: str) -> None:
    volume_id = member.volume()["id"]
    snapshot = member.snapshot(volume_id)

    def ask(wanted: str, status: int = 202) -> None:
        body = {"new_type": wanted, "migration_policy": "on-demand"}
        member.act(volume_id, "os-retype", body, status)
        member.until("volumes", volume_id, "available")

    ask(luks, 400)  # snapshots have the key of their volume
    member.delete("snapshots", snapshot["id"])
    ask(luks)
    now = member.get(f"/volumes/{volume_id}")["volume"]
    assert (now["encrypted"], now["volume_type"]) == (True, "encrypted")
    assert is_open_to(member, of(member, volume_id))
    assert not is_open_to(member, OfVolume(volume_id))
    weaker = admin.ask("/types", {"volume_type": {"name": "weaker"}}, 200)["volume_type"]["id"]
    admin.ask(f"/types/{weaker}/encryption", {"encryption": {**LUKS, "key_size": 128}}, 200)
    before = passphrase(member, volume_id)
    ask(weaker)
    assert member.get(f"/volumes/{volume_id}/encryption")["key_size"] == 128
    assert passphrase(member, volume_id) != before
    assert is_open_to(member, of(member, volume_id))
    for method in ("ensure_snapshot", "ensure_volume"):
        member.driver.faults = Once({method: DriverError(method, "no luck", code="driver.failed")})
        ask("__DEFAULT__")
        assert member.driver.faults == {}
    assert member.get(f"/volumes/{volume_id}")["volume"]["volume_type"] == "weaker"
    assert is_open_to(member, of(member, volume_id))
    texts = [one["user_message"] for one in member.get(f"/messages?resource_uuid={volume_id}")["messages"]]
    assert any("no luck" in text for text in texts), texts
    ask("__DEFAULT__")
    assert member.get(f"/volumes/{volume_id}")["volume"]["encrypted"] is False
    assert is_open_to(member, OfVolume(volume_id))
    _settled(member)
    member.delete("volumes", volume_id)
    assert admin.call("DELETE", f"/types/{weaker}").status_code == 202


class Later(dict[str, Exception]):
    """Faults from the second time on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._met: set[object] = set()

    def __contains__(self, method: object) -> bool:
        met, known = method in self._met, super().__contains__(method)
        self._met |= {method}
        return met and known


@pytest.mark.parametrize("faults", [Later, dict])
def test_what_cannot_be_written_back_is_kept(
    member: Cinder, luks: str, monkeypatch: pytest.MonkeyPatch, faults: type[dict[str, Exception]]
) -> None:
    """Whether the new data were whole already, or only begun."""
    volume_id = member.volume()["id"]

    def broken(*_: Any, **__: Any) -> None:
        raise DriverError("record", "no luck", code="driver.failed")

    monkeypatch.setattr(recrypting, "done", broken)
    monkeypatch.setattr(workers, "_seconds_before_retry", lambda attempts: 0.0)
    member.driver.faults = faults({"ensure_volume": DriverError("ensure_volume", "full", code="driver.failed")})
    member.act(volume_id, "os-retype", {"new_type": luks, "migration_policy": "on-demand"}, 202)
    member.until("volumes", volume_id, "error")
    member.driver.faults = {}
    (kept,) = member.driver.snapshot_ids()
    member.driver.stream(OfSnapshot(kept))
    (told,) = member.get(f"/messages?resource_uuid={volume_id}")["messages"]
    assert kept in told["user_message"]
    member.driver.delete_snapshot(kept)
    member.delete("volumes", volume_id)


def _settled(member: Cinder) -> None:
    """What was set aside is gone."""
    _until(lambda: member.driver.snapshot_ids() == ())


def test_a_backup_is_kept_encrypted_and_outlives_its_volume(admin: Cinder, member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    key_id = member.get(f"/volumes/{volume_id}")["volume"]["encryption_key_id"]
    made = backup(member, volume_id)
    assert made["encryption_key_id"] == key_id
    again = backup(member, volume_id, incremental=True)
    snapshot = member.snapshot(volume_id)
    of_it = backup(member, volume_id, snapshot_id=snapshot["id"])
    plain = member.volume()["id"]
    assert backup(member, plain)["encryption_key_id"] is None
    status, message = member.refused("POST", f"/backups/{made['id']}/restore", {"restore": {"volume_id": plain}})
    assert (status, "not encrypted" in message) == (400, True)
    member.delete("snapshots", snapshot["id"])
    member.delete("volumes", volume_id)
    record = admin.call("GET", f"/backups/{made['id']}/export_record").json["backup-record"]
    told = [member.ask(f"/backups/{one['id']}/restore", {"restore": {}})["restore"] for one in (made, again, of_it)]
    restored = [member.until("volumes", one["volume_id"], "available") for one in told]
    assert all(one["encrypted"] and is_open_to(member, of(member, one["id"])) for one in restored)
    assert len({one["encryption_key_id"] for one in (*restored, {"encryption_key_id": key_id})}) == 4
    for one in (made, again, of_it):
        member.until("backups", one["id"], "available")
        member.delete("backups", one["id"])
    assert record["backup_service"]
    for one in (*(volume["id"] for volume in restored), plain):
        member.delete("volumes", one)
    for one in member.get("/backups")["backups"]:
        member.delete("backups", one["id"])


def test_an_encrypted_backup_wants_a_type_that_encrypts(admin: Cinder, member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    made = backup(member, volume_id)
    member.delete("volumes", volume_id)
    assert admin.call("DELETE", f"/types/{luks}").status_code == 202
    for path, body in ((f"/backups/{made['id']}/restore", {"restore": {}}),
                       ("/volumes", {"volume": {"size": 1, "backup_id": made["id"]}})):  # fmt: skip
        status, message = member.refused("POST", path, body)
        assert (status, "name the type" in message) == (400, True)
    assert member.get(f"/backups/{made['id']}")["backup"]["status"] == "available"
    plain = member.volume(backup_id=made["id"], volume_type="__DEFAULT__")
    assert (plain["encrypted"], is_open_to(member, OfVolume(plain["id"]))) == (False, True)
    member.delete("volumes", plain["id"])
    member.delete("backups", made["id"])


def test_it_is_given_to_another_project_as_a_whole(member: Cinder, other: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    snapshot = member.snapshot(volume_id)
    offer = {"transfer": {"volume_id": volume_id}}
    assert member.refused("POST", "/volume-transfers", offer, "3.69")[0] == 400
    without = {"transfer": {"volume_id": volume_id, "no_snapshots": True}}
    assert member.refused("POST", "/volume-transfers", without)[0] == 400
    made = member.ask("/volume-transfers", offer)["transfer"]
    other.ask(f"/volume-transfers/{made['id']}/accept", {"accept": {"auth_key": made["auth_key"]}})
    other.until("volumes", volume_id, "available")
    copy = other.volume(snapshot_id=snapshot["id"])
    assert is_open_to(other, of(other, copy["id"]))
    other.delete("snapshots", snapshot["id"])
    for one in (volume_id, copy["id"]):
        other.delete("volumes", one)


def test_a_key_that_cannot_be_opened_is_told(member: Cinder, luks: str) -> None:
    first, second = member.volume(volume_type=luks)["id"], member.volume(volume_type=luks)["id"]
    database = member.appliance.built.database
    with database.write(internal()) as w:
        theirs = w.session.scalar(sa.select(Volume.sealed_key).where(Volume.id == second))
        for volume_id, sealed in ((first, theirs), (second, "not sealed by us")):
            w.changed(sa.update(Volume).where(Volume.id == volume_id).values(sealed_key=sealed))
    for volume_id in (first, second):
        made = member.ask("/volumes", {"volume": {"size": 1, "source_volid": volume_id}})["volume"]
        member.until("volumes", made["id"], "error")
        texts = [one["user_message"] for one in member.get(f"/messages?resource_uuid={made['id']}")["messages"]]
        assert any("cannot be opened" in text for text in texts), texts
        for one in (made["id"], volume_id):
            member.delete("volumes", one)


def test_nothing_is_taken_over_for_an_encrypted_type(admin: Cinder, luks: str) -> None:
    (pool,) = admin.get("/scheduler-stats/get_pools")["pools"]
    body = {"volume": {"host": pool["name"], "ref": {"source-name": "x"}, "volume_type": luks}}
    status, message = admin.refused("POST", "/manageable_volumes", body)
    assert (status, "encrypted volume type" in message) == (400, True)
    volume_id = admin.volume(volume_type=luks)["id"]
    snapshot = {"snapshot": {"volume_id": volume_id, "ref": {"source-name": "x"}}}
    assert admin.refused("POST", "/manageable_snapshots", snapshot)[0] == 400
    assert admin.refused("POST", f"/volumes/{volume_id}/action", {"os-unmanage": {}})[0] == 400
    admin.delete("volumes", volume_id)
