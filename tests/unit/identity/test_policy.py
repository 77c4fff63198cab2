"""The language of policy files, the files themselves, and what a file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from novalite.cloud.identity import policy, policy_file
from novalite.cloud.identity.policy_language import Asked, parse
from novalite.context import Context
from novalite.errors import Invalid

MEMBER = Context(user_id="u", project_id="p", roles=frozenset({"member", "reader"}))
OWN = {"user_id": "u", "project_id": "p"}


def _holds(text: str, ctx: Context = MEMBER, target: dict[str, str] | None = None) -> bool:
    rules = {"members": parse("role:member")}
    return parse(text).holds(Asked(ctx, OWN if target is None else target, rules))


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "role:member", "role:MEMBER", "rule:members", "not role:admin", "is_admin:False",
        "project_id:%(project_id)s", "user_id:%(user_id)s", "project_id:p", "'u':%(user_id)s",
        "role:admin or role:member", "role:member and not role:admin", "not not role:member",
        "role:member or role:admin and !", "(role:admin or role:member) and project_id:%(project_id)s",
        "((role:member))", "role:member AND role:reader", "tenant_id:%(project_id)s",
    ],
)  # fmt: skip
def test_what_holds_for_a_member_of_its_own(text: str) -> None:
    assert _holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "!", "role:admin", "not rule:members", "is_admin:True", "is_admin:1", "system_scope:all",
        "project_id:%(domain_id)s", "'x':%(user_id)s", "role:member and role:admin", "role:member and !",
        "(role:member or role:admin) and role:admin", "not (role:member or role:admin)", "user_id:p",
    ],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert not _holds(text)


def test_nothing_equals_nothing() -> None:
    nobody = Context()
    assert not _holds("project_id:%(project_id)s", nobody, {"project_id": ""})


def test_the_system_is_a_scope() -> None:
    assert _holds("system_scope:all", Context(system=True))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("role:admin or", "ends too early"),
        ("(role:admin", "not closed"),
        ("role:admin)", "not expected here"),
        ("role:admin role:member", "not expected here"),
        ("admin", "is not a check"),
        ("and role:admin", "is not a check"),
        ("http://example.org/%(x)s", "not offered"),
        ("field:networks:shared=True", "not offered"),
        ("colour:blue", "no kind of check 'colour'"),
        ("not", "ends too early"),
        ("(" * 50 + "@" + ")" * 50, "too deeply"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        parse(text)


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return str(path)


YAML = """\
# Members see hypervisors, nobody deletes servers
---
"os_compute_api:os-hypervisors:list": "rule:our_people"   # a comment
os_compute_api:servers:delete: '!'
our_people: role:member and project_id:%(project_id)s
"""
JSON = """{
  "os_compute_api:os-hypervisors:list": "rule:our_people",
  "os_compute_api:servers:delete": "!",
  "our_people": "role:member and project_id:%(project_id)s"
}"""


@pytest.mark.parametrize("text", [YAML, JSON], ids=["yaml", "json"])
def test_a_file_takes_the_place_of_defaults(tmp_path: Path, text: str) -> None:
    book = policy.read(_file(tmp_path, text))
    assert book.allows("os_compute_api:os-hypervisors:list", MEMBER, OWN)
    assert not book.allows("os_compute_api:servers:delete", MEMBER, OWN)
    assert book.allows("os_compute_api:servers:show", MEMBER, OWN)
    assert not policy.read("").allows("os_compute_api:os-hypervisors:list", MEMBER, OWN)


def test_a_file_may_change_what_others_lean_on(tmp_path: Path) -> None:
    book = policy.read(_file(tmp_path, "project_member_api: role:operator\n"))
    assert not book.allows("os_compute_api:servers:create", MEMBER, OWN)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('\n"os_compute_api:servers:show": "role:admin or"\n', 2, "ends too early"),
        ("os_compute_api:servers:shwo: role:admin\n", 1, "no operation asks for the rule os_compute_api:servers:shwo"),
        ("a: rule:b\nos_compute_api:servers:show: rule:a\n", 1, "there is no rule b"),
        ("a: rule:b\nb: rule:a\nos_compute_api:servers:show: rule:a\n", 1, "leans on itself"),
        ("os_compute_api:servers:show: '!'\nos_compute_api:servers:show: '@'\n", 2, "stands there twice"),
        ("- a list\n", 1, "is expected"),
        ("a:\n  b: c\n", 2, "is not indented"),
        ('"os_compute_api:servers:show": "open\n', 1, "quote is not closed"),
        ("os_compute_api:servers:show: !\n", 1, "written in quotes"),
        ("os_compute_api:servers:show: '!' more\n", 1, "not expected here"),
        ('{\n "os_compute_api:servers:show": ["role:admin"]}', 2, "is not a text"),
        ('{\n "os_compute_api:servers:show": }', 2, "no JSON"),
    ],
)
def test_a_file_that_cannot_be_used_tells_line_and_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        policy.read(_file(tmp_path, text))
    assert f", line {line}:" in str(caught.value)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        policy.read(str(tmp_path / "absent"))
    with pytest.raises(Invalid, match="larger"):
        policy_file.read(Path(_file(tmp_path, "#" * (1 << 20) + "\n")))


def test_why_tells_what_held(tmp_path: Path) -> None:
    lines = list(policy.read("").why("os_compute_api:servers:create", MEMBER, OWN))
    assert [line.split()[0] for line in lines] == ["yes"] * 6 + ["no"] * 2
    assert lines[-1].strip() == "no   role:admin"
