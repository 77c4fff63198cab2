"""Services of Block Storage: switched off and on, frozen and thawed, and how much they log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from novalite import logs
from tests.api.conftest import Appliance, running

from .conftest import Cinder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(tmp_path_factory.mktemp("state"), volumes__backends=("one=fake", "two=fake")) as made:
        yield made


@pytest.fixture
def where(admin: Cinder) -> Iterator[dict[str, str]]:
    """The hosts of the backends by their names; all are on and thawed afterwards."""
    hosts = {row["host"].partition("@")[2]: row["host"] for row in _rows(admin)}
    yield hosts
    for host in hosts.values():
        admin.call("PUT", "/os-services/thaw", {"host": host})
        admin.call("PUT", "/os-services/enable", {"host": host, "binary": "cinder-volume"})


def _rows(admin: Cinder) -> list[dict[str, Any]]:
    return list(admin.get("/os-services?binary=cinder-volume")["services"])


def _put(admin: Cinder, action: str, body: Any, status: int = 200, version: str = "3.70") -> Any:
    answer = admin.call("PUT", f"/os-services/{action}", body, version)
    assert answer.status_code == status, answer.text
    return answer.json if answer.data else None


def test_a_disabled_backend_gets_no_new_volumes(admin: Cinder, where: dict[str, str]) -> None:
    told = _put(admin, "disable-log-reason", {"host": where["one"], "binary": "cinder-volume",
                                              "disabled_reason": "new disks"})  # fmt: skip
    assert told == {"host": where["one"], "service": "", "binary": "cinder-volume", "disabled": True,
                    "status": "disabled", "disabled_reason": "new disks"}  # fmt: skip
    states = {row["host"]: (row["status"], row["disabled_reason"]) for row in _rows(admin)}
    assert states == {where["one"]: ("disabled", "new disks"), where["two"]: ("enabled", None)}
    hosts = {row["host_name"]: row["service-state"] for row in admin.get("/os-hosts?service=cinder-volume")["hosts"]}
    assert hosts == {where["one"]: "disabled", where["two"]: "enabled"}
    assert admin.volume()["os-vol-host-attr:host"].startswith(where["two"])
    _put(admin, "disable", {"host": where["two"], "binary": "cinder-volume"})
    made = admin.ask("/volumes", {"volume": {"size": 1}})["volume"]
    admin.until("volumes", made["id"], "error")
    told = admin.get(f"/messages?resource_uuid={made['id']}")["messages"]
    assert told, "nobody is told why"
    assert _put(admin, "enable", {"host": where["one"], "service": "cinder-volume"}) == {
        "host": where["one"], "service": "cinder-volume", "binary": "", "disabled": False, "status": "enabled",
        "disabled_reason": None,
    }  # fmt: skip
    assert admin.volume()["os-vol-host-attr:host"].startswith(where["one"])


def test_nothing_on_a_frozen_backend_is_changed(admin: Cinder, where: dict[str, str]) -> None:
    volume = admin.volume()
    volume_id, host = volume["id"], volume["os-vol-host-attr:host"].partition("#")[0]
    snapshot_id = admin.snapshot(volume_id)["id"]
    _put(admin, "freeze", {"host": host})
    row = next(row for row in _rows(admin) if row["host"] == host)
    assert (row["frozen"], row["status"], row["disabled_reason"]) == (True, "disabled", "frozen")
    assert admin.refused("PUT", "/os-services/freeze", {"host": host}) == (
        400, "Invalid input received: Host is already Frozen.",
    )  # fmt: skip
    act = f"/volumes/{volume_id}/action"
    for method, path, body in (
        ("DELETE", f"/volumes/{volume_id}", None),
        ("DELETE", f"/snapshots/{snapshot_id}", None),
        ("POST", act, {"os-extend": {"new_size": 2}}),
        ("POST", act, {"revert": {"snapshot_id": snapshot_id}}),
        ("POST", "/snapshots", {"snapshot": {"volume_id": volume_id}}),
    ):
        status, message = admin.refused(method, path, body)
        assert (status, "not allowed on frozen storage backends" in message) == (400, True), (method, path, message)
    assert not admin.volume()["os-vol-host-attr:host"].startswith(host)
    assert admin.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
    _put(admin, "thaw", {"host": host})
    assert admin.refused("PUT", "/os-services/thaw", {"host": host})[0] == 400
    admin.delete("volumes", volume_id, "?cascade=true")


def test_what_is_not_there_is_told(admin: Cinder, where: dict[str, str]) -> None:
    assert admin.refused("PUT", "/os-services/enable", {"host": "x", "binary": "cinder-volume"})[0] == 404
    assert admin.refused("PUT", "/os-services/disable", {"host": where["one"], "binary": "x"})[0] == 404
    for action, body in (
        ("disable-log-reason", {"host": where["one"], "binary": "cinder-volume", "disabled_reason": None}),
        ("disable-log-reason", {"host": where["one"], "binary": "cinder-volume"}),
        ("disable", {"host": where["one"]}),
        ("freeze", {"host": "x"}),
        ("thaw", {"host": None}),
        ("freeze", {"cluster": "x"}),
        ("failover_host", {"host": where["one"]}),
        ("failover", {"host": where["one"], "backend_id": "there"}),
        ("set-log", {"level": "LOUD"}),
        ("set-log", {"level": "DEBUG", "prefix": "nobody."}),
    ):
        assert admin.refused("PUT", f"/os-services/{action}", body)[0] == 400, (action, body)
    assert admin.refused("PUT", "/os-services/get-log", {}, "3.31")[0] == 404


def test_what_is_switched_off_stays_so(admin: Cinder, where: dict[str, str]) -> None:
    """It is in the database: the records tell, not the process."""
    _put(admin, "disable", {"host": where["two"], "binary": "cinder-volume"})
    built = admin.appliance.built
    assert built.database is not None
    from novalite.cloud.volume import services
    from novalite.context import internal

    with built.database.read(internal()) as w:
        assert list(services.closed(w)) == [where["two"]]


def test_how_much_is_logged(admin: Cinder) -> None:
    name = "novalite.volumes"
    body = {"binary": "cinder-volume", "prefix": name}
    before = _put(admin, "get-log", body)["log_levels"]
    assert {one["binary"] for one in before} == {"cinder-volume"}
    usual = logs.levels("novalite.conductor")["novalite.conductor"]
    assert [one["levels"] for one in before] == [{name: usual}] * 2
    _put(admin, "set-log", {**body, "level": "error"}, 202)
    assert _put(admin, "get-log", {"prefix": name})["log_levels"][0]["levels"] == {name: "ERROR"}
    assert logs.levels("novalite.conductor") == {"novalite.conductor": usual}
    _put(admin, "set-log", {"prefix": name, "level": usual}, 202)
    assert logs.levels(name) == {name: usual}
