"""Tags: words that projects put on their objects to find them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from novalite.cloud.network import (
    floating_ips,
    networks,
    ports,
    qos,
    routers,
    security_group_rules,
    security_groups,
    subnet_pools,
    subnets,
)
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

MOST, LONGEST = 50, 255


@dataclass(frozen=True)
class Taggable:
    """How an object of the kind is found, to look at and to change."""

    see: Callable[[Work, str], Any]
    own: Callable[[Work, str], Any]


KINDS: Mapping[str, Taggable] = {
    "networks": Taggable(networks.get, networks.get_own),
    "subnets": Taggable(subnets.get, subnets.get_own),
    "ports": Taggable(ports.get, ports.get),
    "routers": Taggable(routers.get, routers.get),
    "floatingips": Taggable(floating_ips.get, floating_ips.get),
    "security-groups": Taggable(security_groups.get, security_groups.get_own),
    "security-group-rules": Taggable(security_group_rules.get, security_group_rules.get),
    "subnetpools": Taggable(subnet_pools.get, subnet_pools.get_own),
    "policies": Taggable(qos.get, qos.get_own),
}
"""Collection -> what is in it."""


def checked(tags: Iterable[str]) -> list[str]:
    """Raises ``Invalid`` for too many, too long ones, and for commas, which part tags in filters."""
    found = list(dict.fromkeys(tags))
    if len(found) > MOST:
        raise Invalid(f"The number of tags exceed the per-resource limit of {MOST}.", code="tag.limit", field="tags")
    for tag in found:
        if not tag or len(tag) > LONGEST or "," in tag:
            raise Invalid(
                f"Invalid input for tags. Reason: '{tag[:80]}' is not 1 to {LONGEST} characters without a comma.",
                field="tags",
            )
    return found


def of(w: Work, collection: str, object_id: str) -> list[str]:
    return list(KINDS[collection].see(w, object_id).tags)


def replace(w: Work, collection: str, object_id: str, tags: Iterable[str]) -> list[str]:
    """The object has exactly these."""
    return _set(w, KINDS[collection].own(w, object_id), checked(tags))


def add(w: Work, collection: str, object_id: str, tags: Iterable[str]) -> list[str]:
    """It has these too; repeating it is allowed."""
    found = KINDS[collection].own(w, object_id)
    return _set(w, found, checked([*found.tags, *tags]))


def remove(w: Work, collection: str, object_id: str, tag: str) -> None:
    """Raises ``NotFound`` for a tag it does not have."""
    found = KINDS[collection].own(w, object_id)
    if tag not in found.tags:
        raise absent(tag)
    _set(w, found, [other for other in found.tags if other != tag])


def absent(tag: str) -> NotFound:
    return NotFound("tag", tag[:100], message=f"Tag {tag[:100]} could not be found.")


def _set(w: Work, found: Any, tags: list[str]) -> list[str]:
    if tags != found.tags:
        found.tags = tags
        if hasattr(found, "revision"):
            found.updated_at, found.revision = w.now, found.revision + 1
        w.session.flush()
    return tags
