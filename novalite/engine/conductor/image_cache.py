"""The flow that brings images into the caches of hosts before a server needs them."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import image_cache
from novalite.cloud.compute.image_tasks import CacheImages
from novalite.context import internal
from novalite.drivers.compute.base import ImageSpec
from novalite.engine.conductor.guests import FileSource
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed, NovaLiteError

_log = logs.get("conductor")


def _cache(run: Run) -> None:
    """Every host gets what it can; what could not be brought is told at the end."""
    with run.parts.database.read(internal()) as w:
        found = image_cache.wanted(w, run.args["image_ids"])
        specs = [ImageSpec(i.id, i.disk_format or "", i.size or 0, i.os_hash_value or "") for i in found]
    problems = [problem for host in run.args["hosts"] for spec in specs if (problem := _bring(run, host, spec))]
    if problems:
        raise Failed(f"{len(problems)} images were not cached: {'; '.join(problems[:5])}")


def _bring(run: Run, host: str, image: ImageSpec) -> str:
    """Why the host does not have the image; empty when it has."""
    path = run.parts.images.path(image.id)
    if path is None:
        return f"the data of image {image.id} are missing"
    try:
        run.parts.links.driver(host).ensure_image(image, FileSource(path))
    except NovaLiteError as error:
        return f"{host}: {error}"
    return ""


def _failed(run: Run, error: Exception) -> None:
    _log.warning("images not cached", why=str(error))


FLOWS = (Flow(CacheImages.kind, (Step("cache", _cache),), failed=_failed),)
