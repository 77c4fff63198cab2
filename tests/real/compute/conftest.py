from __future__ import annotations

from collections.abc import Iterator

import pytest

from novalite.drivers.compute.libvirt import LibvirtDriver
from tests.real.compute.hosts import Host, new_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A libvirtd of this module's own with a driver on it."""
    with new_host(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def driver(host: Host) -> LibvirtDriver:
    return host.driver
