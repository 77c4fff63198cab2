"""What flavors and images ask of guests: nonsense is refused at once, what no host can do by the scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud


def flavor(admin: Cloud, specs: dict[str, str], **values: Any) -> str:
    body = {
        "name": "-".join([*specs.values(), *map(str, values.values())]),
        "vcpus": 1,
        "ram": 256,
        "disk": 1,
        **values,
    }
    made = admin.call("POST", "/flavors", {"flavor": body}, "2.1")
    assert made.status_code == 200, made.text
    flavor_id = str(made.json["flavor"]["id"])
    answer = admin.call("POST", f"/flavors/{flavor_id}/os-extra_specs", {"extra_specs": specs}, "2.85")
    assert answer.status_code == 200, answer.text
    return flavor_id


@pytest.mark.parametrize(
    ("specs", "values", "why"),
    [
        ({"hw:cpu_policy": "lonely"}, {}, "hw:cpu_policy: 'lonely' is not one of"),
        ({"hw:cpu_sockets": "3"}, {"vcpus": 4}, "hw:cpu_sockets"),
        ({"hw:numa_nodes": "2"}, {"vcpus": 1}, "hw:numa_nodes"),
        ({"hw:mem_page_size": "huge"}, {}, "hw:mem_page_size"),
        ({"hw:serial_port_count": "9"}, {}, "hw:serial_port_count"),
        ({"hw:watchdog_action": "bark"}, {}, "hw:watchdog_action"),
        ({"quota:disk_read_iops_sec": "many"}, {}, "quota:disk_read_iops_sec"),
        ({"hw:tpm_version": "1.2", "hw:tpm_model": "tpm-crb"}, {}, "hw:tpm_model"),
    ],
)
def test_nonsense_is_refused_at_once(
    admin: Cloud, member: Cloud, specs: dict[str, str], values: dict[str, Any], why: str
) -> None:
    flavor_id = flavor(admin, specs, **values)
    answer = member.new(flavorRef=flavor_id)
    assert answer.status_code == 400
    assert why in answer.json["badRequest"]["message"]
    one = member.boot("one")
    answer = member.act(one, "resize", {"flavorRef": flavor_id})
    assert answer.status_code == 400
    assert why in answer.json["badRequest"]["message"]
    member.gone(one)


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        ({"hw:cpu_realtime": "yes"}, "property hw:cpu_realtime: is not offered here"),
        ({"hw:cpu_policy": "mixed"}, "property hw:cpu_policy: 'mixed' is not one of shared, dedicated"),
        ({"pci_passthrough:alias": "gpu:1"}, "property pci_passthrough:alias: is not offered here"),
        ({"hw:mem_page_size": "1GB"}, "hw:mem_page_size: the host has set no pages of that size aside"),
        ({"hw:cpu_model": "Nonesuch", "hw:cpu_mode": "custom"}, "hw:cpu_model: the host cannot give a guest Nonesuch"),
    ],
)
def test_what_no_host_can_do_is_told_by_the_scheduler(
    admin: Cloud, member: Cloud, specs: dict[str, str], why: str
) -> None:
    flavor_id = flavor(admin, specs)
    server_id = str(member.new(flavorRef=flavor_id).json["server"]["id"])
    fault = member.wait(server_id, "ERROR")["fault"]["message"]
    assert "No valid host was found. Of 1 host, image_properties removed 1 of 1" in fault
    assert why in fault
    member.gone(server_id)
    one = member.boot("one")
    assert member.act(one, "resize", {"flavorRef": flavor_id}).status_code == 202
    assert member.wait(one, "ACTIVE")["flavor"]["original_name"] == "m1.tiny"
    member.gone(one)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("hw:cpu_policy", "lonely", "'lonely' is not one of: dedicated, shared, mixed."),
        ("hw:numa_nodes", "0", "'0' is less than the min value of '1'."),
        ("hw:numa_nodes", "two", "'two' is not a valid integer value."),
        ("hw:boot_menu", "perhaps", "'perhaps' is not a valid boolean-like value."),
        ("hw:numa_cpus.0", "a-b", "is not of the format"),
        ("hw:cpu_polciy", "shared", "extra spec 'hw:cpu_polciy' does not appear to be a valid extra spec."),
        ("hw:redirected_usb_ports", "16", "'16' is greater than the max value of '15'."),
        ("trait:HW_CPU_X86_AVX", "maybe", "'maybe' is not one of: required, forbidden."),
        ("resources2:VCPU", "x", "'x' is not a valid integer value."),
    ],
)
def test_extra_specs_are_checked_since_2_86(admin: Cloud, name: str, value: str, why: str) -> None:
    path = "/flavors/1/os-extra_specs"
    for answer in (
        admin.call("POST", path, {"extra_specs": {name: value}}, "2.86"),
        admin.call("PUT", f"{path}/{name}", {name: value}, "2.86"),
    ):
        assert answer.status_code == 400
        assert why in answer.json["badRequest"]["message"]
    assert admin.get(path).json == {"extra_specs": {}}
    spare = str(admin.call("POST", "/flavors", {"flavor": {"name": name + value, "vcpus": 1, "ram": 1, "disk": 1}},
                           "2.1").json["flavor"]["id"])  # fmt: skip
    before = admin.call("POST", f"/flavors/{spare}/os-extra_specs", {"extra_specs": {name: value}}, "2.85")
    assert before.status_code == 200


@pytest.mark.parametrize(
    "specs",
    [{"hw:cpu_policy": "dedicated", "hw:numa_cpus.1": "0-3,^2", "quota:cpu_quota": "-1"}, {"plain": "anything"},
     {"mine:any": "thing"}, {"trait:CUSTOM_GOLD": "required", "resources:CUSTOM_X": "1"}],
)  # fmt: skip
def test_good_and_foreign_extra_specs(admin: Cloud, specs: dict[str, str]) -> None:
    body = {"flavor": {"name": str(specs), "vcpus": 1, "ram": 1, "disk": 1}}
    flavor_id = str(admin.call("POST", "/flavors", body, "2.1").json["flavor"]["id"])
    answer = admin.call("POST", f"/flavors/{flavor_id}/os-extra_specs", {"extra_specs": specs}, "2.86")
    assert answer.json == {"extra_specs": specs}
