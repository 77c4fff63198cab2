"""Who may do what: the rules of every front under OpenStack's own names, and what a policy file makes of them.

Each rule is a check in the language of policy files (``policy_language``). A rule of a service whose objects
belong to projects asks for a token of a project, from administrators too: else whose would it be?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from novalite.cloud.identity import policy_compute, policy_file, policy_other_fronts
from novalite.cloud.identity.policy_language import Asked, Check, parse, refuse_loose_ends
from novalite.context import Context
from novalite.errors import Forbidden, Invalid


@dataclass(frozen=True)
class Default:
    """A rule as it is without a policy file. ``project_only`` refuses tokens that are not of a project."""

    check: str
    project_only: bool = False


# What the services ask no project for: anybody with a token may look at these.
_OPEN = ("os_compute_api:flavors", "os_compute_api:gone")


def _defaults() -> Iterator[tuple[str, Default]]:
    for name, check in policy_compute.rules():
        yield name, Default(check, name not in _OPEN)
    for name, check in policy_other_fronts.scoped_to_projects():
        yield name, Default(check, True)
    for name, check in (*policy_other_fronts.identity(), *policy_other_fronts.of_any_scope()):
        yield name, Default(check)


BASE: Mapping[str, str] = {**policy_compute.BASE, **policy_other_fronts.BASE}
"""Rules that others lean on; no operation asks for them."""

DEFAULTS: Mapping[str, Default] = dict(_defaults())


@dataclass(frozen=True)
class Book:
    """The rules in force. ``texts`` holds each as written, ``changed`` the names a file gave."""

    checks: Mapping[str, Check]
    texts: Mapping[str, str]
    changed: frozenset[str] = frozenset()

    def allows(self, rule: str, ctx: Context, target: Mapping[str, str]) -> bool:
        if not ctx.project_id and DEFAULTS[rule].project_only:
            return False
        return self.checks[rule].holds(Asked(ctx, target, self.checks))

    def why(self, rule: str, ctx: Context, target: Mapping[str, str]) -> Iterator[str]:
        """Line by line what of the rule holds for ``ctx``."""
        if not ctx.project_id and DEFAULTS[rule].project_only:
            yield "no   the token is of a project"
        yield from self.checks[rule].why(Asked(ctx, target, self.checks))


def _plain() -> dict[str, str]:
    return {**BASE, **{name: default.check for name, default in DEFAULTS.items()}}


def _book(texts: Mapping[str, str], changed: frozenset[str] = frozenset()) -> Book:
    checks = {name: parse(text) for name, text in texts.items()}
    refuse_loose_ends(checks)
    return Book(checks, texts, changed)


def read(file: str) -> Book:
    """The rules with those of ``file`` (a path; empty: none) put in their place.

    A file may also define rules of its own names for others to lean on. Raises ``Invalid`` that tells the line
    and the reason: bad syntax, a name no operation asks for, a rule that is not there.
    """
    if not file:
        return _book(_plain())
    path = Path(file)
    given = policy_file.read(path)
    for name, (text, line) in given.items():
        try:
            parse(text)
        except Invalid as error:
            raise policy_file.refused(path, line, f"the check of {name} cannot be read: {error}") from error
    texts = {**_plain(), **{name: text for name, (text, _) in given.items()}}
    try:
        book = _book(texts, frozenset(given))
    except Invalid as error:
        line = given.get(error.field, ("", 1))[1]
        raise policy_file.refused(path, line, str(error)) from error
    leaned_on = {other for check in book.checks.values() for other in check.names()}
    for name, (_, line) in given.items():
        if name not in DEFAULTS and name not in BASE and name not in leaned_on:
            raise policy_file.refused(path, line, f"no operation asks for the rule {name}, and no rule leans on it")
    return book


_in_force = _book(_plain())


def use(book: Book) -> None:
    """Put rules in force, for the whole process."""
    global _in_force
    _in_force = book


def in_force() -> Book:
    return _in_force


def known(rule: str) -> bool:
    return rule in DEFAULTS


def target(ctx: Context, *, user_id: str = "", project_id: str = "") -> dict[str, str]:
    """Whose the object is, under each name that rules have for it; the caller's own when nothing is said."""
    user, project = user_id or ctx.user_id, project_id or ctx.project_id
    return {
        "user_id": user, "target.user.id": user, "target.token.user_id": user,
        "project_id": project, "tenant_id": project, "owner": project, "target.project.id": project,
    }  # fmt: skip


def allows(rule: str, ctx: Context, *, user_id: str = "", project_id: str = "") -> bool:
    """Whether ``ctx`` may do ``rule``, to what belongs to ``user_id`` or ``project_id`` (its own when not given).

    A rule the table does not have is a ``KeyError``: a mistake in the program, never in the request.
    """
    return _in_force.allows(rule, ctx, target(ctx, user_id=user_id, project_id=project_id))


def require(rule: str, ctx: Context, *, user_id: str = "", project_id: str = "") -> None:
    """Raises ``Forbidden`` naming the rule."""
    if not allows(rule, ctx, user_id=user_id, project_id=project_id):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.", rule=rule)
