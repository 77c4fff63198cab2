"""Which versions of the image API there are; asked without a token."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import PUBLIC, Route

_MINORS = (15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)


def documents(call: Call) -> dict[str, Any]:
    links = [{"rel": "self", "href": call.link("/v2/")}]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == _MINORS[0] else "SUPPORTED", "links": links}
            for minor in _MINORS
        ]
    }


def choices(call: Call) -> Answer:
    return Answer(documents(call), status=300)


ROUTES = [
    Route("GET", "/", choices, rule=PUBLIC, success=300),
    Route("GET", "/versions", documents, rule=PUBLIC),
]
