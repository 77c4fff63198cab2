"""Quality-of-service specs, and the volume types that have them: for admins."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, EXTENSION, REQUIRED_NAME, ROOT, flag
from novalite.cloud.volume import qos
from novalite.cloud.volume.records import QosSpecs

_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}\Z"
_VALUE = {"type": ["string", "integer"], "maxLength": 255, "minimum": 0}
_SPECS: dict[str, Any] = {"type": "object", "patternProperties": {_KEY: _VALUE}, "additionalProperties": False}
_CONSUMER = {"enum": list(qos.CONSUMERS)}
_NEW = Body("qos_specs", whole={**_SPECS, "properties": {"name": REQUIRED_NAME, "consumer": _CONSUMER},
                                "required": ["name"]})  # fmt: skip
_CHANGE = Body("qos_specs", whole={**_SPECS, "properties": {"consumer": _CONSUMER}, "minProperties": 1})
_KEYS = Body("keys", whole={"type": "array", "items": {"type": "string", "maxLength": 255}, "minItems": 1,
                            "maxItems": 128})  # fmt: skip
_QUERY = Query(*(Item(name, ANY_QUERY) for name in ("limit", "marker", "offset", "sort", "sort_key", "sort_dir")))

VIEW = View(
    Field("id", schema=answers.UUID),
    Field("name", schema=answers.TEXT),
    Field("consumer", schema=answers.TEXT),
    Field("specs", schema=answers.TEXT_BY_NAME),
)


class _OneWithLinks:
    """``links`` stand beside what is shown, as Cinder has them."""

    content_type = "application/json"
    _one = VIEW.one("qos_specs")

    def render(self, result: QosSpecs, call: Call) -> Any:
        own = f"/{call.ctx.project_id}/qos-specs/{result.id}"
        links = [{"rel": "self", "href": call.link(ROOT + own)}, {"rel": "bookmark", "href": call.link(own)}]
        return {**self._one.render(result, call), "links": links}

    def schema(self, version: Any) -> dict[str, Any]:
        told = self._one.schema(version)
        return {**told, "properties": {**told["properties"], "links": answers.LINKS}}


def list_all(call: Call) -> Page:
    wanted = shapes.page(call)
    return full_page(qos.list_all(call.w, wanted), wanted.limit)


def show(call: Call) -> QosSpecs:
    return qos.get(call.w, call.path["id"])


def _texts(call: Call) -> dict[str, str]:
    return {name: str(value) for name, value in call.body.items() if name not in ("name", "consumer")}


def create(call: Call) -> QosSpecs:
    consumer = call.body.get("consumer", "back-end")
    return qos.create(call.w, call.body["name"].strip(), consumer=consumer, specs=_texts(call))


def update(call: Call) -> dict[str, Any]:
    qos.update(call.w, call.path["id"], _texts(call), consumer=call.body.get("consumer", ""))
    return {"qos_specs": call.body}


def delete_keys(call: Call) -> None:
    qos.remove_keys(call.w, call.path["id"], call.body)


def delete(call: Call) -> None:
    qos.delete(call.w, call.path["id"], force=flag(call, "force"))


def associations(call: Call) -> dict[str, Any]:
    found = qos.types_of(call.w, qos.get(call.w, call.path["id"]).id)
    return {"qos_associations": [{"association_type": "volume_type", "name": one.name, "id": one.id} for one in found]}


def associate(call: Call) -> None:
    qos.associate(call.w, call.path["id"], call.query.get("vol_type_id", ""))


def disassociate(call: Call) -> None:
    qos.dissociate(call.w, call.path["id"], call.query.get("vol_type_id", ""))


def disassociate_all(call: Call) -> None:
    qos.dissociate_all(call.w, call.path["id"])


_ASSOCIATION = answers.record({"association_type": answers.TEXT, "name": answers.TEXT, "id": answers.UUID})
_TYPE = Query(Item("vol_type_id", shapes.UUID))
_ALL, _ONE, _RULE = f"{ROOT}/qos-specs", f"{ROOT}/qos-specs/{{id}}", EXTENSION + "qos_specs_manage:"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "get_all", query=_QUERY, view=VIEW.many("qos_specs", nova_links),
          unit="read"),
    Route("POST", _ALL, create, rule=_RULE + "create", body=_NEW, view=_OneWithLinks(), unit="write"),
    Route("GET", _ONE, show, rule=_RULE + "get", view=_OneWithLinks(), unit="read"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_CHANGE, unit="write",
          view=Told("qos_specs", whole=answers.mapping(_VALUE))),
    Route("DELETE", _ONE, delete, rule=_RULE + "delete", success=202, unit="write"),
    Route("PUT", f"{_ONE}/delete_keys", delete_keys, rule=_RULE + "update", body=_KEYS, success=202, unit="write"),
    Route("GET", f"{_ONE}/associations", associations, rule=_RULE + "get_all", unit="read",
          view=Told("qos_associations", whole=answers.array(_ASSOCIATION))),
    Route("GET", f"{_ONE}/associate", associate, rule=_RULE + "update", query=_TYPE, success=202, unit="write"),
    Route("GET", f"{_ONE}/disassociate", disassociate, rule=_RULE + "update", query=_TYPE, success=202, unit="write"),
    Route("GET", f"{_ONE}/disassociate_all", disassociate_all, rule=_RULE + "update", success=202, unit="write"),
]  # fmt: skip
