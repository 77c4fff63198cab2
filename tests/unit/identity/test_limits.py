"""What bounds callers: the policy table, quotas, and the limiter of logins."""

from __future__ import annotations

import threading

import pytest

from novalite import settings
from novalite.cloud.identity import policy, quotas, roles
from novalite.cloud.identity.limiter import MOST_NAMES, LoginLimiter
from novalite.context import Context, internal
from novalite.db.work import Database
from novalite.errors import Forbidden, Invalid


def _who(*names: str, project: str = "p", system: bool = False) -> Context:
    return Context(user_id="u", project_id=project, roles=roles.with_implied(names), system=system)


CALLERS = {
    "admin": _who("admin"),
    "manager": _who("manager"),
    "member": _who("member"),
    "reader": _who("reader"),
    "service": _who("service"),
    "system reader": _who("reader", project="", system=True),
    "system admin": _who("admin", project="", system=True),
    "nobody": Context(user_id="u"),
}
IN_PROJECTS = {"admin", "manager", "member", "reader", "service"}
MAY = {
    "os_compute_api:extensions": IN_PROJECTS,
    "os_compute_api:flavors": {*CALLERS},
    "os_compute_api:servers:index": {"admin", "manager", "member", "reader"},
    "os_compute_api:servers:create": {"admin", "manager", "member"},
    "os_compute_api:os-migrations:index": {"admin", "manager"},
    "os_compute_api:os-hypervisors:list": {"admin"},
    "os_compute_api:os-server-external-events:create": {"admin", "service"},
    "compute:servers:resize:cross_cell": set(),
    "identity:create_user": {"admin", "system admin"},
    "identity:list_users": {"admin", "system admin", "system reader"},
    "get_images": {"admin", "manager", "member", "reader"},
    "create_network": {"admin", "manager", "member"},
    "volume:create": {"admin", "manager", "member"},
}


@pytest.mark.parametrize("rule", MAY)
def test_each_rule_admits_its_callers_and_no_others(rule: str) -> None:
    assert {name for name, ctx in CALLERS.items() if policy.allows(rule, ctx)} == MAY[rule]


def test_owners_reach_their_own_and_nobody_elses() -> None:
    rule = "os_compute_api:os-keypairs:show"
    assert policy.allows(rule, CALLERS["reader"], user_id="u")
    assert not policy.allows(rule, CALLERS["member"], user_id="other")


def test_roles_count_in_their_own_project_only() -> None:
    rule = "os_compute_api:os-quota-sets:show"
    assert policy.allows(rule, CALLERS["reader"], project_id="p")
    assert not policy.allows(rule, CALLERS["member"], project_id="other")


def test_a_refusal_names_its_rule() -> None:
    with pytest.raises(Forbidden, match="os_compute_api:servers:create"):
        policy.require("os_compute_api:servers:create", CALLERS["reader"])


def test_roles_imply_one_another_downwards() -> None:
    assert roles.with_implied(["admin"]) == {"admin", "manager", "member", "reader"}
    assert roles.with_implied(["service"]) == {"service"}


def test_quotas_are_defaults_overlaid_by_the_projects_own(database: Database) -> None:
    with database.write(internal()) as w:
        quotas.configure(w, settings.Quota(instances=3, ram_mib=64))
        quotas.set_limits(w, "p", {"cores": -1})
        assert quotas.limits(w, "p") | {"instances": 3, "ram": 64, "cores": -1} == quotas.limits(w, "p")
        assert quotas.limits(w, "other")["cores"] == 20
    with database.write(internal()) as w:
        quotas.configure(w, settings.Quota(instances=4))
        assert (quotas.limits(w, "p")["instances"], quotas.limits(w, "p")["cores"]) == (4, -1)
        quotas.reset(w, "p")
        assert quotas.limits(w, "p") == quotas.defaults(w)


@pytest.mark.parametrize("wanted", [{"pigs": 1}, {"cores": -2}, {"cores": 2**31}])
def test_quotas_refuse_nonsense(database: Database, wanted: dict[str, int]) -> None:
    with database.write(internal()) as w, pytest.raises(Invalid) as caught:
        quotas.set_limits(w, "p", wanted)
    assert caught.value.field in wanted


def test_a_hold_lets_one_at_a_time_count_and_add(database: Database) -> None:
    taken: list[int] = []

    def take() -> None:
        with database.write(internal()) as w:
            quotas.hold(w, "p")
            if len(taken) < 3:
                taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == 3


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_name_that_fails_waits_and_is_forgiven() -> None:
    clock = _Clock()
    limiter = LoginLimiter(3, 60, clock=clock)
    for _ in range(3):
        assert not limiter.waits("a")
        limiter.failed("a")
    assert limiter.waits("a")
    assert not limiter.waits("b")
    clock.now += 61
    assert not limiter.waits("a")
    limiter.failed("a")
    assert not limiter.waits("a")


def test_success_clears_the_count() -> None:
    limiter = LoginLimiter(2, 60)
    limiter.failed("a")
    limiter.succeeded("a")
    limiter.failed("a")
    assert not limiter.waits("a")


def test_the_limiter_forgets_before_it_grows() -> None:
    limiter = LoginLimiter(2, 60)
    for number in range(MOST_NAMES * 2):
        limiter.failed(f"name-{number}")
    assert len(limiter._seen) == MOST_NAMES
