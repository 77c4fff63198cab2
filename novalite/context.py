"""Who asks: carried from a front through the cloud to the task that acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4


def new_request_id() -> str:
    """``req-`` and a random UUID, as OpenStack clients expect."""
    return f"req-{uuid4()}"


@dataclass(frozen=True)
class Context:
    """``roles`` already hold the implied ones (admin implies manager, member, reader).
    ``project_id`` is empty for tokens that are not scoped to a project; ``system`` marks system scope."""

    user_id: str = ""
    project_id: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    system: bool = False
    request_id: str = field(default_factory=new_request_id)
    user_name: str = ""
    project_name: str = ""

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


def internal(request_id: str = "") -> Context:
    """The product itself: tasks, periodic jobs, start-up."""
    return Context(
        user_id="novalite",
        roles=frozenset({"admin", "manager", "member", "reader", "service"}),
        system=True,
        request_id=request_id or new_request_id(),
    )
