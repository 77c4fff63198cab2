"""The form that makes volumes: what it offers, and what was filled in as a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from novalite.api.ui.parts import of_app
from novalite.cloud.image import images
from novalite.cloud.volume import backups, listing, types
from novalite.cloud.volume.new_volumes import FORMATS, NewVolume
from novalite.cloud.volume.records import Snapshot, Volume
from novalite.context import Context
from novalite.db.paging import Page
from novalite.errors import Invalid, NovaLiteError

LONGEST_NAME = 255
_OFFERED = 200
_SOURCES = {"image": "image_id", "snapshot": "snapshot_id", "volume": "source_volume_id", "backup": "backup_id"}
_FIELDS = {
    "imageRef": "source", "snapshot_id": "source", "source_volume_id": "source", "backup_id": "source",
    "image_id": "source", "volume_type": "type",
}  # fmt: skip


def choices(ctx: Context) -> dict[str, Any]:
    """What the form offers: types, and what a volume can be made of as (value, label) by group."""
    with of_app().kit.database.read(ctx) as w:
        usable = [each for each in images.list_visible(w) if each.status == "active" and each.disk_format in FORMATS]
        page = Page(limit=_OFFERED)
        copied = listing.page_of(w, Snapshot, listing.Filters(equal={"status": "available"}), page)
        whole = [each for each in listing.page_of(w, Volume, listing.Filters(), page)
                 if each.status in ("available", "in-use")]  # fmt: skip
        kept = backups.list_all(w, page, equal={"status": "available"})
        found: dict[str, tuple[str, Sequence[Any]]] = {
            "Images": ("image", usable), "Snapshots": ("snapshot", copied), "Volumes": ("volume", whole),
            "Backups": ("backup", kept),
        }  # fmt: skip
        return {
            "types": types.list_visible(w, Page(), is_public=None),
            "sources": {
                title: [(f"{kind}:{each.id}", each.name or each.id) for each in rows]
                for title, (kind, rows) in found.items()
                if rows
            },
        }


def parse(form: Mapping[str, str]) -> NewVolume:
    """The request behind a filled-in form. Raises ``Invalid`` naming the form's own field."""
    name = form.get("name", "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A name has up to {LONGEST_NAME} characters, all printable.", field="name")
    kind, _, source_id = form.get("source", "").partition(":")
    if kind and kind not in _SOURCES:
        raise Invalid("A volume is blank, or of an image, a snapshot, a volume or a backup.", field="source")
    of: dict[str, Any] = {_SOURCES[kind]: source_id} if kind else {}
    return NewVolume(size_gib=size_of(form.get("size", "")), name=name or None, type=form.get("type", ""), **of)


def size_of(text: str) -> int:
    """A size in GiB; 0 for none. Raises ``Invalid``."""
    text = text.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 8 or int(text) < 1:
        raise Invalid("A size is a whole number of GiB, at least 1.", field="size")
    return int(text)


def field_of(error: NovaLiteError) -> str:
    """The form's field that an error is about; empty when it is about the whole."""
    named = str(error.facts.get("field", ""))
    return _FIELDS.get(named, named)
