"""The unmodified openstacksdk: a server with a floating address of its own, and networks made and taken down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.boot_sector import obedient
from tests.real.appliance.process import RealAppliance, running

pytestmark = pytest.mark.real

# In a process of its own: the SDK's dependencies warn, and warnings are errors here.
_SCRIPT = """
import openstack
cloud = openstack.connect()
group = cloud.create_security_group("web", "lets HTTP in")
cloud.create_security_group_rule("web", port_range_min=80, port_range_max=80, protocol="tcp")

network = cloud.create_network("red")
subnet = cloud.create_subnet("red", cidr="10.77.0.0/24")
public = next(each for each in cloud.list_networks() if each["router:external"])
router = cloud.create_router("r", ext_gateway_net_id=public.id)
cloud.add_router_interface(router, subnet_id=subnet.id)

server = cloud.create_server("one", image="tiny", flavor="small", network="red", auto_ip=True, wait=True, timeout=300,
                             security_groups=["web"])
(floating,) = cloud.list_floating_ips()
kinds = {each["OS-EXT-IPS:type"]: each["addr"] for each in server.addresses["red"]}
assert kinds == {"fixed": floating.fixed_ip_address, "floating": floating.floating_ip_address}, kinds
assert [each["name"] for each in server.security_groups] == ["web"], server.security_groups

cloud.delete_server("one", wait=True, delete_ips=True)
assert not cloud.list_floating_ips()
cloud.remove_router_interface(router, subnet_id=subnet.id)
assert cloud.delete_router("r") and cloud.delete_subnet(subnet.id) and cloud.delete_network("red")
assert cloud.delete_security_group("web")
print("all done")
"""


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[RealAppliance]:
    with running(tmp_path / "state", driver="fake") as appliance:
        appliance.image(obedient())
        appliance.flavor("small", ram=64)
        yield appliance


def test_a_server_gets_a_floating_address_by_itself(appliance: RealAppliance) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=300, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(appliance.state_dir), **appliance.environment},
    )  # fmt: skip
    assert done.stdout.endswith("all done\n"), done.stdout + done.stderr
