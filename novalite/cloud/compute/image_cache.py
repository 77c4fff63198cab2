"""Images that hosts are to have before a server needs them."""

from __future__ import annotations

from collections.abc import Sequence

from novalite.cloud.compute.image_tasks import CacheImages
from novalite.cloud.hosts import aggregates
from novalite.cloud.image import images
from novalite.cloud.image.image_keys import is_sealed
from novalite.cloud.image.records import Image
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound


def request(w: Work, number: int, image_ids: Sequence[str]) -> None:
    """Leave the task that brings images to every host of an aggregate.

    Raises ``NotFound`` for the aggregate, ``Invalid`` for doubles and for images no server can boot from.
    """
    if len(set(image_ids)) != len(image_ids):
        raise Invalid("Duplicate images in request", field="cache")
    hosts = aggregates.get(w, number).hosts
    for image_id in image_ids:
        _require_bootable(w, image_id)
    if hosts:
        durable.start(w, CacheImages(hosts, tuple(image_ids)), key=f"aggregate-images:{number}")


def _require_bootable(w: Work, image_id: str) -> None:
    try:
        image = images.get(w, image_id)
    except NotFound as error:
        raise Invalid(f"Image {image_id} could not be found.", field="id") from error
    if image.status != "active" or image.disk_format not in images.BOOTABLE_FORMATS or is_sealed(image):
        raise Invalid(f"Image {image_id} is unacceptable: no server can boot from it.", field="id")


def wanted(w: Work, image_ids: Sequence[str]) -> list[Image]:
    """Those of the images that are still there and complete."""
    found = (w.session.get(Image, image_id) for image_id in image_ids)
    return [image for image in found if image is not None and image.status == "active"]
