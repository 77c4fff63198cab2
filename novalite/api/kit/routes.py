"""What an API is made of: one declaration per operation, and the front that collects them.

A worked example, complete but for the cloud function behind it::

    WIDGET = View(Field("id"), Field("name"), Field("colour", since="2.4"),
                  Field("host", only=lambda call: call.ctx.is_admin))
    NEW_WIDGET = Body("widget",
                      Item("name", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),
                      Item("colour", {"enum": ["red", "blue"]}, since="2.4"))

    def create(call: Call) -> Widget:
        return widgets.create(call.w, call.body["name"], colour=call.body.get("colour"))

    ROUTES = [
        Route("POST", "/v2.1/widgets", create, rule="os_compute_api:os-widgets:create", body=NEW_WIDGET,
              view=WIDGET.one("widget"), success=202, unit="write"),
        Route("GET", "/v2.1/widgets/{widget_id}", show, rule="os_compute_api:os-widgets:show",
              view=WIDGET.one("widget"), unit="read", since="2.2"),
        Route("POST", "/v2.1/widgets/{widget_id}/action", paint, action="paint", success=202, unit="write",
              rule="os_compute_api:os-widgets:paint", body=Body("paint", whole={"type": "string"})),
    ]
    FRONT = Front("compute", "/compute", ROUTES, faults.NOVA, versions=VersionRange("compute", "2.1", "2.4"))
    mount(flask_app, FRONT, parts)

The handler runs inside the unit the route names; the answer is rendered inside it too, and the unit is
committed before the answer leaves. A route without ``unit`` opens its own short units with ``call.parts.database``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from novalite.api.kit.body import Body, Query
from novalite.api.kit.call import Call
from novalite.api.kit.faults import Faults
from novalite.api.kit.versions import UNVERSIONED, Version, VersionRange, Window

Handler = Callable[[Call], Any]
PUBLIC = "public"
"""The rule of operations that ask for no token."""


class Rendering(Protocol):
    """A view put below a key (``View.one``, ``View.many``), or an answer that is only told (``Told``, ``Bytes``)."""

    @property
    def content_type(self) -> str: ...

    def render(self, result: Any, call: Call) -> Any: ...

    def schema(self, version: Version) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Route:
    """One operation. ``path`` is relative to the front, with ``{name}`` placeholders (``{name:path}`` takes
    slashes). ``rule`` is a name in the policy table, or ``PUBLIC``. Two routes may share method and path when
    their versions do not meet, or when each has its own ``action``: the one key of the body that picks it.
    ``stream`` hands the raw body to the handler. ``policy_in_handler`` says that the rule needs a target,
    which only the handler knows; the kit then checks the token alone. ``path_is_secret`` keeps what stands in
    the path out of the log. Without a ``view`` the answer has no body.
    ``also`` are good statuses beside ``success``, which is a fault's when the operation can have no other end."""

    method: str
    path: str
    handler: Handler
    rule: str
    body: Body | None = None
    query: Query | None = None
    view: Rendering | None = None
    success: int = 200
    also: tuple[int, ...] = ()
    unit: Literal["read", "write"] | None = None
    since: str = ""
    until: str = ""
    action: str = ""
    stream: bool = False
    policy_in_handler: bool = False
    path_is_secret: bool = False
    summary: str = ""
    window: Window = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", Window.of(self.since, self.until))
        if not self.path.startswith("/"):
            raise ValueError(f"{self.path} does not begin with a slash")


@dataclass(frozen=True)
class Front:
    """An API below one prefix. ``project_after`` names a path after which a project's id may stand
    (``/v2.1/PROJECT/servers``). ``unauthenticated`` tells a missing token when ``faults`` does not.
    ``lenient_alias`` is a path that stands for ``project_after`` at the lowest version, whatever version is
    asked for, where unknown properties of bodies are dropped and not refused. From ``strict_queries_since`` on
    nothing is read with query parameters that the operation does not know. With ``strict_slashes`` a slash at
    the end of a path makes it another path."""

    name: str
    prefix: str
    routes: Iterable[Route]
    faults: Faults
    versions: VersionRange | None = None
    project_after: str = ""
    max_body_bytes: int = 114688
    unauthenticated: Faults | None = None
    lenient_alias: str = ""
    strict_queries_since: str = ""
    strict_slashes: bool = False

    @property
    def lowest(self) -> Version:
        return self.versions.lowest if self.versions else UNVERSIONED
