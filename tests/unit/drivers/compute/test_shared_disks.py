"""Disks that two machines have, and whether one of the machines can be taken with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.drivers.compute.base import ForeignDisk
from novalite.drivers.compute.libvirt import shared_disks

POOL = {("images", "web"): "/pool/web"}


def definition(*disks: str) -> str:
    return f"<domain><devices>{''.join(disks)}</devices></domain>"


def disk(path: str, form: str = "qcow2", more: str = "", kind: str = "file", device: str = "disk") -> str:
    where = "dev" if kind == "block" else "file"
    return (
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='{form}'/><source {where}='{path}'/>"
        f"<target dev='vda' bus='virtio'/>{more}</disk>"
    )


def mine(path: str, form: str = "qcow2", *, read_only: bool = False) -> ForeignDisk:
    return ForeignDisk(path, form, "vdb", "virtio", 1 << 30, read_only)


def told(other: str, *disks: ForeignDisk, chains: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    def below(path: str, form: str) -> tuple[str, ...]:
        assert form == "qcow2", "nothing is below plain bytes"
        return (chains or {}).get(path, ())

    found = shared_disks.uses("db", other, lambda pool, volume: POOL.get((pool, volume), ""))
    return list(shared_disks.conflicts(disks, shared_disks.with_below(found, below), below))


IN_POOL = "<disk type='volume' device='disk'><driver type='raw'/><source pool='images' volume='web'/></disk>"


@pytest.mark.parametrize(
    ("other", "path", "form"),
    [
        (disk("/d/web"), "/d/web", "qcow2"),
        (disk("/d/./web"), "/d/web", "qcow2"),
        (disk("/d/web", "raw", "<readonly/>"), "/d/web", "raw"),
        (disk("/d/web", "raw", "<shareable/>"), "/d/web", "raw"),
        (disk("/dev/vg/web", "raw", kind="block"), "/dev/vg/web", "raw"),
        (disk("/d/web", "raw", device="cdrom"), "/d/web", "raw"),
        (IN_POOL, "/pool/web", "raw"),
    ],
)
def test_a_disk_of_another_machine_is_told_with_its_name(other: str, path: str, form: str) -> None:
    assert told(definition(disk("/d/unrelated"), other), mine(path, form)) == [
        f"its disk vdb, {path}, is one of machine db too; detach it there first"
    ]


def test_what_neither_writes_both_may_have() -> None:
    both = definition(disk("/d/web", "raw", "<readonly/>"), disk("/d/cd", "raw", device="cdrom"))
    assert told(both, mine("/d/web", "raw", read_only=True), mine("/d/cd", "raw", read_only=True)) == []
    assert told(definition(disk("/d/web", "raw")), mine("/d/web", "raw", read_only=True)) != []


def test_what_is_of_nobody_else_is_no_conflict() -> None:
    other = definition(
        disk("/d/other"), "<disk type='network'><source protocol='rbd' name='d/web'/></disk>",
        "<disk type='volume'><source pool='images' volume='gone'/></disk>", "<disk type='file' device='cdrom'/>",
    )  # fmt: skip
    assert told(other, mine("/d/web")) == []


def test_a_link_to_a_disk_is_the_disk(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.touch()
    link.symlink_to(real)
    assert len(told(definition(disk(str(link))), mine(str(real)))) == 1
    assert len(told(definition(disk(str(real))), mine(str(link)))) == 1


def test_a_base_may_be_common_but_nobody_writes_it() -> None:
    clone = definition(disk("/d/clone"))
    assert told(clone, mine("/d/web"), chains={"/d/clone": ("/d/base",), "/d/web": ("/d/base",)}) == []
    assert told(clone, mine("/d/base"), chains={"/d/clone": ("/d/base",)}) == [
        "a disk of machine db stands on /d/base, its disk vdb"
    ]
    assert told(clone, mine("/d/base", read_only=True), chains={"/d/clone": ("/d/base",)}) == []
    assert told(definition(disk("/d/base")), mine("/d/web"), chains={"/d/web": ("/d/base",)}) == [
        "its disk vdb stands on /d/base, which is a disk of machine db"
    ]
