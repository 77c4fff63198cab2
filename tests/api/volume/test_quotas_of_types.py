"""What each type of volume may be had of."""

from __future__ import annotations

from tests.api.volume.conftest import Cinder


def test_a_type_has_limits_of_its_own(admin: Cinder, member: Cinder) -> None:
    kind = admin.ask("/types", {"volume_type": {"name": "gold"}}, 200)["volume_type"]
    first = member.volume(volume_type="gold", size=2)
    path = f"/os-quota-sets/{first['os-vol-tenant-attr:tenant_id']}"
    assert admin.get(path)["quota_set"]["volumes_gold"] == -1
    wanted = {"quota_set": {"volumes_gold": 2, "gigabytes_gold": 5, "snapshots_gold": 0}}
    changed = admin.call("PUT", path, wanted).json["quota_set"]
    assert (changed["volumes_gold"], changed["gigabytes_gold"]) == (2, 5)
    assert admin.refused("PUT", path, {"quota_set": {"volumes_silver": 2}})[0] == 400
    used = admin.get(f"{path}?usage=True")["quota_set"]
    assert used["gigabytes_gold"] == {"limit": 5, "in_use": 2, "reserved": 0}
    assert member.refused("POST", "/volumes", {"volume": {"size": 4, "volume_type": "gold"}})[0] == 413
    assert member.refused("POST", "/snapshots", {"snapshot": {"volume_id": first["id"]}})[0] == 413
    plain, second = member.volume(), member.volume(volume_type="gold")
    retype = {"os-retype": {"new_type": "gold", "migration_policy": "never"}}
    assert member.refused("POST", f"/volumes/{plain['id']}/action", retype)[0] == 413
    admin.call("PUT", f"/types/{kind['id']}", {"volume_type": {"name": "golden"}})
    assert admin.get(path)["quota_set"]["volumes_golden"] == 2
    for each in (first, second, plain):
        member.delete("volumes", each["id"])
    admin.call("DELETE", f"/types/{kind['id']}")
    assert "volumes_golden" not in admin.get(path)["quota_set"]


def test_the_default_class_knows_types(admin: Cinder) -> None:
    kind = admin.ask("/types", {"volume_type": {"name": "tin"}}, 200)["volume_type"]
    path = "/os-quota-class-sets/default"
    assert admin.call("PUT", path, {"quota_class_set": {"volumes_tin": 0}}).json["quota_class_set"]["volumes_tin"] == 0
    assert admin.refused("POST", "/volumes", {"volume": {"size": 1, "volume_type": "tin"}})[0] == 413
    admin.call("DELETE", f"/types/{kind['id']}")
