"""What every front gets from the kit, shown on a small front of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from novalite.api.kit import faults
from novalite.api.kit.auth import TokenAuth
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.dispatch import mount
from novalite.api.kit.paging import limit, nova_links, page_of
from novalite.api.kit.parts import Parts
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.kit.versions import VersionRange
from novalite.api.kit.view import Field, View
from novalite.context import Context
from novalite.errors import Busy, Conflict, Invalid, NotFound, OverQuota, Unauthenticated
from novalite.settings import Settings

PROJECT = "11111111-2222-3333-4444-555555555555"
WHO = {
    "admin": Context("u1", PROJECT, frozenset({"admin", "member", "reader"})),
    "member": Context("u2", PROJECT, frozenset({"member", "reader"})),
    "reader": Context("u3", PROJECT, frozenset({"reader"})),
}


class Ledger:
    """Units that only tell how they ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @contextmanager
    def _unit(self, kind: str, ctx: Context) -> Iterator[Any]:
        try:
            yield SimpleNamespace(ctx=ctx)
        except BaseException:
            self.ended.append(f"{kind} rolled back")
            raise
        self.ended.append(f"{kind} ended")

    def listen(self, listener: Any) -> None:
        """Nothing ever changes here."""

    def read(self, ctx: Context) -> Any:
        return self._unit("read", ctx)

    def write(self, ctx: Context) -> Any:
        return self._unit("write", ctx)


def _resolve(token: str) -> tuple[Context, datetime]:
    if token not in WHO:
        raise Unauthenticated("The request you have made requires authentication.")
    return WHO[token], datetime.now(UTC) + timedelta(hours=1)


WIDGET = View(
    Field("id"),
    Field("name"),
    Field("colour", since="2.4"),
    Field("shape", lambda widget, call: "round", until="2.3"),
    Field("host", only=lambda call: call.ctx.is_admin),
)
WIDGETS = [SimpleNamespace(id=f"w{n}", name=f"widget {n}", colour="red", host="rack") for n in range(5)]
NEW = Body(
    "widget",
    Item("name", {"type": "string", "minLength": 1, "maxLength": 10, "format": "name"}, required=True),
    Item("colour", {"enum": ["red", "blue"]}, since="2.4"),
    Item("password", {"type": "string", "maxLength": 3}),
    Item("size", {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": 9}),
)


def _create(call: Call) -> Answer:
    made = SimpleNamespace(id="new", colour="red", host="rack", name=call.body["name"])
    return Answer(made, headers={"Location": call.link("/v2.1/widgets/new")})


def _list(call: Call) -> Any:
    most = limit(call, 3)
    marker = call.query.get("marker")
    ids = [widget.id for widget in WIDGETS]
    start = ids.index(marker) + 1 if marker else 0
    return page_of(WIDGETS[start : start + most], most)


def _show(call: Call) -> Any:
    for widget in WIDGETS:
        if widget.id == call.path["widget_id"]:
            return widget
    raise NotFound("widget", call.path["widget_id"])


def _fail(call: Call) -> None:
    raise {
        "conflict": Conflict("It is being painted."),
        "quota": OverQuota("widgets", limit=1, used=1, asked=1),
        "busy": Busy("The database is locked."),
        "bug": ZeroDivisionError("secret detail"),
    }[call.path["how"]]


ROUTES = [
    Route("GET", "/", lambda call: {"versions": []}, rule=PUBLIC, success=300),
    Route("POST", "/v2.1/widgets", _create, rule="os_compute_api:servers:create", body=NEW,
          view=WIDGET.one("widget"), success=202, unit="write"),
    Route("GET", "/v2.1/widgets", _list, rule="os_compute_api:servers:index",
          view=WIDGET.many("widgets", nova_links), unit="read",
          query=Query(Item("limit", {"type": "string", "pattern": "^[0-9]*$"}), Item("marker", {"type": "string"}),
                      strict_since="2.5")),
    Route("GET", "/v2.1/widgets/{widget_id}", _show, rule="os_compute_api:servers:show",
          view=WIDGET.one("widget"), unit="read"),
    Route("DELETE", "/v2.1/widgets/{widget_id}", lambda call: None, rule="os_compute_api:servers:delete",
          success=204, unit="write", since="2.2"),
    Route("POST", "/v2.1/widgets/{widget_id}/action", lambda call: {"painted": call.body}, success=200,
          rule="os_compute_api:servers:start", action="paint", body=Body("paint", whole={"enum": ["red", None]})),
    Route("POST", "/v2.1/widgets/{widget_id}/action", lambda call: None, success=202, until="2.3",
          rule="os_compute_api:servers:start", action="bend", body=Body("bend", whole={})),
    Route("POST", "/v2.1/fail/{how}", _fail, rule="os_compute_api:limits", unit="write"),
    Route("PUT", "/v2.1/upload", lambda call: {"bytes": len(call.stream.read())},  # type: ignore[union-attr]
          rule="os_compute_api:limits", stream=True),
    Route("GET", "/v2.1/download", lambda call: Answer(stream=[b"ab", b"cd"], headers={"X-Sum": "4"}),
          rule="os_compute_api:limits"),
]  # fmt: skip


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(ledger: Ledger) -> FlaskClient:
    app = flask.Flask("test")
    parts = Parts(Settings(state_dir="/nowhere"), ledger, TokenAuth(_resolve, lambda: 0))
    versions = VersionRange("compute", "2.1", "2.5", "X-OpenStack-Nova-API-Version")
    mount(app, Front("compute", "/compute", ROUTES, faults.NOVA, versions, project_after="/v2.1",
                     unauthenticated=faults.KEYSTONE), parts)  # fmt: skip
    mount(app, Front("plain", "/network", ROUTES[1:4], faults.NEUTRON), parts)
    return app.test_client()


def _as(who: str, version: str = "2.1") -> dict[str, str]:
    return {"X-Auth-Token": who, "OpenStack-API-Version": f"compute {version}"}


def test_a_version_shows_its_own_fields(client: FlaskClient) -> None:
    old = client.get("/compute/v2.1/widgets/w0", headers=_as("member")).json
    new = client.get("/compute/v2.1/widgets/w0", headers=_as("member", "2.4")).json
    assert old == {"widget": {"id": "w0", "name": "widget 0", "shape": "round"}}
    assert new == {"widget": {"id": "w0", "name": "widget 0", "colour": "red"}}


def test_fields_for_admins_stay_with_admins(client: FlaskClient) -> None:
    assert client.get("/compute/v2.1/widgets/w0", headers=_as("admin")).json["widget"]["host"] == "rack"
    assert "host" not in client.get("/compute/v2.1/widgets/w0", headers=_as("member")).json["widget"]


def test_the_version_is_echoed_in_both_headers(client: FlaskClient) -> None:
    answer = client.get("/compute/v2.1/widgets", headers=_as("member", "latest"))
    assert answer.headers["OpenStack-API-Version"] == "compute 2.5"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.5"
    assert answer.headers["Vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]


def test_the_older_header_counts_when_the_new_one_is_for_another_service(client: FlaskClient) -> None:
    headers = {"X-Auth-Token": "member", "OpenStack-API-Version": "volume 3.9",
               "X-OpenStack-Nova-API-Version": "2.4"}  # fmt: skip
    assert client.get("/compute/v2.1/widgets", headers=headers).headers["OpenStack-API-Version"] == "compute 2.4"


def test_a_version_outside_the_range_is_406_with_the_range(client: FlaskClient) -> None:
    answer = client.get("/compute/v2.1/widgets", headers=_as("member", "2.9"))
    assert answer.status_code == 406
    assert answer.json["computeFault"]["message"] == (
        "Version 2.9 is not supported by the API. Minimum is 2.1 and maximum is 2.5."
    )
    assert answer.headers["OpenStack-API-Version"] == "compute 2.9"


@pytest.mark.parametrize("text", ["2", "2.x", "2.01", "-2.1", "2.1 2.2", "2." + "9" * 50])
def test_a_malformed_version_is_400(client: FlaskClient, text: str) -> None:
    answer = client.get("/compute/v2.1/widgets", headers=_as("member", text))
    assert answer.status_code == 400
    assert "OpenStack-API-Version" not in answer.headers


def test_an_operation_of_other_versions_is_not_found(client: FlaskClient) -> None:
    assert client.delete("/compute/v2.1/widgets/w0", headers=_as("member", "2.2")).status_code == 204
    answer = client.delete("/compute/v2.1/widgets/w0", headers=_as("member", "2.1"))
    assert (answer.status_code, list(answer.json)) == (404, ["itemNotFound"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2.1/nothing"), ("PUT", "/v2.1/widgets"), ("GET", "/x//y")])
def test_an_unknown_route_is_404_in_novas_shape(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/compute{path}", method=method, headers=_as("member"))
    assert answer.status_code == 404
    assert answer.json["title"] == "Not Found"
    assert "OpenStack-API-Version" not in answer.headers


@pytest.mark.parametrize("token", ["", "unknown", "x" * 5000])
@pytest.mark.parametrize("path", ["/v2.1/widgets", "/v2.1/nothing"])
def test_without_a_good_token_everything_but_public_routes_is_401(client: FlaskClient, path: str, token: str) -> None:
    answer = client.get(f"/compute{path}", headers={"X-Auth-Token": token})
    assert (answer.status_code, answer.json["error"]["code"]) == (401, 401)
    assert answer.headers["WWW-Authenticate"].startswith('Keystone uri="')
    assert client.get("/compute/").status_code == 300


def test_the_rule_decides(client: FlaskClient) -> None:
    answer = client.post("/compute/v2.1/widgets", json={"widget": {"name": "a"}}, headers=_as("reader"))
    assert answer.status_code == 403
    assert "os_compute_api:servers:create" in answer.json["forbidden"]["message"]


def test_the_unit_is_committed_before_the_answer(client: FlaskClient, ledger: Ledger) -> None:
    answer = client.post("/compute/v2.1/widgets", json={"widget": {"name": "a"}}, headers=_as("member"))
    assert answer.status_code == 202
    assert answer.headers["Location"] == "http://localhost/compute/v2.1/widgets/new"
    assert ledger.ended == ["write ended"]


@pytest.mark.parametrize(
    ("how", "status", "key"),
    [("conflict", 409, "conflictingRequest"), ("quota", 403, "forbidden"), ("busy", 503, "serviceUnavailable"),
     ("bug", 500, "computeFault")],
)  # fmt: skip
def test_errors_roll_back_and_keep_their_shape(
    client: FlaskClient, ledger: Ledger, how: str, status: int, key: str
) -> None:
    answer = client.post(f"/compute/v2.1/fail/{how}", headers=_as("member"))
    assert (answer.status_code, list(answer.json)) == (status, [key])
    assert ledger.ended == ["write rolled back"]
    assert "secret detail" not in answer.text
    assert ("Retry-After" in answer.headers) == (how == "busy")


BAD_BODIES = [
    (b"", "Malformed request body"),
    (b"{", "Malformed request body"),
    (b"[]", "object"),
    (b"\xff\xfe", "Malformed request body"),
    (b"[" * 100_000, "Malformed request body"),
    (b'{"widget": ' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
    (b'{"widget": {"name": "a\\u0000"}}', "NUL"),
    (b'{"widget": {"name": "a", "size": ' + b"9" * 400 + b"}}", "size"),
    (b'{"widget": {"name": "a", "size": 1e999}}', "out of range"),
    (b'{"widget": {}}', "'name' is a required property"),
    (b'{"widget": {"name": 5}}', "Invalid input for field/attribute name. Value: 5."),
    (b'{"widget": {"name": " a"}}', "field/attribute name"),
    (b'{"widget": {"name": "aaaaaaaaaaa"}}', "field/attribute name"),
    (b'{"widget": {"name": "a", "size": 10}}', "field/attribute size. Value: 10."),
    (b'{"widget": {"name": "a", "size": "0"}}', "field/attribute size. Value: 0."),
    (b'{"widget": {"name": "a", "colour": "red"}}', "colour"),
    (b'{"widget": {"name": "a"}, "gadget": 1}', "gadget"),
    (b'{"widget": {"name": "a", "password": "hunter2"}}', "field/attribute password"),
]


@pytest.mark.parametrize(("data", "says"), BAD_BODIES)
def test_a_bad_body_is_400_and_names_the_field(client: FlaskClient, data: bytes, says: str) -> None:
    answer = client.post("/compute/v2.1/widgets", data=data, content_type="application/json", headers=_as("member"))
    assert answer.status_code == 400
    assert says in answer.json["badRequest"]["message"]
    assert "hunter2" not in answer.text


def test_other_content_types_are_415(client: FlaskClient) -> None:
    answer = client.post("/compute/v2.1/widgets", data="<a/>", content_type="text/xml", headers=_as("member"))
    assert (answer.status_code, list(answer.json)) == (415, ["badMediaType"])


def test_a_body_over_the_cap_is_413(client: FlaskClient) -> None:
    answer = client.post("/compute/v2.1/widgets", data=b"x" * 200_000, headers=_as("member"))
    assert (answer.status_code, list(answer.json)) == (413, ["overLimit"])


def test_actions_are_picked_by_the_body(client: FlaskClient) -> None:
    path = "/compute/v2.1/widgets/w0/action"
    assert client.post(path, json={"paint": None}, headers=_as("member")).json == {"painted": None}
    assert client.post(path, json={"bend": {}}, headers=_as("member")).status_code == 202
    assert client.post(path, json={"bend": {}}, headers=_as("member", "2.4")).status_code == 404
    unknown = client.post(path, json={"fly": None}, headers=_as("member"))
    assert (unknown.status_code, unknown.json["badRequest"]["message"]) == (400, "There is no such action: fly")
    assert client.post(path, json={"paint": "green"}, headers=_as("member")).status_code == 400
    for body in ({}, {"paint": None, "bend": None}, [], "paint"):
        assert client.post(path, json=body, headers=_as("member")).status_code == 400


def test_pages_link_to_the_next(client: FlaskClient) -> None:
    seen, url = [], "/compute/v2.1/widgets?limit=2"
    while url:
        page = client.get(url, headers=_as("member")).json
        seen += [widget["id"] for widget in page["widgets"]]
        links = page.get("widgets_links", [])
        url = links[0]["href"].removeprefix("http://localhost") if links else ""
    assert seen == ["w0", "w1", "w2", "w3", "w4"]


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "\uff19", "9" * 40])
def test_a_bad_limit_is_400(client: FlaskClient, text: str) -> None:
    answer = client.get("/network/v2.1/widgets", query_string={"limit": text}, headers=_as("member"))
    assert answer.status_code == 400
    assert "limit" in answer.json["NeutronError"]["message"]


def test_unknown_query_names_are_refused_where_the_version_says_so(client: FlaskClient) -> None:
    assert client.get("/compute/v2.1/widgets?x=1", headers=_as("member", "2.4")).status_code == 200
    assert client.get("/compute/v2.1/widgets?x=1", headers=_as("member", "2.5")).status_code == 400


def test_a_project_in_the_url_must_be_the_tokens(client: FlaskClient) -> None:
    assert client.get(f"/compute/v2.1/{PROJECT}/widgets/w1", headers=_as("member")).status_code == 200
    assert client.get(f"/compute/v2.1/{'0' * 32}/widgets", headers=_as("member")).status_code == 400


def test_head_slashes_nul_and_odd_bytes(client: FlaskClient) -> None:
    head = client.head("/compute/v2.1/widgets/w0", headers=_as("member"))
    assert (head.status_code, head.data) == (200, b"")
    assert client.get("/compute/v2.1/widgets/w0/", headers=_as("member")).status_code == 200
    assert client.get("/compute/v2.1/widgets/%00", headers=_as("member")).status_code == 404
    assert client.get("/compute/v2.1/widgets/%ff", headers=_as("member")).status_code == 404
    assert client.get("/compute/v2.1/widgets?marker=%00", headers=_as("member")).status_code == 400


def test_uploads_and_downloads_stream(client: FlaskClient) -> None:
    assert client.put("/compute/v2.1/upload", data=b"x" * 300_000, headers=_as("member")).json == {"bytes": 300_000}
    answer = client.get("/compute/v2.1/download", headers=_as("member"))
    assert (answer.data, answer.headers["X-Sum"], answer.mimetype) == (b"abcd", "4", "application/octet-stream")


def test_neutrons_errors_have_a_type(client: FlaskClient) -> None:
    answer = client.get("/network/v2.1/widgets/w9", headers=_as("member"))
    assert answer.status_code == 404
    assert json.loads(answer.data)["NeutronError"]["type"] == "WidgetNotFound"
    assert "OpenStack-API-Version" not in answer.headers


def test_a_revocation_empties_the_cache_of_tokens() -> None:
    epoch, calls = [0], []

    def resolve(token: str) -> tuple[Context, datetime]:
        calls.append(token)
        return _resolve(token)

    auth = TokenAuth(resolve, lambda: epoch[0])
    assert auth.authenticate("member") is auth.authenticate("member")
    assert len(calls) == 1
    epoch[0] = 1
    auth.authenticate("member")
    assert len(calls) == 2


def test_a_field_declared_twice_for_one_version_fails_at_import() -> None:
    with pytest.raises(ValueError, match="twice"):
        View(Field("a", until="2.3"), Field("a", since="2.3"))
    with pytest.raises(ValueError, match="twice"):
        Body("x", Item("a", {}), Item("a", {}, since="2.4"))


def test_two_operations_that_cannot_be_told_apart_fail_at_mount(ledger: Ledger) -> None:
    twice = [Route("GET", "/a", _show, rule="os_compute_api:limits"),
             Route("GET", "/a", _show, rule="os_compute_api:limits", since="2.3")]  # fmt: skip
    parts = Parts(Settings(state_dir="/nowhere"), ledger, TokenAuth(_resolve, lambda: 0))
    with pytest.raises(ValueError, match="twice"):
        mount(flask.Flask("test"), Front("x", "/x", twice, faults.NOVA), parts)


def test_a_rule_without_a_policy_fails_at_mount(ledger: Ledger) -> None:
    parts = Parts(Settings(state_dir="/nowhere"), ledger, TokenAuth(_resolve, lambda: 0))
    with pytest.raises(ValueError, match="no rule nobody"):
        mount(flask.Flask("test"), Front("x", "/x", [Route("GET", "/a", _show, rule="nobody")], faults.NOVA), parts)


def test_invalid_names_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        NEW.schema(VersionRange("x", "2.1", "2.1").lowest).check({"widget": {"name": 5}})
    assert caught.value.field == "widget.name"


def test_a_front_describes_itself(client: FlaskClient) -> None:
    answer = client.get("/compute/openapi.json")
    paths = answer.json["paths"]
    assert answer.json["openapi"].startswith("3.1")
    assert paths["/v2.1/widgets"]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"] == [
        "widget"
    ]
    assert paths["/v2.1/widgets/{widget_id}"]["delete"]["x-since"] == "2.2"
    actions = paths["/v2.1/widgets/{widget_id}/action"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert len(actions["oneOf"]) == 2
    assert "security" not in paths["/"]["get"]
    assert {one["name"] for one in paths["/v2.1/widgets"]["get"]["parameters"]} == {
        "limit", "marker", "OpenStack-API-Version",
    }  # fmt: skip
