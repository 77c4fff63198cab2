"""How values look to people: times, sizes, states. Filters and globals of every template."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import flask

from novalite.api.ui import sessions
from novalite.api.ui.parts import of_app

_TONES = {
    "ACTIVE": "good", "ERROR": "bad", "SHUTOFF": "quiet", "PAUSED": "hold", "SUSPENDED": "hold", "DELETED": "quiet",
    "SHELVED": "quiet", "SHELVED_OFFLOADED": "quiet",
    "BUILD": "busy", "REBOOT": "busy", "HARD_REBOOT": "busy",
    "available": "good", "in-use": "good", "maintenance": "hold",
}  # fmt: skip
_TASK_WORDS = {
    "scheduling": "choosing a host", "networking": "connecting its network", "block_device_mapping": "making its disks",
    "spawning": "starting", "deleting": "being deleted", "powering-on": "starting", "powering-off": "shutting down",
    "rebooting": "rebooting", "rebooting_hard": "resetting", "pausing": "pausing", "unpausing": "going on",
    "suspending": "saving its memory", "resuming": "waking up",
    "image_snapshot_pending": "its disk is copied", "image_snapshot": "its disk is copied",
    "image_uploading": "its image is kept", "image_backup": "its disk is copied", "shelving": "shutting down",
    "shelving_image_pending_upload": "its disk is copied", "shelving_image_uploading": "its image is kept",
    "shelving_offloading": "leaving its host", "unshelving": "coming back",
}  # fmt: skip
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[@-Z\\-_=>78c])")


def when(at: datetime | None) -> str:
    """``2026-11-21 05:30 UTC``."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "never"


def mib(amount: float) -> str:
    """MiB as people say it: ``512 MiB``, ``1.5 GiB``."""
    return f"{amount:g} MiB" if amount < 1024 else f"{amount / 1024:.3g} GiB"


def size(amount: int | None) -> str:
    """Bytes as people say them."""
    if amount is None:
        return "unknown"
    value, units = float(amount), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.3g} {units[0]}"


def tone(status: str, task_state: str | None = None) -> str:
    """The colour of a state: good, bad, busy, hold or quiet."""
    if task_state or status.endswith("ing"):  # volumes have it in the status
        return "busy"
    return "bad" if status.startswith("error") else _TONES.get(status, "hold")


def doing(task_state: str | None) -> str:
    """What goes on, in words; empty when nothing does."""
    return _TASK_WORDS.get(task_state, task_state.replace("_", " ")) if task_state else ""


def plain_text(data: bytes) -> str:
    """Console output without the control sequences of terminals."""
    text = re.sub(r"\r+\n?|\n", "\n", _ESCAPES.sub("", data.decode(errors="replace")))
    return "".join(character for character in text if character >= " " or character in "\n\t")


def _common() -> dict[str, Any]:
    """What every page shows: who is there, and where one can go."""
    if not sessions.is_signed_in():
        return {"me": None}
    return {"me": sessions.current(), "form_token": sessions.own_form_token(), "projects": sessions.own_projects}


def register(app: flask.Flask) -> None:
    for function in (when, mib, size, tone, doing):
        app.jinja_env.filters[function.__name__] = function
    app.jinja_env.globals["static"] = lambda name: of_app().files.url(name)
    app.context_processor(_common)
