"""The image API (Glance v2) as one front."""

from __future__ import annotations

from novalite.api.image import (
    data,
    images,
    imports,
    members,
    metadef_items,
    metadefs,
    schemas,
    tags,
    tasks,
    versions,
)
from novalite.api.kit import faults
from novalite.api.kit.routes import Front

FRONT = Front(
    "image",
    "/image",
    [
        *versions.ROUTES,
        *images.ROUTES,
        *data.ROUTES,
        *imports.ROUTES,
        *tasks.ROUTES,
        *tags.ROUTES,
        *members.ROUTES,
        *schemas.ROUTES,
        *metadefs.ROUTES,
        *metadef_items.ROUTES,
    ],
    faults.GLANCE,
    strict_slashes=True,
)
