"""Tags of everything that can have some."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network.shapes import ROOT, TAGS
from novalite.cloud.network import tags

GIVEN = Body("", Item("tags", TAGS, required=True))


class _Collection:
    """The tags of the objects at ``path``."""

    def __init__(self, collection: str, path: str) -> None:
        self.name, self.path = collection, f"{ROOT}/{path}/{{id}}/tags"

    def index(self, call: Call) -> dict[str, Any]:
        return {"tags": tags.of(call.w, self.name, call.path["id"])}

    def replace(self, call: Call) -> dict[str, Any]:
        return {"tags": tags.replace(call.w, self.name, call.path["id"], call.body["tags"])}

    def add_several(self, call: Call) -> dict[str, Any]:
        return {"tags": tags.add(call.w, self.name, call.path["id"], call.body["tags"])}

    def clear(self, call: Call) -> None:
        tags.replace(call.w, self.name, call.path["id"], ())

    def show(self, call: Call) -> None:
        if call.path["tag"] not in tags.of(call.w, self.name, call.path["id"]):
            raise tags.absent(call.path["tag"])

    def add(self, call: Call) -> None:
        tags.add(call.w, self.name, call.path["id"], [call.path["tag"]])

    def remove(self, call: Call) -> None:
        tags.remove(call.w, self.name, call.path["id"], call.path["tag"])

    def routes(self) -> list[Route]:
        all_, one, name = self.path, f"{self.path}/{{tag}}", self.name.replace("-", "_")
        see, change, end = (f"{verb}_{name}_tags" for verb in ("get", "update", "delete"))
        return [
            Route("GET", all_, self.index, rule=see, unit="read"),
            Route("PUT", all_, self.replace, rule=change, body=GIVEN, unit="write"),
            Route("POST", all_, self.add_several, rule=change, body=GIVEN, unit="write", success=201),
            Route("DELETE", all_, self.clear, rule=end, success=204, unit="write"),
            Route("GET", one, self.show, rule=see, success=204, unit="read"),
            Route("PUT", one, self.add, rule=change, success=201, unit="write"),
            Route("DELETE", one, self.remove, rule=end, success=204, unit="write"),
        ]


_PATHS = {"policies": "qos/policies"}
ROUTES = [route for name in tags.KINDS for route in _Collection(name, _PATHS.get(name, name)).routes()]
