"""Logging in, finding services, following pages and telling errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest

from novalite import errors
from novalite.cli.client import Client


def test_it_logs_in_once_and_sends_the_token_and_the_compute_version(cloud: Any, client: Client) -> None:
    cloud.on("GET", "compute/limits", {"limits": {}})
    client.get("compute", "/limits")
    client.get("compute", "/limits")
    assert cloud.logins == 1
    assert cloud.requests[0].headers["X-Auth-Token"] == "token-1"
    assert cloud.requests[0].headers["OpenStack-API-Version"] == "compute 2.79"


def test_a_token_that_died_is_renewed(cloud: Any, client: Client) -> None:
    refusal = httpx.Response(401, json={"error": {"code": 401, "message": "Expired.", "title": "Unauthorized"}})
    cloud.on("GET", "compute/limits", refusal, {"limits": {"absolute": {}}})
    assert client.get("compute", "/limits") == {"limits": {"absolute": {}}}
    assert cloud.requests[-1].headers["X-Auth-Token"] == "token-2"


def test_a_collection_is_read_page_by_page(cloud: Any, client: Client) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        second = request.url.params.get("marker") == "2"
        more = {} if second else {"servers_links": [{"rel": "next", "href": "http://elsewhere/"}]}
        return httpx.Response(200, json={"servers": [{"id": "3"}] if second else [{"id": "1"}, {"id": "2"}], **more})

    cloud.on("GET", "compute/servers/detail", page)
    assert [each["id"] for each in client.collection("compute", "/servers/detail", "servers")] == ["1", "2", "3"]


def test_refused_credentials_say_where_they_come_from(cloud: Any, client: Client) -> None:
    wrong = dataclasses.replace(client.credentials, password="wrong")
    other = Client(wrong, transport=httpx.MockTransport(cloud.handle))
    with pytest.raises(errors.Unauthenticated, match=r"The login was refused: No. The credentials come from a test"):
        other.get("compute", "/limits")


def test_a_service_the_cloud_lacks_is_named(client: Client) -> None:
    with pytest.raises(errors.Unsupported, match="no volume service"):
        client.get("volume", "/volumes")


def test_nothing_listening_is_told_as_unreachable(client: Client) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.raises(errors.DependencyDown, match=r"Nothing answers at http://cloud.example:8774/identity"):
        Client(client.credentials, transport=httpx.MockTransport(refuse)).get("compute", "/limits")


@pytest.mark.parametrize(
    ("status", "body", "family", "message"),
    [
        (409, {"conflictingRequest": {"code": 409, "message": "It is locked."}}, errors.Conflict, "It is locked."),
        (400, {"NeutronError": {"type": "T", "message": "Bad range.", "detail": ""}}, errors.Invalid, "Bad range."),
        (
            403,
            {"message": "Quota &lt;5&gt;.<br /><br />\n\n\n", "code": "403 Forbidden"},
            errors.Forbidden,
            "Quota <5>.",
        ),
        (
            404,
            {"itemNotFound": {"code": 404, "message": "Instance x could not be found."}},
            errors.NotFound,
            "Instance x",
        ),
        (503, {"errors": [{"status": 503, "detail": "Come back."}]}, errors.Busy, "Come back."),
        (500, {"computeFault": {"code": 500, "message": "Unexpected."}}, errors.Failed, "Unexpected."),
        (406, {}, errors.Refused, "GET /compute/v2.1/limits was answered 406."),
    ],
)
def test_errors_of_every_api_become_one_family(
    cloud: Any, client: Client, status: int, body: Any, family: type[Exception], message: str
) -> None:
    cloud.on("GET", "compute/limits", body, status=status)
    with pytest.raises(family, match=message):
        client.get("compute", "/limits")


def test_an_error_that_is_not_json_still_says_what_was_asked(cloud: Any, client: Client) -> None:
    cloud.on("GET", "compute/limits", httpx.Response(502, text="<html>Bad gateway</html>"))
    with pytest.raises(errors.Failed, match="was answered 502"):
        client.get("compute", "/limits")


@pytest.mark.parametrize("status", [200, 302])
def test_a_web_server_that_is_no_cloud_is_told_apart(client: Client, status: int) -> None:
    other = Client(
        client.credentials, transport=httpx.MockTransport(lambda request: httpx.Response(status, text="<html>Hello"))
    )
    with pytest.raises((errors.Failed, errors.Refused), match=r"is not an OpenStack API|was answered 302"):
        other.get("compute", "/limits")


def test_an_answer_that_is_not_json_is_not_taken_for_one(cloud: Any, client: Client) -> None:
    cloud.on("GET", "compute/limits", httpx.Response(200, text="<html>Hello"))
    with pytest.raises(errors.Failed, match="is not an OpenStack API"):
        client.get("compute", "/limits")
