"""Reads a policy file: one flat mapping of rule to check, in YAML or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from novalite.errors import Invalid

_KEY = re.compile(r"""(?P<key>"[^"]*"|'(?:[^']|'')*'|[A-Za-z0-9_.:-]+?)\s*:(?:\s+(?P<value>.*))?\Z""")
_MOST_BYTES = 1 << 20


def read(path: Path) -> dict[str, tuple[str, int]]:
    """Rule -> its check and the line it stands in. Raises ``Invalid`` naming file, line and reason."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Invalid(f"The policy file {path} is larger than {_MOST_BYTES} bytes.", field="policy.file")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The policy file {path} cannot be read: {error}", field="policy.file") from error
    found: dict[str, tuple[str, int]] = {}
    pairs = _json(path, text) if text.lstrip().startswith("{") else _yaml(path, text)
    for name, check, line in pairs:
        if name in found:
            raise refused(path, line, f"{name} stands there twice")
        found[name] = (check, line)
    return found


def refused(path: Path, line: int, reason: str) -> Invalid:
    """What is told about a line that cannot be used."""
    return Invalid(f"The policy file {path}, line {line}: {reason}.", field="policy.file", line=line)


def _json(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (json.JSONDecodeError, RecursionError) as error:
        raise refused(path, getattr(error, "lineno", 1), f"this is no JSON: {error}") from error
    for name, check in pairs:
        line = text.count("\n", 0, max(0, text.find(json.dumps(name)))) + 1
        if not isinstance(check, str):
            raise refused(path, line, f"the check of {name} is not a text")
        yield name, check, line


def _yaml(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    """Of YAML the part that policy files are written in: ``"rule": "check"``, one in a line, and comments."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#") or stripped in ("---", "...", "{}"):
            continue
        if line[0] in " \t":
            raise refused(path, number, "a rule and its check stand in one line, which is not indented")
        found = _KEY.match(stripped)
        if not found:
            raise refused(path, number, '"RULE": "CHECK" is expected')
        yield _plain(path, number, found["key"]), _plain(path, number, found["value"] or ""), number


def _plain(path: Path, line: int, text: str) -> str:
    """A scalar without its quotes and without a comment behind it."""
    if text[:1] == '"':
        body, closed, rest = text[1:].partition('"')
    elif text[:1] == "'":
        found = re.match(r"'((?:[^']|'')*)'(.*)\Z", text)
        body, closed, rest = (found[1].replace("''", "'"), "'", found[2]) if found else (text, "", "")
    else:
        body, closed, rest = re.split(r"\s+#", text, maxsplit=1)[0].strip(), "plain", ""
        if body[:1] in "[{|>&*!@`%" and body:
            raise refused(path, line, f"a check that begins with {body[0]} is written in quotes")
    if not closed:
        raise refused(path, line, "a quote is not closed")
    if rest.strip() and not rest.strip().startswith("#"):
        raise refused(path, line, f"'{rest.strip()[:40]}' is not expected here")
    return body
