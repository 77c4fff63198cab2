"""Images, flavors, keys, networks, hosts, quotas and tokens at a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.cli.conftest import Novalite
from tests.api.conftest import running
from tests.contracts.web_server import serving


def test_an_image_is_uploaded_shown_and_deleted(novalite: Any, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(3 << 20))
    made = novalite.json("image", "create", "blank", "--file", str(path), "--public", "--property", "os_distro=none")
    assert (made["status"], made["size"], made["disk_format"]) == ("active", 3 << 20, "raw")
    assert made["os_distro"] == "none"
    (row,) = novalite.rows("image", "list")
    assert row == [made["id"], "blank", "active", "raw", "3", "MiB", "public"]
    assert novalite.json("image", "show", "blank")["checksum"] == made["checksum"]
    assert novalite("image", "delete", "blank") == 0
    assert novalite("image", "show", "blank") == 3


def test_a_hostile_image_is_refused_and_leaves_nothing(novalite: Any, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"QFI\xfb" + b"\xff" * 4096)
    assert novalite("image", "create", "evil", "--file", str(path)) == 1
    assert novalite.json("image", "list") == []


def test_an_image_that_may_not_be_brought_leaves_nothing(novalite: Any) -> None:
    assert novalite("image", "import", "inside", "http://169.254.169.254/disk") == 1
    assert "not a public one" in novalite.err
    assert novalite.json("image", "list") == []


def test_an_image_from_the_web(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as web, running(
        tmp_path, images__web_download_networks=["127.0.0.1/32"], images__web_download_ports=[web.port]
    ) as appliance:  # fmt: skip
        novalite = Novalite(appliance, capsys)
        web.files["/disk"] = b"x" * 4096
        made = novalite.json("image", "import", "web", web.url("/disk"), "--disk-format", "raw")
        assert (made["status"], made["size"]) == ("active", 4096)
        assert novalite("image", "import", "lost", web.url("/lost"), "--disk-format", "raw") == 1
        assert "404" in novalite.err


def test_flavors(novalite: Any) -> None:
    assert "m1.tiny" in {each["name"] for each in novalite.json("flavor", "list")}
    made = novalite.json(
        "flavor", "create", "odd", "--vcpus", "3", "--ram", "300", "--disk", "2", "--property", "hw:a=b"
    )
    assert made["extra_specs"] == {"hw:a": "b"}
    assert novalite.json("flavor", "show", "odd")["vcpus"] == 3
    assert novalite("flavor", "create", "odd", "--vcpus", "3", "--ram", "300", "--disk", "2") == 1
    assert novalite("flavor", "delete", "odd") == 0
    assert novalite("flavor", "show", "odd") == 3


def test_keys(novalite: Any, tmp_path: Path) -> None:
    assert novalite("key", "create", "printed") == 0
    assert novalite.out.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    public = novalite.json("key", "show", "printed")["public_key"]
    (tmp_path / "id.pub").write_text(public)
    assert novalite("key", "create", "brought", "--public-key", str(tmp_path / "id.pub")) == 0
    listed = {each["name"]: each["fingerprint"] for each in novalite.json("key", "list")}
    assert listed["brought"] == listed["printed"]
    assert novalite("key", "delete", "brought", "printed") == 0
    assert novalite.json("key", "list") == []


def test_networks(novalite: Any) -> None:
    rows = {row[1]: row for row in novalite.rows("network", "list")}
    assert {name: row[2] for name, row in rows.items()} == {"private": "ACTIVE", "public": "ACTIVE"}
    row = rows["private"]
    [subnet] = [each for each in novalite.json("subnet", "list") if each["network_id"] == row[0]]
    assert subnet["cidr"] == row[3]
    assert novalite.json("network", "show", "private")["subnets"] == [subnet["id"]]
    assert novalite("network", "show", "none") == 3


def test_what_may_reach_servers(novalite: Any) -> None:
    before = novalite.json("access", "list")
    ssh = novalite.json("access", "allow", "ssh", "--from", "10.0.0.0/8")
    assert (ssh["protocol"], ssh["port_range_min"], ssh["remote_ip_prefix"]) == ("tcp", 22, "10.0.0.0/8")
    many = novalite.json("access", "allow", "udp:5000-5010")
    shown = {row[0]: row[1:] for row in novalite.rows("access", "list")}
    assert shown[many["id"]] == ["udp", "5000-5010", "0.0.0.0/0"]
    assert novalite("access", "allow", "ssh", "--from", "10.0.0.0/8") == 1
    assert "already exists" in novalite.err
    assert novalite("access", "allow", "tcp:0x16") == 2
    assert novalite("access", "allow", "tcp:70000") == 1
    assert novalite("access", "allow", "ping", "--group", "none") == 3
    for rule in (ssh, many):
        assert novalite("access", "deny", rule["id"]) == 0
    assert novalite.json("access", "list") == before


def test_a_host_is_taken_out_of_service_and_back(novalite: Any) -> None:
    (host,) = novalite.json("host", "list")
    name = host["hypervisor_hostname"]
    assert novalite("host", "disable", name, "--reason", "repairs") == 0
    assert novalite.err == f"{name} is disabled.\n"
    assert novalite.json("host", "show", name)["status"] == "disabled"
    assert novalite("host", "enable", name) == 0
    assert novalite.json("host", "show", name)["status"] == "enabled"
    assert novalite("host", "enable", "nowhere") == 3


def test_quota_and_limits(novalite: Any) -> None:
    assert novalite.json("quota", "show")["instances"]["limit"] == 10
    assert novalite("quota", "show") == 0
    assert "0 of 10" in novalite.out
    assert novalite.json("limits")["maxTotalInstances"] == 10


def test_quotas_of_every_service_are_set_and_reset(novalite: Any, appliance: Any) -> None:
    project = appliance.post("/identity/v3/projects", {"project": {"name": "thrifty"}}).json["project"]["id"]
    before = novalite.json("quota", "show", "--project", "thrifty")
    wanted = {
        "instances": 3,
        "ram": 64,
        "network": 2,
        "gigabytes": 5,
        "image_size_total": 7,
        "image_count_uploading": 1,
    }
    words = [f"{name}={number}" for name, number in wanted.items()]
    assert novalite("quota", "set", *words, "--project", "thrifty") == 0, novalite.err
    assert "image_size_total 7" in novalite.err
    after = novalite.json("quota", "show", "--project", project)
    assert {name: each["limit"] for name, each in after.items()} == {
        **{name: each["limit"] for name, each in before.items()}, **wanted,
    }  # fmt: skip
    assert novalite("quota", "set", "image_size_total=-1", "--project", project) == 0, novalite.err
    assert novalite.json("quota", "show", "--project", project)["image_size_total"]["limit"] == -1
    assert novalite("quota", "reset", "--project", "thrifty") == 0, novalite.err
    assert novalite.json("quota", "show", "--project", project) == before
    assert appliance.get(f"/identity/v3/limits?project_id={project}").json["limits"] == []


def test_quotas_that_make_no_sense_change_nothing(novalite: Any) -> None:
    before = novalite.json("quota", "show")
    assert before["image_size_total"] == {"limit": -1, "in_use": before["image_size_total"]["in_use"]}
    for words in (["cores=5", "pigs=1"], ["cores"], ["cores=many"], ["cores=5", "cores=6"], ["=5"], ["cores=-2"]):
        assert novalite("quota", "set", *words) != 0
    assert novalite("quota", "set", "cores=5", "--project", "nobody's") != 0
    assert "There is no project" in novalite.err
    assert novalite("quota", "set", "pigs=1") != 0
    assert "image_size_total" in novalite.err
    assert novalite.json("quota", "show") == before


def test_an_issued_token_works(novalite: Any, appliance: Any) -> None:
    issued = novalite.json("token", "issue")
    assert appliance.get("/compute/v2.1/servers", token=issued["id"]).status_code == 200
