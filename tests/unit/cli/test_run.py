"""What the command prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from novalite.cli.main import OPERATORS, PEOPLE, run
from novalite.cli.session import Session

Novalite = Callable[..., int]
ID = "6f1d0c1e-7b0a-4a57-9a53-0d4b8f9f2b11"


def a_server(status: str = "ACTIVE", task: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "web",
        "status": status,
        "OS-EXT-STS:task_state": task,
        "OS-EXT-STS:power_state": 1,
        "addresses": {"private": [{"addr": "10.0.0.5", "version": 4}]},
        "metadata": {},
        "key_name": None,
        "flavor": {"original_name": "m1.tiny", "vcpus": 1, "ram": 256, "disk": 1},
        "image": {"id": "i1"},
        "OS-EXT-AZ:availability_zone": "nova",
        "created": "2030-01-01T00:00:00Z",
        "tenant_id": "p1",
        **more,
    }


@pytest.fixture
def with_server(cloud: Any) -> Any:
    cloud.on("GET", "compute/servers/detail", {"servers": [a_server()]})
    cloud.on("GET", f"compute/servers/{ID}", {"server": a_server()})
    cloud.on("GET", "image/images", {"images": [{"id": "i1", "name": "guest"}]})
    return cloud


def test_a_list_is_a_table_for_people(with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]) -> None:
    assert novalite("server", "list") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NAME", "STATUS", "ADDRESSES", "FLAVOR", "IMAGE"]
    assert row.split() == [ID, "web", "ACTIVE", "10.0.0.5", "m1.tiny", "guest"]


@pytest.mark.parametrize("arguments", [("--json", "server", "list"), ("server", "list", "--json")])
def test_a_list_is_the_objects_themselves_for_programs(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert novalite(*arguments) == 0
    assert json.loads(capsys.readouterr().out) == [a_server()]


def test_stopping_waits_until_the_server_is_off(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    with_server.on("POST", f"compute/servers/{ID}/action", status=202)
    with_server.on(
        "GET", f"compute/servers/{ID}", {"server": a_server(task="powering-off")}, {"server": a_server("SHUTOFF")}
    )
    assert novalite("server", "stop", "web") == 0
    assert with_server.sent("POST", "/action") == {"os-stop": None}
    assert capsys.readouterr().err == "web is SHUTOFF.\n"


def test_without_waiting_it_returns_when_it_has_asked(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    with_server.on("POST", f"compute/servers/{ID}/action", status=202)
    assert novalite("server", "reboot", "--hard", "--no-wait", ID) == 0
    assert with_server.sent("POST", "/action") == {"reboot": {"type": "HARD"}}
    assert capsys.readouterr().err == "web: asked.\n"


def test_a_server_that_ends_in_error_fails_with_its_own_fault(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = {"code": 500, "message": "No valid host was found. There is no compute host."}
    with_server.on("GET", "compute/flavors/detail", {"flavors": [{"id": "1", "name": "m1.tiny"}]})
    with_server.on("GET", "network/networks", {"networks": [{"id": "n1", "name": "private"}]})
    with_server.on("POST", "compute/servers", {"server": {"id": ID}}, status=202)
    with_server.on(
        "GET",
        f"compute/servers/{ID}",
        {"server": a_server("BUILD", "scheduling")},
        {"server": a_server("ERROR", fault=fault)},
    )
    assert novalite("server", "create", "web", "--image", "guest", "--flavor", "m1.tiny") == 1
    assert "not ACTIVE: No valid host was found. There is no compute host." in capsys.readouterr().err
    assert with_server.sent("POST", "/servers")["server"] == {
        "name": "web",
        "imageRef": "i1",
        "flavorRef": "1",
        "networks": [{"uuid": "n1"}],
    }


def test_deleting_waits_until_it_is_gone(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = httpx.Response(404, json={"itemNotFound": {"code": 404, "message": "Gone."}})
    with_server.on("DELETE", f"compute/servers/{ID}", status=204)
    with_server.on("GET", f"compute/servers/{ID}", {"server": a_server(task="deleting")}, gone)
    assert novalite("server", "delete", "web") == 0
    assert capsys.readouterr().err == "web is deleted.\n"


def test_a_wait_that_takes_too_long_says_that_it_goes_on(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    with_server.on("POST", f"compute/servers/{ID}/action", status=202)
    with_server.on("GET", f"compute/servers/{ID}", {"server": a_server(task="powering-off")})
    assert novalite("server", "stop", "web", "--timeout", "0.2") == 4
    assert "is still ACTIVE after 0.2 seconds" in capsys.readouterr().err


def test_what_does_not_exist_ends_with_3_and_says_how_to_see_what_does(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert novalite("server", "show", "nope") == 3
    assert capsys.readouterr().err == "novalite: There is no server nope.\n  'novalite server list' shows them all.\n"


def test_one_missing_server_among_several_leaves_all_untouched(with_server: Any, novalite: Novalite) -> None:
    assert novalite("server", "delete", "web", "nope") == 3
    assert not [each for each in with_server.requests if each.method == "DELETE"]


def test_a_name_that_two_servers_share_is_refused_with_their_ids(
    with_server: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    with_server.on("GET", "compute/servers/detail", {"servers": [a_server(), {**a_server(), "id": "second"}]})
    assert novalite("server", "show", "web") == 1
    assert f"{ID}, second" in capsys.readouterr().err


def test_errors_are_json_for_programs(novalite: Novalite, capsys: pytest.CaptureFixture[str]) -> None:
    assert novalite("key", "show", "nope", "--json") == 3
    assert json.loads(capsys.readouterr().err)["error"]["message"] == "It could not be found."


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("server", "create"),
        ("server", "list", "--nope"),
        ("server",),
        ("server", "create", "x", "--image", "i", "--flavor", "f", "--property", "bad"),
    ],
)
def test_wrong_usage_ends_with_2(novalite: Novalite, arguments: tuple[str, ...]) -> None:
    assert novalite(*arguments) == 2


def test_an_upload_that_fails_leaves_no_image(
    cloud: Any, novalite: Novalite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"QFI\xfb" + bytes(100))
    cloud.on("POST", "image/images", {"id": "i9"}, status=201)
    cloud.on("PUT", "image/images/i9/file", {"message": "It names a backing file."}, status=400)
    cloud.on("DELETE", "image/images/i9", status=204)
    assert novalite("image", "create", "bad", "--file", str(path)) == 1
    assert cloud.sent("POST", "/images")["disk_format"] == "qcow2"
    assert cloud.requests[-1].method == "DELETE"
    assert "It names a backing file." in capsys.readouterr().err


def test_a_new_private_key_goes_to_a_file_of_its_owner_and_never_to_the_cloud(
    cloud: Any, novalite: Novalite, tmp_path: Path
) -> None:
    cloud.on("POST", "compute/os-keypairs", {"keypair": {"name": "k", "type": "ssh", "fingerprint": "f"}})
    path = tmp_path / "key"
    assert novalite("key", "create", "k", "--save", str(path)) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert cloud.sent("POST", "/os-keypairs")["keypair"]["public_key"].startswith("ssh-ed25519 ")
    assert novalite("key", "create", "k", "--save", str(path)) == 1, "an existing key is never overwritten"


STATUS = {
    "version": "1",
    "uptime_seconds": 3700,
    "hosts": [{"name": "h", "state": "up"}],
    "components": [{"name": "api", "thread": "t", "state": "running", "restarts": 0, "last_error": None, "backlog": 0}],
}


@pytest.mark.parametrize(("state", "code"), [("running", 0), ("failed", 1)])
def test_status_ends_with_1_when_a_component_does_not_run(
    cloud: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    component = {**STATUS["components"][0], "state": state}  # type: ignore[index]
    cloud.on("GET", "appliance/admin/status", {**STATUS, "components": [component]})
    assert novalite("status") == code
    out = capsys.readouterr().out
    assert "1 h 1 min 40 s" in out
    assert state in out


def test_doctor_ends_with_1_when_there_are_findings(
    cloud: Any, novalite: Novalite, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = {
        "severity": "error",
        "kind": "tap",
        "id": "x",
        "what": "Orphaned tap",
        "why": "No port.",
        "fix": "Remove it.",
    }
    cloud.on("GET", "appliance/admin/doctor", {"findings": [finding], "checked": {"servers": 3}})
    assert novalite("doctor") == 1
    assert "error: Orphaned tap (tap x)" in capsys.readouterr().out
    cloud.on("GET", "appliance/admin/doctor", {"findings": [], "checked": {"servers": 3}})
    assert novalite("doctor") == 0


def test_config_lists_every_option_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql+psycopg://me:secret@db/nova"
    session = Session(environment={"NOVALITE_HTTP_PORT": "9000", "NOVALITE_DATABASE_URL": url})
    assert run(["config", "--json", "--state-dir", "/tmp/x"], session) == 0
    options = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert options["http.port"]["value"] == 9000
    assert options["http.port"]["origin"] == "NOVALITE_HTTP_PORT"
    assert options["state_dir"]["origin"] == "command line"
    assert options["tasks.workers"]["origin"] == "default"
    assert options["database.url"]["value"] == "postgresql+psycopg://me:***@db/nova"


def test_openrc_prints_the_file_and_its_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "admin-openrc").write_text("# admin\nexport OS_USERNAME=admin\nexport OS_PASSWORD='a b'\n")
    assert run(["openrc", "--state-dir", str(tmp_path)]) == 0
    assert "export OS_PASSWORD='a b'" in capsys.readouterr().out
    assert run(["openrc", "--json", "--state-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["variables"] == {"OS_USERNAME": "admin", "OS_PASSWORD": "a b"}
    assert run(["openrc", "--state-dir", str(tmp_path / "none")]) == 4


@pytest.mark.parametrize("name", [*PEOPLE, *OPERATORS])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "--help" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_NOVALITE_COMPLETE" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from novalite.cli.main import run; run(['--help']); "
        "print(sorted({'httpx', 'rich', 'flask', 'sqlalchemy', 'libvirt', 'msgspec'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown.splitlines()[-1] == "[]"


def test_a_shell_completes_names_of_what_is_in_the_cloud(
    cloud: Any, novalite: Novalite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.on("GET", "compute/servers", {"servers": [{"id": "1", "name": "web"}, {"id": "2", "name": "db"}]})
    monkeypatch.setenv("_NOVALITE_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "novalite server stop w")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit) as ended:
        novalite()
    assert ended.value.code == 0
    assert "web" in (out := capsys.readouterr().out)
    assert "db" not in out
