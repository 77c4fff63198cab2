"""What Nova took away answers 410; shares are told apart from what is wrong with the request; tokens are shown."""

from __future__ import annotations

import pytest

from .conftest import Cloud

GONE = (
    ("GET", "/os-agents"), ("PUT", "/os-cloudpipe/configure-project"), ("GET", "/os-fping"), ("GET", "/os-cells"),
    ("POST", "/os-cells/sync_instances"), ("GET", "/os-cells/one/capacities"), ("POST", "/os-certificates"),
    ("GET", "/os-certificates/root"), ("GET", "/servers/x/consoles"), ("DELETE", "/servers/x/consoles/1"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), GONE)
@pytest.mark.parametrize("version", ["2.1", "2.104"])
def test_what_was_taken_away_is_gone_at_every_version(member: Cloud, method: str, path: str, version: str) -> None:
    answer = member.call(method, path, {} if method in ("POST", "PUT") else None, version)
    assert (answer.status_code, answer.json["computeFault"]["code"]) == (410, 410)


def test_shares(member: Cloud) -> None:
    server = member.boot("sharing")
    path, body = f"/servers/{server}/shares", {"share": {"share_id": "f9a6a4ef-4a4f-4d1a-9a63-1ac4a4ea1c20"}}
    assert member.get(path, "2.96").status_code == 404
    assert member.get(path, "2.97").json == {"shares": []}
    assert member.call("POST", path, body, "2.97").status_code == 409
    assert member.call("POST", path, {"share": {"share_id": 3}}, "2.97").status_code == 400
    assert member.act(server, "os-stop").status_code == 202
    member.wait(server, "SHUTOFF")
    assert member.call("POST", path, body, "2.97").status_code == 404
    assert member.get(f"{path}/x", "2.97").status_code == 404
    assert member.call("DELETE", f"{path}/x", version="2.97").status_code == 404


def test_console_tokens_are_shown_to_operators(admin: Cloud, member: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    server = member.boot("looked-at")
    wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    url = member.call("POST", f"/servers/{server}/remote-consoles", wanted).json["remote_console"]["url"]
    path = f"/os-console-auth-tokens/{url.rpartition('%3D')[2]}"
    shown = admin.get(path, "2.31").json["console"]
    assert (shown["instance_uuid"], shown["host"]) == (server, admin.server(server)["OS-EXT-SRV-ATTR:host"])
    assert isinstance(shown["port"], int)
    assert admin.get(path, "2.30").status_code == 400
    assert admin.get("/os-console-auth-tokens/unknown", "2.31").status_code == 404
    assert member.get(path, "2.31").status_code == 403
    said = capsys.readouterr()
    assert "/v2.1/os-console-auth-tokens/{token}" in said.out + said.err
    assert path not in said.out + said.err
