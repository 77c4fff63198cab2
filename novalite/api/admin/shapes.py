"""What requests of several nouns hold."""

from __future__ import annotations

from novalite.api.kit.body import Item, Query

PAGING = Query(
    Item("limit", {"type": "string", "pattern": "^[0-9]*$", "maxLength": 18}),
    Item("marker", {"type": "string", "maxLength": 1024}),
)
