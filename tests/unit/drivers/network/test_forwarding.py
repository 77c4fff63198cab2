"""Which kernel switches make the machine route, in kernels of different age, and how they are set back."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.drivers.network import forwarding
from novalite.drivers.network.forwarding import Forwarding


class Kernel:
    """Switches and their values; the machine's routes lead to ``outer``, at first eth0, and to a network's uplink."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
        self.values, self.others, self.outer = values, False, {"eth0"}
        monkeypatch.setattr(forwarding, "_read", self.values.get)
        monkeypatch.setattr(forwarding.kernel_state, "route_links", lambda version: frozenset({*self.outer, "nlu2"}))
        monkeypatch.setattr(forwarding.namespaces, "switches", lambda op, name, values: self.values.update(values))
        monkeypatch.setattr(forwarding, "_others_need_it", lambda: self.others)


_OLD = {
    "ipv4/conf/eth0/forwarding": "0",
    "ipv4/conf/eth1/forwarding": "0",
    "ipv4/conf/nlu1/forwarding": "0",
    "ipv4/conf/nlu2/forwarding": "0",
    "ipv6/conf/all/forwarding": "0",
    "ipv6/conf/eth0/accept_ra": "1",
}
_NEW = _OLD | {
    "ipv6/conf/all/force_forwarding": "0",
    "ipv6/conf/eth0/force_forwarding": "0",
    "ipv6/conf/nlu1/force_forwarding": "0",
}


def test_ipv6_is_not_touched_without_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(monkeypatch, dict(_OLD))
    Forwarding(tmp_path / "record").ensure(["nlu1"], ipv6=False)
    assert kernel.values == _OLD | {"ipv4/conf/eth0/forwarding": "1", "ipv4/conf/nlu1/forwarding": "1"}


def test_new_kernels_forward_on_single_links(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(monkeypatch, dict(_NEW))
    Forwarding(tmp_path / "record").ensure(["nlu1"], ipv6=True)
    assert kernel.values["ipv6/conf/eth0/force_forwarding"] == "1"
    assert kernel.values["ipv6/conf/nlu1/force_forwarding"] == "1"
    assert (kernel.values["ipv6/conf/all/forwarding"], kernel.values["ipv6/conf/eth0/accept_ra"]) == ("0", "1")


def test_in_old_kernels_a_link_goes_on_listening_to_its_router(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(monkeypatch, dict(_OLD))
    Forwarding(tmp_path / "record").ensure(["nlu1"], ipv6=True)
    assert (kernel.values["ipv6/conf/all/forwarding"], kernel.values["ipv6/conf/eth0/accept_ra"]) == ("1", "2")


def test_all_but_our_own_links_is_set_back_by_whoever_is_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel, record = Kernel(monkeypatch, dict(_OLD)), tmp_path / "record"
    Forwarding(record).ensure(["nlu1"], ipv6=True)
    Forwarding(record).ensure(["nlu1"], ipv6=True)
    kernel.others = True
    Forwarding(record).restore()
    assert kernel.values["ipv4/conf/eth0/forwarding"] == "1"
    kernel.others = False
    Forwarding(record).restore()
    assert kernel.values == _OLD | {"ipv4/conf/nlu1/forwarding": "1"}
    assert not record.exists()


def test_what_was_on_before_stays_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(monkeypatch, _OLD | {"ipv4/conf/eth0/forwarding": "1"})
    Forwarding(tmp_path / "record").ensure(["nlu1"], ipv6=False)
    Forwarding(tmp_path / "record").restore()
    assert kernel.values["ipv4/conf/eth0/forwarding"] == "1"


def test_a_link_that_gets_a_route_later_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel, record = Kernel(monkeypatch, dict(_OLD)), tmp_path / "record"
    Forwarding(record).ensure(["nlu1"], ipv6=False)
    assert kernel.values["ipv4/conf/eth1/forwarding"] == "0"
    assert Forwarding(record).stands(["nlu1"], ipv6=False)
    kernel.outer.add("eth1")
    assert not Forwarding(record).stands(["nlu1"], ipv6=False)
    Forwarding(record).ensure(["nlu1"], ipv6=False)
    assert kernel.values["ipv4/conf/eth1/forwarding"] == "1"
    assert Forwarding(record).stands(["nlu1"], ipv6=False)
    Forwarding(record).restore()
    assert kernel.values == _OLD | {"ipv4/conf/nlu1/forwarding": "1"}
