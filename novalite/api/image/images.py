"""Images: create, list, show, change, delete, deactivate."""

from __future__ import annotations

from typing import Any

from novalite.api.image import filters, patch
from novalite.api.image.attributes import NEW_IMAGE, WRITABLE, require_writable
from novalite.api.image.imports import methods
from novalite.api.image.views import ImageList, ImagePage, OneImage, Shown
from novalite.api.kit.body import Body
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.cloud.image import images, tags
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.imports import STORE
from novalite.cloud.image.records import Image


def _shown(w: Any, image: Image) -> Shown:
    return Shown(image, tags.of(w, [image.id])[image.id])


def create(call: Call) -> Answer:
    given: dict[str, Any] = call.body
    for name in given:
        require_writable(name)
    attributes = {name: value for name, value in given.items() if name in WRITABLE and value is not None}
    attributes["tags"] = tuple(attributes.get("tags", ()))
    custom = {name: value for name, value in given.items() if name not in WRITABLE}
    image = images.create(call.w, NewImage(**attributes, properties=custom))
    headers = {
        "Location": call.link(f"/v2/images/{image.id}"), "OpenStack-image-import-methods": ",".join(methods(call)),
        "OpenStack-image-store-ids": STORE,
    }  # fmt: skip
    return Answer(_shown(call.w, image), headers=headers)


def index(call: Call) -> ImagePage:
    page = filters.page(call)
    found = images.list_visible(call.w, filters.filters(call), page)
    more = 0 < page.limit <= len(found)
    return ImagePage(found, tags.of(call.w, [one.id for one in found]), found[-1].id if more else "")


def show(call: Call) -> Shown:
    return _shown(call.w, images.get(call.w, call.path["image_id"]))


def change(call: Call) -> Shown:
    image = images.get_own(call.w, call.path["image_id"])
    values = patch.apply(patch.parse(call.body), image.properties)
    wanted_tags = values.pop("tags", None)
    image = images.update(call.w, image.id, values)
    if wanted_tags is not None:
        tags.replace(call.w, image.id, wanted_tags)
    return _shown(call.w, image)


def delete(call: Call) -> None:
    image_id = call.path["image_id"]
    with call.parts.database.write(call.ctx) as w:
        images.delete(w, image_id)
    call.parts.image_store.delete(image_id)


def deactivate(call: Call) -> None:
    images.set_active(call.w, call.path["image_id"], False)


def reactivate(call: Call) -> None:
    images.set_active(call.w, call.path["image_id"], True)


_PATCH = Body(whole=patch.SCHEMA, types=patch.TYPES)
_ONE = "/v2/images/{image_id}"

ROUTES = [
    Route("GET", "/v2/images", index, rule="get_images", view=ImageList(), unit="read"),
    Route("POST", "/v2/images", create, rule="add_image", body=Body(whole=NEW_IMAGE), view=OneImage(),
          success=201, unit="write"),
    Route("GET", _ONE, show, rule="get_image", view=OneImage(), unit="read"),
    Route("PATCH", _ONE, change, rule="modify_image", body=_PATCH, view=OneImage(), unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_image", success=204),
    Route("POST", _ONE + "/actions/deactivate", deactivate, rule="deactivate", success=204, unit="write"),
    Route("POST", _ONE + "/actions/reactivate", reactivate, rule="reactivate", success=204, unit="write"),
]  # fmt: skip
