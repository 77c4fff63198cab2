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
        ("nbds:192.0.2.1:10809/abc", "network",
         '<source protocol="nbd" name="abc" tls="yes"><host name="192.0.2.1" port="10809" />'
         "</source>"),
        ("nbds:[2001:db8::1]:10810/abc", "network",
         '<source protocol="nbd" name="abc" tls="yes"><host name="2001:db8::1" port="10810" />'
         "</source>"),
    ],
)  # fmt: skip
def test_a_disk_is_where_it_is_said_to_be(path: str, kind: str, told: str) -> None:
    found, element = sources.element(Path(path))
    assert (found, ET.tostring(element, encoding="unicode")) == (kind, told)
    assert sources.address(element) == path


def test_what_is_none_of_these_is_nowhere() -> None:
    assert sources.address(None) == sources.address(ET.Element("source", {"pool": "x"})) == ""


def test_nothing_is_opened_without_encryption() -> None:
    plain = ET.fromstring('<source protocol="nbd" name="x"><host name="192.0.2.1" port="1" /></source>')
    assert sources.address(plain) == ""


def test_programs_are_told_of_a_path_and_of_an_export() -> None:
    assert sources.words("/x", "qcow2", Path("/keys")) == ["-f", "qcow2", "/x"]
    assert sources.words("nbds:[::1]:10809/abc", "raw", Path("/ke,ys")) == [
        "--object", "tls-creds-x509,id=keys,endpoint=client,dir=/ke,,ys", "--image-opts",
        "driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=::1,file.server.port=10809,"
        "file.export=abc,file.tls-creds=keys",
    ]  # fmt: skip
