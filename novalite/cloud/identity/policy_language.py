"""The language of policy files: ``role:member and project_id:%(project_id)s or rule:context_is_admin``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from novalite.context import Context
from novalite.errors import Invalid

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()])|(?P<left>'[^']*'|"[^"]*"|[^\s()'":%]+):(?P<right>%\([^)\s]+\)s|'[^']*'|[^\s()]+)|(?P<word>[^\s()]+))"""
)
_FIELD = re.compile(r"%\(([^)]+)\)s\Z")
_WORDS = ("and", "or", "not")
_DEEPEST = 40
_UNKNOWN_TO_TOKENS = ("field", "http", "https", "group", "domain_id", "token.domain.id", "user_domain_id")


@dataclass(frozen=True)
class Asked:
    """Who asks (``ctx``), and whose the object is: ``target`` holds user_id, project_id and their other names."""

    ctx: Context
    target: Mapping[str, str]
    rules: Mapping[str, Check]


class Check(Protocol):
    """A part of a rule. ``why`` tells line by line what held and what did not; ``names`` the rules it leans on."""

    def holds(self, asked: Asked) -> bool: ...

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]: ...

    def names(self) -> Iterator[str]: ...


def _line(asked: Asked, check: Check, text: str, depth: int) -> str:
    return f"{'  ' * depth}{'yes' if check.holds(asked) else 'no '}  {text}"


@dataclass(frozen=True)
class Constant:
    """``@`` (or nothing) and ``!``: everybody and nobody."""

    value: bool

    def holds(self, asked: Asked) -> bool:
        return self.value

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, "everybody" if self.value else "nobody", depth)

    def names(self) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True)
class Role:
    name: str

    def holds(self, asked: Asked) -> bool:
        return self.name in asked.ctx.roles

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, f"role:{self.name}", depth)

    def names(self) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True)
class Rule:
    name: str

    def holds(self, asked: Asked) -> bool:
        return asked.rules[self.name].holds(asked)

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, f"rule:{self.name}", depth)
        yield from asked.rules[self.name].why(asked, depth + 1)

    def names(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True)
class Match:
    """``project_id:%(project_id)s``: something of the token equals something of the target, and neither is empty."""

    left: str
    right: str

    def holds(self, asked: Asked) -> bool:
        field = _FIELD.match(self.right)
        wanted = asked.target.get(field[1], "") if field else self.right.strip("'")
        return bool(wanted) and _of_token(self.left, asked.ctx) == wanted

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, f"{self.left}:{self.right}", depth)

    def names(self) -> Iterator[str]:
        return iter(())


def _of_token(name: str, ctx: Context) -> str:
    if name[0] in "'\"":
        return name[1:-1]
    if name == "user_id":
        return ctx.user_id
    if name in ("project_id", "tenant_id"):
        return ctx.project_id
    if name == "system_scope":
        return "all" if ctx.system else ""
    return ""


@dataclass(frozen=True)
class Not:
    part: Check

    def holds(self, asked: Asked) -> bool:
        return not self.part.holds(asked)

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, "not", depth)
        yield from self.part.why(asked, depth + 1)

    def names(self) -> Iterator[str]:
        yield from self.part.names()


@dataclass(frozen=True)
class All:
    parts: tuple[Check, ...]

    def holds(self, asked: Asked) -> bool:
        return all(part.holds(asked) for part in self.parts)

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, "all of", depth)
        for part in self.parts:
            yield from part.why(asked, depth + 1)

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()


@dataclass(frozen=True)
class Some:
    parts: tuple[Check, ...]

    def holds(self, asked: Asked) -> bool:
        return any(part.holds(asked) for part in self.parts)

    def why(self, asked: Asked, depth: int = 0) -> Iterator[str]:
        yield _line(asked, self, "one of", depth)
        for part in self.parts:
            yield from part.why(asked, depth + 1)

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()


def parse(text: str) -> Check:
    """The check that ``text`` means. Raises ``Invalid`` that says what is wrong with it."""
    if not text.strip():
        return Constant(True)
    return _Reader(text).whole()


class _Reader:
    """Recursive descent: ``or`` binds loosest, then ``and``, then ``not``."""

    def __init__(self, text: str) -> None:
        self._tokens = [found for found in _TOKEN.finditer(text) if found.group(0).strip()]
        self._position = 0

    def whole(self) -> Check:
        found = self._either(0)
        if self._position < len(self._tokens):
            raise Invalid(f"'{self._shown()}' is not expected here")
        return found

    def _either(self, depth: int) -> Check:
        parts = [self._both(depth)]
        while self._took("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _both(self, depth: int) -> Check:
        parts = [self._single(depth)]
        while self._took("and"):
            parts.append(self._single(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _single(self, depth: int) -> Check:
        if depth > _DEEPEST:
            raise Invalid("it is nested too deeply")
        if self._took("not"):
            return Not(self._single(depth + 1))
        if self._took("("):
            found = self._either(depth + 1)
            if not self._took(")"):
                raise Invalid("a parenthesis is not closed")
            return found
        if self._position >= len(self._tokens):
            raise Invalid("it ends too early")
        token = self._tokens[self._position]
        self._position += 1
        return _atom(token)

    def _took(self, wanted: str) -> bool:
        if self._position < len(self._tokens) and self._shown().lower() == wanted:
            self._position += 1
            return True
        return False

    def _shown(self) -> str:
        return self._tokens[self._position].group(0).strip()


def _atom(token: re.Match[str]) -> Check:
    shown = token.group(0).strip()
    if token["word"] in ("@", "!"):
        return Constant(token["word"] == "@")
    if token["left"] is None or shown.lower() in _WORDS:
        raise Invalid(f"'{shown}' is not a check; checks are KIND:VALUE, @ and !")
    left, right = token["left"], token["right"]
    if left == "rule":
        return Rule(right)
    if left == "role":
        return Role(right.lower())
    if left == "is_admin":
        return Role("admin") if right.lower() in ("true", "1") else Not(Role("admin"))
    if left == "is_admin_project":
        return Constant(right.lower() == "true")
    if left in ("None", *_UNKNOWN_TO_TOKENS):
        raise Invalid(f"checks of the kind '{left}' are not offered")
    if left[0] not in "'\"" and left not in ("user_id", "project_id", "tenant_id", "system_scope"):
        raise Invalid(f"there is no kind of check '{left}'")
    return Match(left, right)


def refuse_loose_ends(rules: Mapping[str, Check]) -> None:
    """Raises ``Invalid`` (``field`` is the rule) when a rule leans on one that is not there, or on itself."""
    done: set[str] = set()
    for name in rules:
        _walk(name, rules, (), done)


def _walk(name: str, rules: Mapping[str, Check], path: tuple[str, ...], done: set[str]) -> None:
    if name in done:
        return
    if name in path:
        raise Invalid(f"the rule {name} leans on itself: {_shown_path([*path, name])}", field=name)
    for other in rules[name].names():
        if other not in rules:
            raise Invalid(f"there is no rule {other}", field=name)
        _walk(other, rules, (*path, name), done)
    done.add(name)


def _shown_path(names: Iterable[str]) -> str:
    return " -> ".join(names)
