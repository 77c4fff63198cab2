"""The Block Storage API v3, below /volume."""

from __future__ import annotations

from novalite.api.kit import faults
from novalite.api.kit.routes import Front
from novalite.api.volume import (
    attachments,
    backends,
    backups,
    encryption,
    group_snapshots,
    group_types,
    groups,
    limits,
    manageable,
    messages,
    metadata,
    qos,
    quotas,
    services,
    snapshots,
    transfers,
    types,
    versions,
    volume_actions,
    volume_attaching,
    volumes,
)
from novalite.api.volume.shapes import ROOT
from novalite.api.volume.versions import VERSIONS

_NOUNS = (
    versions, volumes, volume_actions, volume_attaching, metadata, snapshots, attachments, types, quotas, limits,
    backends, backups, messages, groups, group_types, group_snapshots, qos, transfers, encryption, services,
    manageable,
)  # fmt: skip
FRONT = Front(
    "volume",
    "/volume",
    [route for noun in _NOUNS for route in noun.ROUTES],
    faults.CINDER,
    VERSIONS,
    project_after=ROOT,
    strict_slashes=True,
)
