"""Provider networks: flat and VLAN on interfaces that settings name, for administrators."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.network import options
from novalite.context import internal
from novalite.drivers.network.base import UplinkSpec
from novalite.errors import Invalid
from tests.api.network.conftest import Neutron


def _provider(kind: str, physical: str | None = "lab", vlan: int | None = None) -> dict[str, Any]:
    found = {"provider:network_type": kind, "provider:physical_network": physical, "provider:segmentation_id": vlan}
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def lab(neutron: Neutron) -> Neutron:
    with neutron.database.write(internal()) as w:
        options.configure(w, upstream_dns=("192.0.2.53",), dns_domain="example.org", physical_networks=("lab=eth7",))
    return neutron


@pytest.mark.parametrize(("kind", "vlan"), [("flat", None), ("vlan", 17)])
def test_a_provider_network_leads_to_the_interface(lab: Neutron, kind: str, vlan: int | None) -> None:
    made = lab.new("network", name="out", who="admin", **_provider(kind, vlan=vlan))
    assert made["provider:network_type"] == kind
    assert (made["provider:physical_network"], made["provider:segmentation_id"]) == ("lab", vlan)
    told = lab.driver.networks[made["id"]]
    assert told.uplink == UplinkSpec(kind, "eth7", vlan or 0, nat=False)
    assert (told.upstream_dns, told.dns_domain) == (("192.0.2.53",), "example.org")
    lab.new("subnet", network_id=made["id"], cidr="10.0.0.0/8", who="admin")
    again = lab.call("POST", "/v2.0/networks", {"network": _provider(kind, vlan=vlan)}, who="admin")
    assert (again.status_code, "is in use" in again.text) == (409, True)
    with lab.database.write(internal()) as w:
        options.configure(w, upstream_dns=(), dns_domain="", physical_networks=())
    lab.call("PUT", f"/v2.0/networks/{made['id']}", {"network": {"name": "x"}}, who="admin")
    assert lab.driver.networks[made["id"]].uplink is None, "nothing is behind a name that settings forgot"


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        (_provider("flat", "unknown"), "physical_network 'unknown' unknown for flat provider network"),
        (_provider("flat", None), "physical_network required for flat provider network"),
        (_provider("flat", vlan=3), "segmentation_id prohibited for flat provider network"),
        (_provider("vlan"), "segmentation_id out of range"),
        (_provider("vlan", vlan=4095), "segmentation_id out of range"),
        (_provider("local"), "physical_network prohibited for local provider network"),
        (_provider("vxlan", None), "provider:network_type"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(lab: Neutron, provider: dict[str, Any], word: str) -> None:
    answer = lab.call("POST", "/v2.0/networks", {"network": provider}, who="admin")
    assert answer.status_code == 400, answer.text
    assert word in answer.text


def test_only_administrators_name_a_provider(lab: Neutron) -> None:
    assert lab.call("POST", "/v2.0/networks", {"network": _provider("flat")}).status_code == 403


def test_a_network_tells_its_own_domain_and_mtu(lab: Neutron) -> None:
    made = lab.new("network", name="mine", dns_domain="mine.example.", mtu=1400, availability_zone_hints=["nova"])
    lab.new("subnet", network_id=made["id"], cidr="10.2.0.0/24")
    assert (made["dns_domain"], made["availability_zone_hints"]) == ("mine.example.", ["nova"])
    assert (lab.driver.networks[made["id"]].dns_domain, lab.driver.networks[made["id"]].mtu) == ("mine.example", 1400)
    path = f"/v2.0/networks/{made['id']}"
    assert lab.call("PUT", path, {"network": {"mtu": 1300, "admin_state_up": False}}).status_code == 200
    assert (lab.driver.networks[made["id"]].mtu, lab.driver.networks[made["id"]].up) == (1300, False)
    for bad in ({"dns_domain": "mine.example"}, {"dns_domain": "a b."}, {"mtu": 10}):
        assert lab.call("PUT", path, {"network": bad}).status_code == 400
    unknown = {"network": {"availability_zone_hints": ["moon"]}}
    assert lab.call("POST", "/v2.0/networks", unknown).status_code == 404


def test_settings_must_name_interfaces(neutron: Neutron) -> None:
    for text in ("lab", "=eth0", "lab=", "lab=a b", "lab=interface-with-long-name"):
        with pytest.raises(Invalid), neutron.database.write(internal()) as w:
            options.configure(w, upstream_dns=(), dns_domain="", physical_networks=(text,))
