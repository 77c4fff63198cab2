"""The filter file: what it lets through, and when it is refused itself."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.drivers.network.base import HostForwardSpec, NetworkSpec, SubnetSpec, UplinkSpec
from novalite.drivers.privileged import rules
from novalite.drivers.privileged.messages import METHODS
from novalite.errors import DriverError, Invalid
from tests.contracts.privileged import OPEN, narrowed

ROOT = Path(__file__).parents[4]
APPLIANCE = str(uuid4())
TEXT = """
user = "nobody"
operations = ["check"]
appliances = ["*"]
"""


def _file(directory: Path, text: str = TEXT, mode: int = 0o644) -> Path:
    directory.chmod(0o755)
    path = directory / "privileged.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def _network(kind: str, *, interface: str = "", cidr: str = "10.1.0.0/24") -> NetworkSpec:
    uplink = UplinkSpec(kind, interface)
    return NetworkSpec(str(uuid4()), "n", subnets=(SubnetSpec(str(uuid4()), cidr),), uplink=uplink)


def test_the_file_that_is_shipped_names_every_operation(tmp_path: Path) -> None:
    text = (ROOT / "packaging/privileged.toml").read_text()
    assert sorted(tomllib.loads(text)["operations"]) == sorted(METHODS)
    path = _file(tmp_path, text.replace('user = "novalite"', 'user = "nobody"'))
    assert rules.read(path).interfaces == ()


def test_a_good_file_is_read(tmp_path: Path) -> None:
    found = rules.read(_file(tmp_path))
    assert (found.user, found.operations, found.interfaces, found.ranges) == ("nobody", ("check",), (), ())


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Invalid, match="may be written by"):
        rules.read(_file(tmp_path, mode=mode))


def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(Invalid, match="may be written by"):
        rules.read(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path)
    os.chown(path, 65534, 65534)
    with pytest.raises(Invalid, match="belongs to"):
        rules.read(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        rules.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user = 3", "user"),
        (TEXT + "more = 1", "more"),
        (TEXT.replace('"check"', '"run"'), "no operation 'run'"),
        (TEXT.replace('"check"', '"close"'), "no operation 'close'"),
        (TEXT.replace("nobody", "root"), "root"),
        (TEXT.replace("nobody", "nobody-of-that-name"), "no user"),
        (TEXT + 'interfaces = ["eth0; reboot"]', "no interface"),
        (TEXT + 'ranges = ["10.0.0.1/8"]', "host bits"),
        (TEXT + "forward_ports = [80, 70]", "forward_ports"),
        (TEXT + 'run_dir = "/etc"', "run_dir"),
        (TEXT + 'run_dir = "/run/../etc"', "run_dir"),
        ("\xff", "makes no sense"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        rules.read(_file(tmp_path, text))


@pytest.mark.parametrize("operation", sorted(METHODS))
def test_an_operation_that_is_not_named_is_refused(operation: str) -> None:
    others = tuple(name for name in METHODS if name != operation)
    OPEN.permit(APPLIANCE, operation, {})
    with pytest.raises(DriverError) as refused:
        narrowed(operations=others).permit(APPLIANCE, operation, {})
    assert refused.value.code == "driver.forbidden"


def _permitted(operation: str, arguments: dict[str, Any], **changes: object) -> bool:
    try:
        narrowed(**changes).permit(APPLIANCE, operation, arguments)
    except DriverError as error:
        return error.code != "driver.forbidden"
    return True


def test_appliances() -> None:
    assert _permitted("check", {}, appliances=(APPLIANCE,))
    assert not _permitted("check", {}, appliances=(str(uuid4()),))
    assert not _permitted("check", {}, appliances=())


@pytest.mark.parametrize("operation", ["attach_lan", "detach_lan"])
def test_interfaces_of_the_lan(operation: str) -> None:
    assert _permitted(operation, {"interface": "eth9"})
    assert not _permitted(operation, {"interface": "eth0"})
    assert not _permitted(operation, {"interface": "eth9"}, interfaces=())


@pytest.mark.parametrize("kind", ["flat", "vlan"])
def test_interfaces_of_networks(kind: str) -> None:
    assert _permitted("ensure_network", {"spec": _network(kind, interface="eth9"), "ports": None})
    assert not _permitted("ensure_network", {"spec": _network(kind, interface="eth0"), "ports": None})
    assert not _permitted("ensure_network", {"spec": _network(kind, interface=""), "ports": None})


@pytest.mark.parametrize(
    ("cidr", "allowed"),
    [("10.1.0.0/24", True), ("8.8.8.0/24", False), ("0.0.0.0/0", False), ("fd00:1::/64", True), ("::/0", False),
     ("10.0.0.0/7", False), ("nonsense", False)],
)  # fmt: skip
def test_ranges_of_the_machine(cidr: str, allowed: bool) -> None:
    assert _permitted("ensure_network", {"spec": _network("host", cidr=cidr), "ports": None}) is allowed


def test_networks_without_an_uplink_may_have_any_range() -> None:
    spec = NetworkSpec(str(uuid4()), "n", subnets=(SubnetSpec(str(uuid4()), "8.8.8.0/24"),))
    assert _permitted("ensure_network", {"spec": spec, "ports": None}, ranges=(), interfaces=())


@pytest.mark.parametrize(("port", "allowed"), [(1024, True), (65535, True), (22, False), (1023, False)])
def test_ports_of_the_machine(port: int, allowed: bool) -> None:
    assert _permitted("ensure_forwards", {"forwards": (HostForwardSpec("tcp", port, "10.0.0.2", 80),)}) is allowed
