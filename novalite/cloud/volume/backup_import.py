"""Backups told to another cloud, and taken from one, or from what a store tells of itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import backups, new_volumes, tasks, usage, volumes
from novalite.cloud.volume.records import Backup
from novalite.db.work import Work
from novalite.drivers.storage.base import KeptBackup
from novalite.errors import Conflict, Invalid

SERVICE = "cinder.backup.drivers.novalite"
"""Clients look for Cinder's name of its drivers at the beginning."""


def export(w: Work, backup_id: str, place: str) -> dict[str, str]:
    """What another cloud needs to take the backup over: all but the data, which stay where they are."""
    found = backups.get(w, backup_id)
    if found.status != "available":
        raise backups.refusal(found, "exported", ("available",))
    told = {**_record(found), "place": place}
    return {"backup_service": SERVICE, "backup_url": base64.b64encode(json.dumps(told).encode()).decode()}


def _record(backup: Backup) -> dict[str, Any]:
    return {
        "id": backup.id, "volume_id": backup.volume_id, "name": backup.name, "description": backup.description,
        "size": backup.size_gib, "size_bytes": backup.size_bytes, "object_count": backup.object_count,
        "container": backup.container, "data_at": backup.data_at.isoformat(), "metadata": backup.metadata_items,
        "volume_facts": {**backup.volume_facts, "data_id": backups.data_id(backup)},
    }  # fmt: skip


def facts(backup: Backup) -> dict[str, str]:
    """What is kept with the data, so that they can be told of without any record."""
    return {
        "volume_id": backup.volume_id, "name": backup.name or "", "size_gib": str(backup.size_gib),
        "data_at": backup.data_at.isoformat(), "record": json.dumps(_record(backup)),
    }  # fmt: skip


def take_over(w: Work, service: str, url: str) -> Backup:
    """Record a backup that another cloud has told of; its task looks whether the data are in our store. Raises
    ``Invalid``, ``Conflict`` for one that is known, ``OverQuota``."""
    if service != SERVICE:
        raise Invalid(f"Backups of {service[:100]} cannot be read here; {SERVICE} can.", field="backup_service")
    try:
        told = _checked(base64.b64decode(url, validate=True))
    except _WRONG as error:
        raise Invalid("The backup_url is not what an export of a backup told.", field="backup_url") from error
    return _take_over(w, told)


def take_found(w: Work, backup_id: str, kept: KeptBackup) -> Backup:
    """Record a backup that is in our store, by what is kept with the data. Raises as ``take_over`` does."""
    try:
        told = _checked(kept.facts["record"])
        if told["id"] != backup_id:
            raise ValueError("id")
    except _WRONG as error:
        raise Invalid(
            f"What is kept with backup {backup_id} does not tell what it is of.", field="backup_id",
            code="backup.untold", hint="It was made by an older release: import the record that was exported of it.",
        ) from error  # fmt: skip
    stored = kept.stored
    return _take_over(w, {**told, "size_bytes": stored.added, "object_count": stored.pieces})


def _take_over(w: Work, told: Mapping[str, Any]) -> Backup:
    if backups.find(w, told["id"]) is not None:
        raise Conflict(f"Backup {told['id']} is known already.", code="backup.exists")
    usage.require(w, w.ctx.project_id, backups=1, backup_gigabytes=told["size"])
    made = Backup(
        id=told["id"], volume_id=told["volume_id"], name=told["name"], description=told["description"],
        project_id=w.ctx.project_id, user_id=w.ctx.user_id, size_gib=told["size"], size_bytes=told["size_bytes"],
        object_count=told["object_count"], container=told["container"], availability_zone=new_volumes.DEFAULT_ZONE,
        metadata_items=told["metadata"], volume_facts=told["volume_facts"],
        data_at=datetime.fromisoformat(told["data_at"]), created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    durable.start(w, tasks.BackupImport(made.id), key=tasks.backup_key(made.id), resource_id=made.id,
                  project_id=made.project_id)  # fmt: skip
    return made


_TOLD: Mapping[str, tuple[type, ...]] = {
    "id": (str,), "volume_id": (str,), "name": (str, type(None)), "description": (str, type(None)), "size": (int,),
    "size_bytes": (int,), "object_count": (int,), "container": (str,), "data_at": (str,), "metadata": (dict,),
    "volume_facts": (dict,),
}  # fmt: skip


_SEALED_CHARACTERS = 1000
_WRONG = (binascii.Error, ValueError, KeyError, TypeError, RecursionError)


def _checked(text: str | bytes) -> dict[str, Any]:
    """Raises one of ``_WRONG`` for what no export told."""
    told = json.loads(text)
    for name, kinds in _TOLD.items():
        if not isinstance(told[name], kinds) or isinstance(told[name], bool):
            raise ValueError(name)
    for each in (told["id"], told["volume_id"], told["volume_facts"].get("data_id", told["id"])):
        volumes.require_id(str(each))
    if not 1 <= told["size"] <= new_volumes.LARGEST_GIB or not 0 <= told["size_bytes"] < 2**60:
        raise ValueError("size")
    for named in (told["metadata"], *(told["volume_facts"].get(each) or {} for each in ("metadata", "image_metadata"))):
        if not isinstance(named, dict) or not all(isinstance(text, str) for text in named.values()):
            raise ValueError("metadata")
    if backups.SEALED in told["volume_facts"]:
        _check_sealed(told["volume_facts"][backups.SEALED])
    if datetime.fromisoformat(told["data_at"]).tzinfo is None:
        raise ValueError("data_at")
    longest = max(len(str(told[name] or "")) for name in ("name", "description", "container"))
    if longest > 255 or not 0 <= told["object_count"] < 2**31:
        raise ValueError("name")
    return dict(told)


def _check_sealed(told: Any) -> None:
    volumes.require_id(str(told["key_id"]))
    if told["format"] not in ("qcow2", "raw") or not 0 < len(str(told["sealed_key"])) < _SEALED_CHARACTERS:
        raise ValueError(backups.SEALED)
