"""Waits for a server to become what was asked for, with the state shown on a terminal meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

from novalite.cli.client import Client
from novalite.cli.output import printable
from novalite.clock import Deadline
from novalite.errors import Busy, Failed, NotFound, NovaLiteError

Show = Callable[[str], None]
_never = Event()


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Show]:
    """Shows the newest text beside a spinner; silent where no one looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(escape(text))


def pauses(first: float = 0.1, longest: float = 2.0) -> Iterator[float]:
    """Seconds between questions: short at first, then longer."""
    while True:
        yield first
        first = min(first * 1.4, longest)


def until(question: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until the answer is yes; False when the time is up."""
    deadline = Deadline(seconds)
    for pause in pauses():
        if question():
            return True
        if deadline.passed:
            return False
        _never.wait(min(pause, deadline.remaining))
    return False


def for_status(
    client: Client, server: Mapping[str, Any], target: str | tuple[str, ...], *, seconds: float, show: Show
) -> dict[str, Any]:
    """The server when it has ``target`` (or one of them) and nothing is under way.

    Raises ``Failed`` with the server's own fault when it ends elsewhere, ``Busy`` when the time is up.
    """
    latest = dict(server)

    def settled() -> bool:
        latest.update(client.get("compute", f"/servers/{server['id']}")["server"])
        task = latest.get("OS-EXT-STS:task_state")
        show(f"{printable(latest['name'])}: {latest['status']}" + (f" ({task})" if task else ""))
        return latest["status"] == "ERROR" or (not task and latest["status"] != "BUILD")

    if not until(settled, seconds=seconds):
        raise Busy(
            f"Server {latest['name']} is still {latest['status']} after {seconds:g} seconds.",
            code="server.slow",
            hint=f"It goes on by itself: 'novalite server show {latest['id']}'.",
        )
    targets = (target,) if isinstance(target, str) else target
    if latest["status"] not in targets:
        why = _fault(latest)
        raise Failed(
            f"Server {latest['name']} is {latest['status']}, not {' or '.join(targets)}: {why}",
            code="server.fault",
            hint="'novalite host list' and 'novalite status' show the hosts."
            if why.startswith("No valid host")
            else f"'novalite server console log {latest['id']}' may tell more.",
        )
    return latest


def for_all(
    client: Client,
    servers: Iterable[Mapping[str, Any]],
    target: str | tuple[str, ...],
    *,
    seconds: float,
    show: Show,
) -> tuple[list[dict[str, Any]], list[NovaLiteError]]:
    """Every server as it ended, and what went wrong with some: one failure does not end the wait for the rest."""
    ended: list[dict[str, Any]] = []
    failures: list[NovaLiteError] = []
    for each in servers:
        try:
            ended.append(for_status(client, each, target, seconds=seconds, show=show))
        except (Failed, Busy) as error:
            failures.append(error)
            ended.append(client.get("compute", f"/servers/{each['id']}")["server"])
    return ended, failures


def for_absence(client: Client, server: Mapping[str, Any], *, seconds: float, show: Show) -> None:
    """Returns when the server is gone. Raises ``Failed`` or ``Busy`` as ``for_status`` does."""
    latest = dict(server)

    def gone() -> bool:
        try:
            latest.update(client.get("compute", f"/servers/{server['id']}")["server"])
        except NotFound:
            return True
        show(f"{printable(latest['name'])}: deleting")
        failed = latest["status"] == "ERROR" and not latest.get("OS-EXT-STS:task_state")
        if failed:
            raise Failed(
                f"Server {latest['name']} could not be deleted: {_fault(latest)}",
                code="server.fault",
                hint="Deleting may be repeated.",
            )
        return str(latest["status"]) in ("DELETED", "SOFT_DELETED")

    if not until(gone, seconds=seconds):
        raise Busy(
            f"Server {latest['name']} is still there after {seconds:g} seconds.",
            code="server.slow",
            hint="It goes on by itself; deleting may be repeated.",
        )


def _fault(server: Mapping[str, Any]) -> str:
    return str((server.get("fault") or {}).get("message") or "no reason is recorded.")
