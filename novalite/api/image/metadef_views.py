"""Metadata definitions as Glance shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.api.image.metadef_schemas import OBJECT, PROPERTY
from novalite.api.kit.view import utc_seconds
from novalite.cloud.image.metadef_records import MetadefAssociation, MetadefItem
from novalite.cloud.image.metadefs import Whole

_HERE = "/v2/metadefs/namespaces"


def namespace(found: Whole) -> dict[str, Any]:
    """With what belongs to it, as far as ``found`` has it."""
    one = found.namespace
    told: dict[str, Any] = {
        "namespace": one.namespace, "display_name": one.display_name, "description": one.description,
        "visibility": one.visibility, "protected": one.protected, "owner": one.owner,
        "created_at": utc_seconds(one.created_at), "updated_at": utc_seconds(one.updated_at),
        "self": f"{_HERE}/{one.namespace}", "schema": "/v2/schemas/metadefs/namespace",
    }  # fmt: skip
    told = {name: value for name, value in told.items() if value is not None}
    if found.associations:
        told["resource_type_associations"] = [association(each) for each in found.associations]
    if found.items.get("property"):
        told["properties"] = {each.name: dict(each.body) for each in found.items["property"]}
    if found.items.get("object"):
        told["objects"] = [one_object(each, one.namespace) for each in found.items["object"]]
    if found.items.get("tag"):
        told["tags"] = [{"name": each.name} for each in found.items["tag"]]
    return told


def association(one: MetadefAssociation) -> dict[str, Any]:
    more = {"prefix": one.prefix, "properties_target": one.properties_target}
    return {
        "name": one.name, **{name: value for name, value in more.items() if value is not None},
        "created_at": utc_seconds(one.created_at), "updated_at": utc_seconds(one.updated_at),
    }  # fmt: skip


def kept(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request for an object, a property or a tag beside its name."""
    return {key: value for key, value in given.items() if key in {**PROPERTY, **OBJECT} and key != "name"}


def one_property(one: MetadefItem) -> dict[str, Any]:
    return {"name": one.name, **one.body}


def one_object(one: MetadefItem, namespace_name: str) -> dict[str, Any]:
    return {
        "name": one.name, "required": [], "properties": {}, **one.body,
        "created_at": utc_seconds(one.created_at), "updated_at": utc_seconds(one.updated_at),
        "self": f"{_HERE}/{namespace_name}/objects/{one.name}", "schema": "/v2/schemas/metadefs/object",
    }  # fmt: skip


def one_tag(one: MetadefItem) -> dict[str, Any]:
    return {"name": one.name, "created_at": utc_seconds(one.created_at), "updated_at": utc_seconds(one.updated_at)}
