"""Images that the cloud brings itself: asked for, and waited for."""

from __future__ import annotations

from typing import Any

from novalite.cli.client import Client
from novalite.cli.waiting import until
from novalite.errors import Busy, Failed, NovaLiteError


def begin(client: Client, body: dict[str, Any], uri: str) -> dict[str, Any]:
    """The new image, on its way. Nothing stays of one that the cloud refuses to bring."""
    made: dict[str, Any] = client.post("image", "/images", body)
    try:
        client.post("image", f"/images/{made['id']}/import", {"method": {"name": "web-download", "uri": uri}})
    except NovaLiteError:
        client.delete("image", f"/images/{made['id']}")
        raise
    return dict(client.get("image", f"/images/{made['id']}"))


def ended(client: Client, image_id: str, *, seconds: float) -> dict[str, Any]:
    """The image once it is active. Raises ``Failed`` with the task's own words, ``Busy`` when the time is up."""
    latest: dict[str, Any] = {}
    why = ""

    def over() -> bool:
        """Of what failed the task tells the reason, a moment after the image has gone back."""
        nonlocal why
        latest.update(client.get("image", f"/images/{image_id}"))
        if latest["status"] in ("importing", "active"):
            return bool(latest["status"] == "active")
        tasks = client.get("image", f"/images/{image_id}/tasks")["tasks"]
        why = str(tasks[0]["message"]) if tasks else ""
        return not tasks or tasks[0]["status"] in ("success", "failure")

    if not until(over, seconds=seconds):
        raise Busy(f"Image {image_id} is still on its way after {seconds:g} seconds.", code="image.slow",
                   hint=f"It goes on by itself: 'novalite image show {image_id}'.")  # fmt: skip
    if latest["status"] != "active":
        raise Failed(f"The image was not imported: {why}", code="image.not_imported",
                     hint=f"'novalite image delete {image_id}' forgets it.")  # fmt: skip
    return latest
