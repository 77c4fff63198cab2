"""What only operators ask: how the process is, and whether records and machine agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from novalite.api.admin import adoptions, backup_store, exports, forwards, imports, lans, protections
from novalite.api.kit import faults
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Front, Route

Report = Callable[[], dict[str, Any]]


def front(status: Report, examine: Report) -> Front:
    """``status`` and ``examine`` answer with plain values ready for JSON."""

    def show_status(call: Call) -> dict[str, Any]:
        return status()

    def show_doctor(call: Call) -> dict[str, Any]:
        return examine()

    routes = [
        Route("GET", "/status", show_status, rule="novalite:admin:status", summary="Components, threads, backlog"),
        Route("GET", "/doctor", show_doctor, rule="novalite:admin:doctor", summary="What does not agree"),
    ]
    nouns = (lans, forwards, protections, backup_store, exports, imports, adoptions)
    return Front("admin", "/admin", [*routes, *itertools.chain(*(noun.ROUTES for noun in nouns))], faults.NOVA)
