"""Images of encrypted volumes: they stay encrypted, with a key of their own that nobody gets by naming it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.image.records import ImageKey
from novalite.cloud.volume import keys
from novalite.context import internal
from novalite.errors import DriverError
from tests.api.compute.conftest import C
from tests.api.volume.conftest import Cinder
from tests.api.volume.test_encryption import is_open_to, nowhere, of, passphrase
from tests.api.volume.test_in_use import Server

KEY_ID, POLICY = "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy"
OTHERS = "87654321-1234-1234-1234-123456789abc"


def uploaded(member: Cinder, volume_id: str, status: str = "available", **fields: Any) -> dict[str, Any]:
    told = member.act(volume_id, "os-volume_upload_image", {"image_name": "up", **fields})["os-volume_upload_image"]
    assert told["visibility"] == "private"
    member.until("volumes", volume_id, status)
    return shown(member, told["image_id"])


def shown(member: Cinder, image_id: str) -> dict[str, Any]:
    answer = member.appliance.get(f"/image/v2/images/{image_id}", token=member.token)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def image_call(member: Cinder, method: str, path: str, body: Any = None, **more: Any) -> Any:
    given = {} if body is None else {"json": body}
    return member.appliance.call(method, f"/image/v2{path}", token=member.token, **given, **more)


def patch(member: Cinder, image_id: str, op: str, name: str, value: Any = None) -> int:
    change = {"op": op, "path": f"/{name}", **({} if op == "remove" else {"value": value})}
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    return int(image_call(member, "PATCH", f"/images/{image_id}", [change], headers=headers).status_code)


def forget(member: Cinder, image_id: str) -> None:
    assert image_call(member, "DELETE", f"/images/{image_id}").status_code == 204
    assert kept(member, image_id) is None


def kept(member: Cinder, image_id: str) -> ImageKey | None:
    with member.appliance.built.database.read(internal()) as w:
        return w.session.get(ImageKey, image_id)


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_it_outlives_its_volume_and_becomes_one_again(member: Cinder, luks: str, disk_format: str) -> None:
    volume = member.volume(volume_type=luks)
    secret = passphrase(member, volume["id"])
    image = uploaded(member, volume["id"], disk_format=disk_format)
    assert (image["status"], image["disk_format"], image["visibility"]) == ("active", disk_format, "private")
    assert image[POLICY] == "on_image_deletion"
    assert image["virtual_size"] == 1 << 20
    key = kept(member, image["id"])
    assert key is not None
    assert key.key_id == image[KEY_ID] != volume["encryption_key_id"]
    member.delete("volumes", volume["id"])
    state_path = member.appliance.built.settings.state_path
    assert keys.opened(state_path, key.key_id, key.sealed_key) == secret
    nowhere(member, [secret])
    made = [member.volume(imageRef=image["id"], volume_type=luks), member.volume(imageRef=image["id"], size=2)]
    for one in made:
        assert (one["encrypted"], one["volume_type"], one["bootable"]) == (True, "encrypted", "true")
        assert KEY_ID not in one["volume_image_metadata"]
        assert is_open_to(member, of(member, one["id"]))
    assert len({secret, *(passphrase(member, one["id"]) for one in made)}) == 3
    forget(member, image["id"])
    for one in made:
        member.delete("volumes", one["id"])


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_that_of_one_in_use(member: Cinder, luks: str, disk_format: str) -> None:
    server, volume_id = Server(member), member.volume(volume_type=luks)["id"]
    server.attach(volume_id)
    image = uploaded(member, volume_id, "in-use", disk_format=disk_format, force=True)
    assert member.driver.snapshot_ids() == ()
    copy = member.volume(imageRef=image["id"])
    assert is_open_to(member, of(member, copy["id"]))
    server.detach(volume_id)
    for one in (volume_id, copy["id"]):
        member.delete("volumes", one)
    forget(member, image["id"])


def test_what_it_does_not_become(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    image_id = uploaded(member, volume_id)["id"]
    plain, locked = member.volume()["id"], member.volume(volume_type=luks)["id"]
    body = {"volume": {"size": 1, "imageRef": image_id, "volume_type": "__DEFAULT__"}}
    status, message = member.refused("POST", "/volumes", body)
    assert (status, "a type that encrypts" in message) == (400, True)
    reimage = {"os-reimage": {"image_id": image_id}}
    assert member.refused("POST", f"/volumes/{plain}/action", reimage)[0] == 400
    member.act(locked, "os-reimage", {"image_id": image_id})
    member.until("volumes", locked, "available")
    assert is_open_to(member, of(member, locked))

    def boot(status: int, *devices: dict[str, Any], **fields: Any) -> str:
        server = {"name": "x", "flavorRef": "1", "networks": "auto", **fields}
        if devices:
            server["block_device_mapping_v2"] = list(devices)
        more = {"json": {"server": server}}
        answer = member.appliance.call("POST", C + "/servers", token=member.token, version="2.67", **more)
        assert answer.status_code == status, answer.text
        return str(answer.json["badRequest"]["message"])

    assert "from an encrypted volume is unsupported" in boot(400, imageRef=image_id)
    device = {"boot_index": 0, "source_type": "image", "uuid": image_id, "destination_type": "volume", "volume_size": 1}
    assert "a type that encrypts" in boot(400, {**device, "volume_type": "__DEFAULT__"})
    for one in (volume_id, plain, locked):
        member.delete("volumes", one)
    forget(member, image_id)


def test_a_server_boots_from_a_volume_of_it(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks, imageRef=member.appliance.image())["id"]
    image_id = uploaded(member, volume_id)["id"]
    device = {"boot_index": 0, "source_type": "image", "uuid": image_id, "destination_type": "volume",
              "volume_size": 1, "delete_on_termination": True}  # fmt: skip
    server = Server(member, block_device_mapping_v2=[device])
    (there,) = server.ask("GET", f"/servers/{server.id}/os-volume_attachments").json["volumeAttachments"]
    booted = member.get(f"/volumes/{there['volumeId']}")["volume"]
    assert (booted["encrypted"], booted["volume_type"]) == (True, "encrypted")
    plain = {"imageRef": image_id}
    other = Server(member)
    for action in ({"rebuild": plain}, {"rescue": {"rescue_image_ref": image_id}}):
        assert other.ask("POST", f"/servers/{other.id}/action", action).status_code == 400
    for one in (server, other):
        assert one.ask("DELETE", f"/servers/{one.id}").status_code == 204
    member.gone("volumes", booted["id"])
    member.delete("volumes", volume_id)
    forget(member, image_id)


def test_it_stays_private(member: Cinder, admin: Cinder, other: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    for cinder, visibility in ((member, "shared"), (member, "community"), (admin, "public")):
        body = {"os-volume_upload_image": {"image_name": "x", "visibility": visibility}}
        status, message = cinder.refused("POST", f"/volumes/{volume_id}/action", body)
        assert (status, "is encrypted" in message) == (400, True)
    image_id = uploaded(member, volume_id, visibility="private")["id"]
    for cinder, visibility in ((member, "shared"), (member, "community"), (admin, "public"), (admin, "shared")):
        assert patch(cinder, image_id, "replace", "visibility", visibility) == 403
    assert image_call(member, "POST", f"/images/{image_id}/members", {"member": "bob"}).status_code == 403
    assert image_call(other, "GET", f"/images/{image_id}").status_code == 404
    assert (
        other.refused("POST", "/volumes", {"volume": {"size": 1, "imageRef": image_id, "volume_type": luks}})[0] == 400
    )
    assert patch(member, image_id, "replace", "name", "another") == 200
    member.delete("volumes", volume_id)
    forget(member, image_id)


def test_nobody_gets_a_key_by_naming_it(member: Cinder, other: Cinder, admin: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    image = uploaded(member, volume_id)
    named = {KEY_ID: image[KEY_ID], POLICY: "on_image_deletion"}
    new = {"name": "thief", "disk_format": "raw", "container_format": "bare"}
    for cinder in (member, other, admin):
        for name, value in named.items():
            assert image_call(cinder, "POST", "/images", {**new, name: value}).status_code == 403
        mine = image_call(cinder, "POST", "/images", new).json["id"]
        for name, value in named.items():
            assert patch(cinder, mine, "add", name, value) == 403
        document = {"type": "import", "input": {
            "import_from": "https://example.org/x", "import_from_format": "raw", "image_properties": {**new, **named},
        }}  # fmt: skip
        assert image_call(cinder, "POST", "/tasks", document).status_code == 403
        assert image_call(cinder, "DELETE", f"/images/{mine}").status_code == 204
    for cinder in (member, admin):
        for operation in (
            ("replace", KEY_ID, OTHERS),
            ("remove", KEY_ID),
            ("remove", POLICY),
            ("replace", POLICY, "x"),
        ):
            assert patch(cinder, image["id"], *operation) == 403
    through_compute = member.appliance.call(
        "PUT", f"{C}/images/{image['id']}/metadata", token=member.token, version="2.1", json={"metadata": {"a": "b"}}
    )  # fmt: skip
    assert through_compute.status_code == 403
    assert shown(member, image["id"]) == image
    member.delete("volumes", volume_id)
    forget(member, image["id"])


def test_what_a_volume_tells_of_keys_is_not_carried_on(other: Cinder, luks: str) -> None:
    """Its owner may say anything of the image it was made of."""
    for type_name, told in ((luks, None), ("__DEFAULT__", ABSENT)):
        volume_id = other.volume(volume_type=type_name)["id"]
        other.act(volume_id, "os-set_image_metadata", {"metadata": {KEY_ID: OTHERS, POLICY: "x"}}, 200)
        made = other.act(volume_id, "os-volume_upload_image", {"image_name": "x"})["os-volume_upload_image"]["image_id"]
        other.until("volumes", volume_id, "available")
        image = shown(other, made)
        assert image.get(KEY_ID, ABSENT) != OTHERS
        assert (KEY_ID in image) == (told is not ABSENT)
        other.delete("volumes", volume_id)
        forget(other, made)


ABSENT = object()


def test_images_of_servers_carry_no_key(member: Cinder) -> None:
    server = Server(member)
    body = {"createImage": {"name": "x", "metadata": {KEY_ID: OTHERS}}}
    assert server.ask("POST", f"/servers/{server.id}/action", body).status_code == 403
    assert server.ask("DELETE", f"/servers/{server.id}").status_code == 204


def test_a_copy_that_fails_leaves_no_image_and_no_key(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    member.driver.faults["read"] = DriverError("read", "no luck", code="driver.failed")
    try:
        told = member.act(volume_id, "os-volume_upload_image", {"image_name": "x"})["os-volume_upload_image"]
        member.until("volumes", volume_id, "available")
    finally:
        member.driver.faults.clear()
    assert image_call(member, "GET", f"/images/{told['image_id']}").status_code == 404
    with member.appliance.built.database.read(internal()) as w:
        assert w.session.scalar(sa.select(sa.func.count()).select_from(ImageKey)) == 0
    member.delete("volumes", volume_id)


def test_a_key_that_is_another_images_opens_nothing(member: Cinder, luks: str) -> None:
    volume_id = member.volume(volume_type=luks)["id"]
    first, second = uploaded(member, volume_id)["id"], uploaded(member, volume_id)["id"]
    theirs = kept(member, second)
    assert theirs is not None
    with member.appliance.built.database.write(internal()) as w:
        w.changed(sa.update(ImageKey).where(ImageKey.image_id == first).values(sealed_key=theirs.sealed_key))
    made = member.ask("/volumes", {"volume": {"size": 1, "imageRef": first, "volume_type": luks}})["volume"]
    member.until("volumes", made["id"], "error")
    texts = [one["user_message"] for one in member.get(f"/messages?resource_uuid={made['id']}")["messages"]]
    assert any("cannot be opened" in text for text in texts), texts
    for one in (made["id"], volume_id):
        member.delete("volumes", one)
    for one in (first, second):
        forget(member, one)


def test_an_image_names_the_type_of_its_volumes(member: Cinder, luks: str) -> None:
    image_id = member.appliance.image("typed")
    with member.appliance.built.database.write(internal()) as w:
        w.changed(sa.text("UPDATE images SET properties = :told WHERE id = :id").bindparams(
            told='{"cinder_img_volume_type": "encrypted"}', id=image_id))  # fmt: skip
    made = [member.volume(imageRef=image_id), member.volume(imageRef=image_id, volume_type="__DEFAULT__")]
    assert [one["encrypted"] for one in made] == [True, False]
    for one in made:
        member.delete("volumes", one["id"])
