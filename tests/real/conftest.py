"""How several processes share these tests out (pytest-xdist): file by file, the longest first."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONGEST = (
    "guests/test_data.py",
    "guests/test_from_inside.py",
    "crash/test_every_boundary.py",
    "compute/test_libvirt_contract.py",
    "appliance/test_full_disk.py",
    "clients/test_openstack_client.py",
    "crash/test_adoption.py",
    "crash/test_carrying.py",
    "crash/test_encrypted_volumes.py",
    "clients/test_openstack_devices.py",
)
"""Those that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here, order = Path(__file__).parent, {name: number for number, name in enumerate(_LONGEST)}
    files = {item: str(item.path.relative_to(here)) for item in items if item.path.is_relative_to(here)}
    items.sort(key=lambda item: order.get(files.get(item, ""), len(order)))
