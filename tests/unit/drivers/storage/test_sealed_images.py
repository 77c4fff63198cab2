"""Images of encrypted volumes: what is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.drivers.storage import qemu_img, sealed_images
from novalite.drivers.storage.base import VolumeKey
from novalite.drivers.storage.files import FileImageStore
from novalite.errors import Invalid

MIB, GIB = 1 << 20, 1 << 30
KEY = VolumeKey("11" * 32)
IMAGE_ID = "12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_what_qemu_makes_is_taken_and_measured(tmp_path: Path, form: str) -> None:
    qemu_img.create("make", tmp_path / "disk", 8 * MIB, form, KEY)
    assert sealed_images.check(tmp_path / "disk", form, max_virtual_size=GIB) == 8 * MIB
    store = FileImageStore(tmp_path / "images", max_size=GIB, max_virtual_size=GIB)
    stored = store.save(IMAGE_ID, [(tmp_path / "disk").read_bytes()], disk_format=form, is_sealed=True)
    assert stored.virtual_size == 8 * MIB
    with pytest.raises(Invalid):
        store.save(IMAGE_ID, [(tmp_path / "disk").read_bytes()], disk_format=form)


def test_what_a_store_rounds_up_is_not_counted(tmp_path: Path) -> None:
    header = b"LUKS\xba\xbe\0\1" + bytes(96) + (4096).to_bytes(4, "big")
    with (tmp_path / "disk").open("wb") as file:
        file.write(header)
        file.truncate(2 * MIB + 2 * GIB + 2 * MIB)
    assert sealed_images.check(tmp_path / "disk", "raw", max_virtual_size=2 * GIB) == 2 * GIB
    with pytest.raises(Invalid, match="claims a virtual size"):
        sealed_images.check(tmp_path / "disk", "raw", max_virtual_size=GIB)


_PLAIN, _LUKS = empty_qcow2(MIB), empty_qcow2(MIB, is_encrypted=True)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("raw", b""), ("raw", bytes(MIB)), ("raw", b"LUKS\xba\xbe\0\2" + bytes(MIB)), ("raw", b"LUKS\xba\xbe\0\1"),
        ("raw", b"LUKS\xba\xbe\0\1" + bytes(96) + b"\xff" * 4 + bytes(MIB)), ("raw", _PLAIN), ("raw", _LUKS),
        ("qcow2", b""), ("qcow2", _PLAIN), ("qcow2", bytes(MIB)), ("qcow2", _LUKS[:40]),
        ("qcow2", _LUKS[:8] + (512).to_bytes(8, "big") + _LUKS[16:]),
        ("qcow2", _LUKS[:60] + (1).to_bytes(4, "big") + _LUKS[64:]),
        ("qcow2", _LUKS[:72] + (4).to_bytes(8, "big") + _LUKS[80:]),
    ],
)  # fmt: skip
def test_what_is_none_is_refused(tmp_path: Path, form: str, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(Invalid) as refused:
        sealed_images.check(tmp_path / "disk", form, max_virtual_size=GIB)
    assert refused.value.code == "image.refused"
