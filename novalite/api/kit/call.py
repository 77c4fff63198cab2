"""One request as a handler sees it, and what it may answer beside a plain value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode

from werkzeug.datastructures import Headers, MultiDict

from novalite.api.kit.parts import Parts
from novalite.api.kit.versions import UNVERSIONED, Version
from novalite.context import Context
from novalite.db.work import Work

if TYPE_CHECKING:
    from novalite.api.kit.routes import Route


_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9/_.~-]*").fullmatch


@dataclass
class Call:
    """``path`` holds the placeholders of the route; ``query`` all values of each parameter; ``body`` the
    checked value below the body's key (or the action's), ``document`` the whole JSON body. ``w`` is the open
    unit of a route with ``unit``; touching it in another route is an error. ``stream`` is the raw body of a
    route with ``stream=True``. ``origin`` is ``scheme://host:port``, ``root`` the front's own URL. ``rooted`` is the
    path of the API's version and what the caller wrote for it; ``project_path`` the project in it, if any."""

    parts: Parts
    route: Route
    ctx: Context
    version: Version = UNVERSIONED
    path: Mapping[str, str] = field(default_factory=dict)
    query: MultiDict[str, str] = field(default_factory=MultiDict)
    headers: Headers = field(default_factory=Headers)
    body: Any = None
    document: Any = None
    stream: BinaryIO | None = None
    content_length: int | None = None
    origin: str = ""
    root: str = ""
    full_path: str = ""
    token: str = ""
    remote_address: str = ""
    unit: Work | None = None
    rooted: tuple[str, str] = ("", "")
    project_path: str = ""

    @property
    def w(self) -> Work:
        if self.unit is None:
            raise RuntimeError(f"{self.route.method} {self.route.path} declares no unit of work")
        return self.unit

    def since(self, version: str) -> bool:
        """Whether the request's microversion is ``version`` or later, for what no window can tell."""
        return self.version >= Version.parse(version)

    def link(self, path: str, **query: str) -> str:
        """An absolute URL of this front: ``call.link("/servers/ID")``. ``path`` is quoted here. Below the
        API's version it begins as the caller's own URL does."""
        versioned, asked = self.rooted
        if asked and (path == versioned or path.startswith(versioned + "/")):
            path = asked + path[len(versioned) :]
        quoted = path if _NEEDS_NO_QUOTES(path) else quote(path)
        return self.root + quoted + (f"?{urlencode(query)}" if query else "")

    def next_link(self, marker: str) -> str:
        """This request's own URL with keys sorted and ``marker`` replaced."""
        pairs = sorted((key, value) for key, values in self.query.lists() for value in values if key != "marker")
        return f"{self.origin}{quote(self.full_path)}?{urlencode(sorted([*pairs, ('marker', marker)]))}"


@dataclass(frozen=True)
class Answer:
    """For handlers that say more than a value. ``body`` goes through the route's view like a plain value.
    ``stream`` and ``file`` send bytes instead; ``file`` honours Range. Status 0 is the route's own."""

    body: Any = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None
    file: Path | None = None
    content_type: str = "application/octet-stream"
