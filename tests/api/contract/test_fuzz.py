"""Requests that nobody wrote, drawn from the OpenAPI documents: no 5xx, answers as declared, nothing half made.

``FUZZ_EXAMPLES`` is how many requests each operation gets from each caller; the draws are the same in each run. Where a
request is nothing but a path, any text will do for its parts: no wrong one is looked for, which would take long.
"""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from novalite.api.compute.front import FRONT as COMPUTE
from novalite.api.identity.front import FRONT as IDENTITY
from novalite.api.image.front import FRONT as IMAGE
from novalite.api.kit.routes import Front
from novalite.api.network.front import FRONT as NETWORK
from novalite.api.volume.front import FRONT as VOLUME
from novalite.appliance.web import examine
from novalite.cloud.compute.servers import Server
from novalite.cloud.network.records import Port
from novalite.cloud.tasks import tasks
from novalite.context import internal
from tests.api.conftest import running, wait_for
from tests.api.contract.pool import Pool, fill
from tests.api.contract.world import World

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
FRONTS = (COMPUTE, VOLUME, NETWORK, IMAGE, IDENTITY)
CHECKS: list[CheckFunction] = [response_schema_conformance, content_type_conformance]
_SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@schemathesis.serializer("application/openstack-images-v2.1-json-patch")
def _patch(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with running(
        tmp_path_factory.mktemp("state"), logging__level="ERROR", compute__fake_hosts=2, quota__instances=40
    ) as appliance:
        yield fill(World(appliance))


def _problems(front: Front, pool: Pool, token: str, mode: GenerationMode) -> Iterator[str]:
    version = str(front.versions.highest) if front.versions else ""
    query = f"?version={version}" if version else ""
    described = pool.world.appliance.client.get(f"{front.prefix}/openapi.json{query}").get_json()
    for operations in described["paths"].values():
        for operation in operations.values():
            # Token and version are always right, or wrong requests would come no further than these.
            operation.pop("security", None)
            operation["parameters"] = [one for one in operation["parameters"] if one["in"] != "header"]
    schema = schemathesis.openapi.from_dict(described)
    schema.app = pool.world.appliance.app
    headers = {"X-Auth-Token": token}
    if front.versions:
        headers["OpenStack-API-Version"] = f"{front.versions.service} {version}"
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation.definition.raw):
            yield from _of_operation(operation, pool, headers, mode)


def _can_be_wrong(told: dict[str, Any]) -> bool:
    return "requestBody" in told or any(one["in"] == "query" for one in told["parameters"])


def _of_operation(operation: Any, pool: Pool, headers: dict[str, str], mode: GenerationMode) -> list[str]:
    problems: list[str] = []

    @_SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        pool.salt(case, random.Random(repr((case.path_parameters, case.query, case.body))))
        answer = case.call(headers=headers)
        pool.seen[answer.status_code] += 1
        asked = f"{case.method} {case.formatted_path} {case.query} {str(case.body)[:300]}"
        if answer.status_code >= 500 and answer.status_code != 501:
            problems.append(f"{asked}: {answer.status_code} {answer.text[:300]}")
            return
        if not answer.content:
            return  # whether it may be empty is the walk's to check: one path can have answers of both kinds
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as error:
            problems.append(f"{asked}: {answer.status_code} {str(error.exceptions[0])[:500]}")

    with warnings.catch_warnings(), suppress(Unsatisfiable):  # of some nothing can be wrong
        warnings.simplefilter("ignore")
        ask()
    return problems[:2]


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize("who", ["admin", "member"])
def test_no_request_breaks_it(pool: Pool, who: str, front: Front) -> None:
    pool.seen.clear()
    found = list(_problems(front, pool, pool.tokens[who], GenerationMode.POSITIVE))
    if found:
        pytest.fail("\n".join(found), pytrace=False)
    good = sum(number for status, number in pool.seen.items() if status < 300)
    assert good > (len(list(front.routes)) / 8 if who == "admin" else 3), pool.seen


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
def test_no_wrong_request_breaks_it(pool: Pool, front: Front) -> None:
    pool.seen.clear()
    found = list(_problems(front, pool, pool.tokens["admin"], GenerationMode.NEGATIVE))
    if found:
        pytest.fail("\n".join(found), pytrace=False)
    assert pool.seen[400], pool.seen


def test_nothing_is_left_half_made(pool: Pool) -> None:
    """Runs last: after all of the above."""
    engine, built = pool.world.appliance.engine, pool.world.appliance.built

    def idle() -> bool:
        with built.database.read(internal()) as w:
            return not tasks.live_resources(w)

    wait_for(idle, why="tasks did not end")
    assert examine(engine)["findings"] == []
    with built.database.read(internal()) as w:
        there = {str(one) for one in w.session.scalars(sa.select(Server.id))}
        owners = w.session.scalars(sa.select(Port.device_id).where(Port.device_owner.startswith("compute:")))
        assert {owner for owner in owners if owner not in there} == set()
        stuck = [
            (one.id, one.vm_state, one.task_state)
            for one in w.session.scalars(sa.select(Server).where(Server.task_state.is_not(None)))
        ]
        assert stuck == []
