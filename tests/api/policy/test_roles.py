"""Every operation of every API, asked by every kind of caller: let through or refused as the tables say.

The tables (``who_*.py``) were written from what the OpenStack services document, not from the rules here. Policy is
judged before bodies and objects, so requests name things that are not there: whoever is let through is told that.
Where the rule looks at whose a project or a user is, they are those of the callers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from novalite.api.admin import front as admin
from novalite.api.compute.front import FRONT as COMPUTE
from novalite.api.identity.front import FRONT as IDENTITY
from novalite.api.image.front import FRONT as IMAGE
from novalite.api.kit.routes import Front, Route
from novalite.api.network.front import FRONT as NETWORK
from novalite.api.volume.front import FRONT as VOLUME
from tests.api.conftest import running
from tests.api.policy import who_admin, who_compute, who_identity, who_image, who_network, who_volume
from tests.api.policy.callers import AUDIENCES, EVERYBODY, ROLES, UNKNOWN, Callers, gather

TABLES: list[tuple[Front, ModuleType]] = [
    (IDENTITY, who_identity), (COMPUTE, who_compute), (IMAGE, who_image), (NETWORK, who_network),
    (VOLUME, who_volume), (admin.front(dict, dict), who_admin),
]  # fmt: skip
_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")


BODIES: dict[str, Any] = {
    "POST /v3/users/{user_id}/application_credentials": lambda user: {"application_credential": {"name": UNKNOWN}},
    "POST /v3/users/{user_id}/credentials/OS-EC2": lambda user: {"tenant_id": UNKNOWN},
    "POST /v3/credentials": lambda user: {"credential": {"type": "cert", "blob": "x", "user_id": user}},
    "POST /v3/OS-TRUST/trusts": lambda user: {"trust": {
        "trustor_user_id": user, "trustee_user_id": UNKNOWN, "impersonation": False, "project_id": UNKNOWN,
        "roles": []}},
    "POST /v2.1/os-keypairs": lambda user: {"keypair": {"name": "k", "public_key": "no key", "user_id": user,
                                                        "type": "ssh"}},
    "PUT /v2.1/servers/{server_id}/os-volume_attachments/{volume_id}": lambda user: {
        "volumeAttachment": {"volumeId": UNKNOWN}},
}  # fmt: skip
"""Where the rule is asked after the body was read: a valid one, about the user ``member``."""


def _name(route: Route) -> str:
    """Its row's name; what answers at two paths has one row."""
    path = route.path.replace("/v2.1/os-volumes_boot", "/v2.1/servers", 1)
    return f"{route.method} {path} {route.action}".rstrip()


def _rows(table: ModuleType) -> Iterator[tuple[str, str]]:
    for audience, lines in table.MAY.items():
        for line in lines.strip().splitlines():
            yield line.strip(), audience


@pytest.mark.parametrize(("front", "table"), TABLES, ids=lambda value: getattr(value, "name", ""))
def test_every_operation_has_one_row_and_every_row_an_operation(front: Front, table: ModuleType) -> None:
    rows = [operation for operation, _ in _rows(table)]
    known = {_name(route) for route in front.routes}
    assert sorted(known - set(rows)) == [], f"give each a row in {table.__name__}"
    assert sorted(set(rows) - known) == []
    assert len(rows) == len(set(rows))


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    with running(tmp_path_factory.mktemp("state")) as appliance:
        yield gather(appliance)


def _answer(callers: Callers, front: Front, route: Route, caller: str) -> Any:
    whose = {"project_id": callers.project_id, "user_id": callers.user_id}
    there = whose if route.policy_in_handler else {}
    path = _PLACEHOLDER.sub(lambda found: there.get(found[1], UNKNOWN), route.path)
    headers = {"X-Auth-Token": callers.tokens[caller]} if callers.tokens[caller] else {}
    if front.versions:
        version = route.window.until or front.versions.highest
        headers["OpenStack-API-Version"] = f"{front.versions.service} {version}"
    if route.path.endswith("/auth/tokens"):
        headers["X-Subject-Token"] = callers.fresh_member()
    if "os-keypairs" in path and route.method != "POST":
        path += f"?user_id={callers.user_id}"
    if path.endswith("/os-migrations") and caller in ROLES:
        path += f"?project_id={callers.project_id}"
    body: dict[str, Any] = {"json": {route.action: None}} if route.action else {}
    if _name(route) in BODIES:
        body = {"json": BODIES[_name(route)](callers.user_id)}
    return callers.appliance.client.open(front.prefix + path, method=route.method, headers=headers, **body)


def _refused(answer: Any) -> bool:
    told = "Policy doesn't allow" in answer.text or not answer.data
    return answer.status_code == 401 or (answer.status_code == 403 and told)


CASES = [
    pytest.param(front, route, dict(_rows(table)).get(_name(route), ""), id=f"{front.name} {_name(route)}")
    for front, table in TABLES
    for route in {_name(route): route for route in front.routes}.values()
]


@pytest.mark.parametrize(("front", "route", "audience"), CASES)
def test_who_may(callers: Callers, front: Front, route: Route, audience: str) -> None:
    answers = {caller: _answer(callers, front, route, caller) for caller in sorted(EVERYBODY)}
    told = {caller: (answer.status_code, answer.text[:200]) for caller, answer in answers.items()}
    assert {caller for caller, answer in answers.items() if not _refused(answer)} == AUDIENCES[audience], told
    assert answers["nobody"].status_code == 401 or audience == "public", told
    assert not [answer for answer in answers.values() if answer.status_code >= 500 and route.success < 500], told
