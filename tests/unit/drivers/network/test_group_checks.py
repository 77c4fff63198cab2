"""What a security group may hold before it reaches the packet filter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network import checks
from novalite.drivers.network.base import GroupSpec, RuleSpec
from novalite.errors import DriverError

GROUP = GroupSpec("9f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10")


@pytest.mark.parametrize(
    "rule",
    [
        RuleSpec(True),
        RuleSpec(False, 6, 58, 128, 0),
        RuleSpec(True, 4, 1, 8),
        RuleSpec(True, 4, 1, 8, 0),
        RuleSpec(True, 4, 132, 0, 65535),
        RuleSpec(True, 4, 255),
        RuleSpec(True, 4, remotes=("10.0.0.0/8", "192.0.2.1/32")),
        RuleSpec(True, 6, remotes=("fd00::/8", "::/0")),
        RuleSpec(True, remote_group=GROUP.id),
        RuleSpec(True, nobody=True),
    ],
)
def test_rules_that_are_rules(rule: RuleSpec) -> None:
    checks.group(replace(GROUP, rules=(rule,)))


@pytest.mark.parametrize(
    "rule",
    [
        RuleSpec(True, 5),
        RuleSpec(True, 4, 256),
        RuleSpec(True, 4, -1),
        RuleSpec(True, 4, 6, 1, 65536),
        RuleSpec(True, 4, 6, 23, 22),
        RuleSpec(True, 4, 6, None, 22),
        RuleSpec(True, 4, 1, 256),
        RuleSpec(True, 6, 58, 128, 256),
        RuleSpec(True, 4, remotes=("fd00::/8",)),
        RuleSpec(True, 6, remotes=("10.0.0.0/8",)),
        RuleSpec(True, 4, remotes=("10.0.0.1/8",)),
        RuleSpec(True, 4, remotes=("10.0.0.0/8 } drop",)),
        RuleSpec(True, remote_group="default"),
    ],
)
def test_rules_that_are_none(rule: RuleSpec) -> None:
    with pytest.raises(DriverError) as raised:
        checks.group(replace(GROUP, rules=(RuleSpec(True), rule)))
    assert raised.value.code == "network.invalid"


def test_an_id_that_is_none() -> None:
    with pytest.raises(DriverError):
        checks.group(GroupSpec("default"))
