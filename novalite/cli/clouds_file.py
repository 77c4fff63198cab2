"""Reads clouds.yaml: the part of YAML such files use (nested mappings of plain or quoted texts)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from novalite.errors import Forbidden, Invalid

_LINE = re.compile(r"""(?P<indent>[ ]*)(?P<key>"[^"]*"|'[^']*'|[^\s:#'"][^:#]*?)\s*:(?:\s+(?P<value>.*))?$""")
_COMMENT = re.compile(r"""\s+#.*$""")


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Cloud name -> its settings. Raises ``Invalid`` naming the line that is not understood."""
    try:
        text = path.read_text()
    except PermissionError as error:
        raise Forbidden(
            f"You may not read {path}.",
            code="credentials.unreadable",
            hint="It holds the admin's password: use sudo, or set the OS_* variables.",
        ) from error
    clouds = parse(text, name=str(path)).get("clouds")
    return {name: value for name, value in clouds.items() if isinstance(value, dict)} if clouds else {}


def parse(text: str, *, name: str) -> dict[str, Any]:
    root: dict[str, Any] = {}
    open_mappings: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "---", "- ")):
            continue
        found = _LINE.match(line)
        if found is None:
            raise _not_understood(name, number)
        indent = len(found["indent"])
        while open_mappings[-1][0] >= indent:
            open_mappings.pop()
        value = (found["value"] or "").strip()
        mapping = open_mappings[-1][1]
        if not value or value.startswith("#"):
            child: dict[str, Any] = {}
            mapping[_scalar(found["key"])] = child
            open_mappings.append((indent, child))
        elif value[0] in "{[&*|>!":
            raise _not_understood(name, number)
        else:
            mapping[_scalar(found["key"])] = _scalar(value)
    return root


def _scalar(text: str) -> str:
    if text.startswith('"'):
        decoded, _ = json.JSONDecoder().raw_decode(text)
        return str(decoded)
    if text.startswith("'"):
        return text[1 : text.rindex("'")].replace("''", "'")
    return _COMMENT.sub("", text)


def _not_understood(name: str, number: int) -> Invalid:
    return Invalid(
        f"Line {number} of {name} is not understood.",
        field=name,
        code="credentials.malformed",
        hint="Only nested 'key: value' lines are read; the OS_* variables work as well.",
    )
