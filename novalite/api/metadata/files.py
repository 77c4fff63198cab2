"""Files and directories that are looked up by path and show themselves as EC2's indexes do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


class Missing(Exception):
    """Nothing is at that path."""


@dataclass(frozen=True)
class File:
    content: bytes


@dataclass(frozen=True)
class Directory:
    """Listed as sorted names, a line each, directories with a slash; ``listing`` is shown instead when it is given.
    Entries in ``hidden`` are found but not listed."""

    entries: Mapping[str, Node]
    listing: str = ""
    hidden: tuple[str, ...] = ()
    slashes: bool = True

    def index(self) -> bytes:
        if self.listing:
            return self.listing.encode()
        lines = []
        for name in sorted(set(self.entries) - set(self.hidden)):
            is_file = isinstance(self.entries[name], File)
            lines.append(name if is_file or not self.slashes else name + "/")
        return "\n".join(lines).encode()


Node = File | Directory | Callable[[], Directory]


def find(root: Directory, path: Sequence[str]) -> bytes:
    """The content of the file, or the index of the directory, at ``path``. Raises ``Missing``."""
    node: Node = root
    for name in path:
        node = node() if callable(node) else node
        if not isinstance(node, Directory) or name not in node.entries:
            raise Missing("/".join(path))
        node = node.entries[name]
    node = node() if callable(node) else node
    return node.content if isinstance(node, File) else node.index()
