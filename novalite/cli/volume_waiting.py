"""Waits for volumes and snapshots to become what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.cli import waiting
from novalite.cli.output import printable
from novalite.cli.session import Session
from novalite.errors import Busy, Failed, NotFound

_SERVICE = "block-storage"


def for_status(
    session: Session, one: Mapping[str, Any], target: str, *, seconds: float, noun: str = "volume",
    attachments: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The volume or snapshot when it has that status, and so many attachments if that is told. Raises ``Failed`` when
    it ends in an error, ``Busy`` when the time is up."""
    latest = dict(one)

    def settled() -> bool:
        latest.update(_asked(session, noun, one["id"]))
        show(f"{_name(latest)}: {latest['status']}")
        if str(latest["status"]).startswith("error"):
            return True
        return latest["status"] == target and attachments in (None, len(latest.get("attachments", ())))

    with waiting.progress(quiet=session.json) as show:
        in_time = waiting.until(settled, seconds=seconds)
    if not in_time:
        raise _slow(noun, latest, seconds)
    if str(latest["status"]).startswith("error"):
        raise Failed(
            f"{noun.capitalize()} {_name(latest)} is {latest['status']}.", code=f"{noun}.fault",
            hint="'openstack --os-volume-api-version 3.70 volume message list' tells why.",
        )  # fmt: skip
    return latest


def for_absence(session: Session, one: Mapping[str, Any], *, seconds: float, noun: str = "volume") -> None:
    """Returns when it is gone. Raises ``Failed`` or ``Busy`` as ``for_status`` does."""
    latest = dict(one)

    def gone() -> bool:
        try:
            latest.update(_asked(session, noun, one["id"]))
        except NotFound:
            return True
        show(f"{_name(latest)}: {latest['status']}")
        if str(latest["status"]).startswith("error"):
            raise Failed(f"{noun.capitalize()} {_name(latest)} could not be deleted.", code=f"{noun}.fault",
                         hint="Deleting may be repeated.")  # fmt: skip
        return False

    with waiting.progress(quiet=session.json) as show:
        in_time = waiting.until(gone, seconds=seconds)
    if not in_time:
        raise _slow(noun, latest, seconds)


def _asked(session: Session, noun: str, one_id: str) -> dict[str, Any]:
    found: dict[str, Any] = session.client.get(_SERVICE, f"/{noun}s/{one_id}")[noun]
    return found


def _name(one: Mapping[str, Any]) -> str:
    return printable(one["name"] or one["id"])


def _slow(noun: str, one: Mapping[str, Any], seconds: float) -> Busy:
    return Busy(f"{noun.capitalize()} {_name(one)} is still {one['status']} after {seconds:g} seconds.",
                code=f"{noun}.slow", hint="It goes on by itself.")  # fmt: skip
