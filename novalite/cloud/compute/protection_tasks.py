"""The kind of task that makes a copy which a protection asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novalite.cloud.tasks import tasks as durable


def key(resource_id: str) -> str:
    """One run of a server's or volume's protection at a time."""
    return f"protection:{resource_id}"


@dataclass(frozen=True)
class Protect:
    """Copy what is protected, then delete the copies that nothing keeps."""

    kind: ClassVar[str] = "protection.run"
    action: ClassVar[str] = ""
    run_id: str


def test_key(resource_id: str) -> str:
    """One test of its copies at a time."""
    return f"protection-test:{resource_id}"


@dataclass(frozen=True)
class BootCopy:
    """Boot a copy out of everybody's sight, and say whether it came up."""

    kind: ClassVar[str] = "protection.test"
    action: ClassVar[str] = ""
    test_id: str


KINDS: tuple[type[durable.Kind], ...] = (Protect, BootCopy)
