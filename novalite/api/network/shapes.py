"""What the nouns of the Network API share: common fields, JSON Schemas, what is refused."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.view import Field, utc_seconds
from novalite.cloud.network import grants, tags
from novalite.errors import Forbidden, Unsupported

ROOT = "/v2.0"
NAME = {"type": "string", "maxLength": 255}
BOOLEAN = {"type": "boolean"}
UUID = {"type": "string", "format": "uuid"}
PROJECT = {"type": "string", "maxLength": 255}
LIST: dict[str, Any] = {"type": "array"}
ANY: dict[str, Any] = {}
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DNS_NAME = {"type": "string", "maxLength": 255, "pattern": rf"^({_LABEL}(\.{_LABEL})*\.?)?\Z"}
DNS_DOMAIN = {"type": "string", "maxLength": 255, "pattern": rf"^(({_LABEL}\.)+)?\Z"}
TAGS = {"type": "array", "items": {"type": "string"}, "maxItems": 200}


def common_fields() -> tuple[Field, ...]:
    """Fields that every object has, in Neutron's forms."""
    return (
        Field("id"),
        Field("name"),
        Field("description"),
        Field("project_id"),
        Field("tenant_id", "project_id"),
        Field("created_at", lambda record, call: utc_seconds(record.created_at)),
        Field("updated_at", lambda record, call: utc_seconds(record.updated_at)),
        Field("revision_number", "revision"),
        Field("tags"),
    )


def shared(record: Any, call: Call) -> bool:
    """Whether an RBAC policy gives the object (with its ``grants``) to the caller's project."""
    return grants.is_shared(record.grants, call.ctx)


def given_tags(call: Call) -> list[str]:
    """The tags that a new object is to have."""
    return tags.checked(call.body.get("tags", ()))


def whole_number(value: int | str | None) -> int | None:
    """A number that clients may send as text."""
    return None if value is None else int(value)


def owner(call: Call) -> str:
    """The project a new object is for: the caller's, or any that an administrator names."""
    asked = str(call.body.get("project_id") or call.body.get("tenant_id") or "")
    if asked and asked != call.ctx.project_id and not call.ctx.is_admin:
        raise Forbidden("Only an administrator may create objects for another project.", code="policy.other_project")
    return asked or call.ctx.project_id


def refuse_unless(call: Call, **only: Any) -> None:
    """Raises ``Unsupported`` for a value that NovaLite's networks cannot have; ``only`` are those they do have.
    Underscores stand for colons where a name has ``__``."""
    for key, allowed in only.items():
        name = key.replace("__", ":")
        if name in call.body and call.body[name] not in (allowed, None):
            raise Unsupported(f"NovaLite's networks do not offer '{name}' other than {allowed!r} yet.",
                              code="network.unsupported", field=name)  # fmt: skip
