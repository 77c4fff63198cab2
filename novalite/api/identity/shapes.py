"""What several of identity's answers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.kit.body import Item
from novalite.api.kit.call import Call
from novalite.api.kit.view import Field
from novalite.cloud.identity import tokens
from novalite.db.work import Work
from novalite.errors import Forbidden, Invalid

NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"[\S]"}
TEXT = {"type": ["string", "null"], "maxLength": 60000}
FLAG = {"type": "boolean"}
ID = {"type": "string", "minLength": 1, "maxLength": 64}
OPTIONS = {"type": "object", "additionalProperties": True}
ROOT = "/v3"


def links(collection: str) -> Field:
    """The ``links`` of one object, to itself."""
    return Field("links", lambda item, call: {"self": call.link(f"{ROOT}/{collection}/{item.id}")})


def constant(name: str, value: Any) -> Field:
    return Field(name, lambda item, call: value)


def flag(call: Call, name: str) -> bool | None:
    """A yes or no in the query; the bare name means yes, as Keystone reads it."""
    text = call.query.get(name)
    return None if text is None else text.lower() not in ("0", "false", "no", "off")


def filters(call: Call, texts: str, flags: str = "") -> dict[str, Any]:
    """The query's exact filters among the names in ``texts`` and ``flags``."""
    found: dict[str, Any] = {name: call.query[name] for name in texts.split() if name in call.query}
    found.update({name: flag(call, name) for name in flags.split() if name in call.query})
    return found


def values(call: Call, names: str) -> dict[str, Any]:
    """The body's values among ``names``."""
    return {name: call.body[name] for name in names.split() if name in call.body}


def refuse_trust_token(call: Call, w: Work) -> None:
    """Raises ``Forbidden`` when the caller's token is one of a trust: what it makes would outlive the trust."""
    if tokens.resolve(w, call.token).trust is not None:
        raise Forbidden("A token of a trust makes no credentials and no trusts.")


def refuse_delegated(call: Call, w: Work) -> None:
    """Raises ``Forbidden`` unless the caller has logged in as a whole: a trust, or an application credential that is
    not unrestricted, must not lead to secrets or trusts that reach further than itself."""
    refuse_trust_token(call, w)
    credential = tokens.resolve(w, call.token).credential
    if credential is not None and not credential.unrestricted:
        raise Forbidden("A restricted application credential deals with no credentials and no trusts.")


def refuse_change(call: Call, name: str, value: Callable[[], str]) -> None:
    """Raises ``Invalid`` when the body would change something that never changes."""
    if name in call.body and call.body[name] != value():
        raise Invalid(f"Cannot change {name}.", field=name)


NAMED = (Item("name", NAME, required=True),)
