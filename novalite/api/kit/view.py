"""Answers as data: a view is a list of fields, compiled once for each range of versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, ClassVar, Protocol

from msgspec import Raw

from novalite.api.kit.body import JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.versions import Version, Window

ABSENT: Any = object()
"""A getter returns this to leave its field out of one object."""

Getter = Callable[[Any, Call], Any]
Render = Callable[[Any, Call], Any]


class Field:
    """``get`` is an attribute (dotted allowed; default: the name itself) or ``f(object, call)``.
    ``only(call)`` decides once per request whether the field is shown at all. ``loads`` names what the query
    behind it must have loaded; handlers may ask ``view.loads(call)``. ``schema`` is what its value looks like, or a
    function of the version that tells it."""

    __slots__ = ("get", "loads", "name", "only", "schema", "window")

    def __init__(
        self,
        name: str,
        get: str | Getter = "",
        *,
        since: str = "",
        until: str = "",
        only: Callable[[Call], bool] | None = None,
        loads: str = "",
        schema: JsonSchema | Callable[[Version], JsonSchema] | None = None,
    ) -> None:
        self.name, self.get, self.only, self.loads = name, get or name, only, loads
        self.schema = schema
        self.window = Window.of(since, until)

    def told(self, version: Version) -> JsonSchema:
        """The schema of its value in this version; anything when none is declared."""
        return self.schema(version) if callable(self.schema) else (self.schema or {})


class View:
    """Fields of one kind of object. Two of one name in one version fail here, unless ``only`` parts them."""

    def __init__(self, *fields: Field) -> None:
        for index, one in enumerate(fields):
            for other in fields[index + 1 :]:
                both_always = one.only is None and other.only is None
                if one.name == other.name and both_always and one.window.meets(other.window):
                    raise ValueError(f"{one.name} is declared twice for one version")
        self.fields = fields
        self._compiled: dict[tuple[bool, ...], Render] = {}

    def extended(self, *fields: Field, without: Iterable[str] = ()) -> View:
        """A view with more fields, or with some left out."""
        left_out = set(without)
        return View(*(one for one in self.fields if one.name not in left_out), *fields)

    def shown(self, version: Version) -> list[Field]:
        return [one for one in self.fields if one.window.holds(version)]

    def loads(self, call: Call) -> set[str]:
        """What must be loaded for this request."""
        return {one.loads for one in self.shown(call.version) if one.loads and (not one.only or one.only(call))}

    def renderer(self, call: Call) -> Render:
        """The compiled function for the version and the caller of ``call``."""
        mask = tuple(one.window.holds(call.version) and (one.only is None or one.only(call)) for one in self.fields)
        found = self._compiled.get(mask)
        if found is None:
            found = self._compiled[mask] = _compile([one for one, on in zip(self.fields, mask, strict=True) if on])
        return found

    def schema(self, version: Version) -> JsonSchema:
        """What an object looks like in this version: these properties and no others. Those that every caller
        is shown and no getter can leave out are required."""
        shown = self.shown(version)
        properties: JsonSchema = {}
        for one in shown:
            told = one.told(version)
            other = properties.get(one.name)
            properties[one.name] = told if other is None or other == told else {"anyOf": [other, told]}
        found: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        required = sorted({one.name for one in shown if one.only is None and isinstance(one.get, str)})
        return {**found, "required": required} if required else found

    def one(self, key: str = "") -> One:
        """Render a single object below ``key``; without a key it is the whole answer."""
        return One(self, key)

    def many(self, key: str, envelope: Envelope | None = None, extra: JsonSchema | None = None) -> Many:
        """Render an iterable or a ``Page`` below ``key``; ``envelope`` adds links (see ``paging``), ``extra``
        tells the schemas of what the page's own ``extra`` adds.
        Items that are JSON text already (``msgspec.Raw``) stay as they are."""
        return Many(self, key, envelope, extra or {})


def _compile(fields: list[Field]) -> Render:
    plain = [(one.name, one.get) for one in fields if isinstance(one.get, str)]
    computed = [(one.name, one.get) for one in fields if not isinstance(one.get, str)]
    names = tuple(name for name, _ in plain)
    paths = [str(path) for _, path in plain]
    pick: Callable[[Any], tuple[Any, ...]]
    if len(paths) > 1:
        pick = attrgetter(*paths)
    elif paths:
        single = attrgetter(paths[0])

        def pick(item: Any) -> tuple[Any, ...]:
            return (single(item),)
    else:

        def pick(item: Any) -> tuple[Any, ...]:
            return ()

    def render(item: Any, call: Call) -> dict[str, Any]:
        shown = dict(zip(names, pick(item), strict=True))
        for name, get in computed:
            value = get(item, call)
            if value is not ABSENT:
                shown[name] = value
        return shown

    return render


@dataclass(frozen=True)
class Page:
    """A page of a list. ``next_marker`` is empty on the last one."""

    items: Iterable[Any]
    next_marker: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class Envelope(Protocol):
    """What stands beside the items of a list. ``properties`` are the schemas of that."""

    def __call__(self, call: Call, key: str, page: Page) -> dict[str, Any]: ...

    def properties(self, key: str) -> JsonSchema: ...


@dataclass(frozen=True)
class One:
    view: View
    key: str = ""
    content_type: ClassVar[str] = "application/json"

    def render(self, result: Any, call: Call) -> Any:
        shown = self.view.renderer(call)(result, call)
        return {self.key: shown} if self.key else shown

    def schema(self, version: Version) -> JsonSchema:
        told = self.view.schema(version)
        return _below(self.key, told) if self.key else told


@dataclass(frozen=True)
class Many:
    view: View
    key: str
    envelope: Envelope | None = None
    extra: JsonSchema = field(default_factory=dict)
    content_type: ClassVar[str] = "application/json"

    def render(self, result: Any, call: Call) -> Any:
        page = result if isinstance(result, Page) else Page(result)
        render = self.view.renderer(call)
        items = [item if type(item) is Raw else render(item, call) for item in page.items]
        shown: dict[str, Any] = {self.key: items}
        if self.envelope:
            shown.update(self.envelope(call, self.key, page))
        shown.update(page.extra)
        return shown

    def schema(self, version: Version) -> JsonSchema:
        beside = {**(self.envelope.properties(self.key) if self.envelope else {}), **self.extra}
        return _below(self.key, {"type": "array", "items": self.view.schema(version)}, beside)


def _below(key: str, told: JsonSchema, beside: JsonSchema | None = None) -> JsonSchema:
    properties = {key: told, **(beside or {})}
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


def utc_seconds(moment: datetime | None) -> str | None:
    """``2026-01-31T10:00:00Z``, the usual form of Nova and Glance."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z" if moment else None


def utc_micros(moment: datetime | None) -> str | None:
    """``2026-01-31T10:00:00.000000``, Nova's other form, without zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") if moment else None


def utc_micros_z(moment: datetime | None) -> str | None:
    """``2026-01-31T10:00:00.000000Z``, Keystone's form."""
    shown = utc_micros(moment)
    return shown + "Z" if shown else None
