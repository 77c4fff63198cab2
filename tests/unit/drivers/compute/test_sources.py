"""Where disks are: in QEMU's words, in libvirt's, and back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from novalite.drivers.compute.libvirt import sources


@pytest.mark.parametrize(
    ("path", "kind", "told"),
    [
        ("/var/lib/x", "file", '<source file="/var/lib/x" />'),
        ("/dev/vg/volume-1", "block", '<source dev="/dev/vg/volume-1" />'),
        ("rbd:rbd/volume-1", "network", '<source protocol="rbd" name="rbd/volume-1" />'),
        ("rbd:vms/v:conf=/etc/ceph/c.conf", "network",
         '<source protocol="rbd" name="vms/v"><config file="/etc/ceph/c.conf" /></source>'),
    ],
)  # fmt: skip
def test_a_disk_is_where_it_is_said_to_be(path: str, kind: str, told: str) -> None:
    found, element = sources.element(Path(path))
    assert (found, ET.tostring(element, encoding="unicode")) == (kind, told)
    assert sources.address(element) == path


def test_what_is_none_of_these_is_nowhere() -> None:
    assert sources.address(None) == sources.address(ET.Element("source", {"pool": "x"})) == ""
