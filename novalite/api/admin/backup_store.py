"""The store of backups as it is, whatever the records say: what is in it, taken into the records, taken over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from novalite.api.admin.shapes import PAGING
from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.volume import backup_import, backups
from novalite.drivers.storage.base import BackupStore, KeptBackup
from novalite.errors import Conflict, DependencyDown, DriverError, Invalid, NotFound

_RULE = "novalite:admin:backup_store"
_STORE = "/backup-store"
_FOUND = answers.record(
    {
        "id": answers.UUID, "known": answers.FLAG, "volume_id": answers.TEXT, "name": answers.TEXT,
        "size_gib": answers.WHOLE_OR_NULL, "data_at": answers.TEXT, "added_bytes": answers.WHOLE_OR_NULL,
        "problem": answers.TEXT,
    }
)  # fmt: skip
_TOLD = answers.record(
    {
        "place": answers.TEXT, "writer": answers.TEXT, "ours": answers.FLAG, "encrypted": answers.FLAG,
        "backups": answers.array(_FOUND),
    }
)  # fmt: skip
_PAGE = Told(whole=answers.record({"backup_store": _TOLD, "backups_links": answers.LINKS}, optional=["backups_links"]))
_TAKEN = answers.record({"id": answers.UUID, "name": answers.TEXT_OR_NULL, "status": answers.TEXT})


@contextmanager
def _asking() -> Iterator[None]:
    """What the store refuses, or why it does not answer, as what people are told."""
    try:
        yield
    except (DriverError, OSError) as error:
        if isinstance(error, DriverError) and error.code in ("backup.key", "backup.not_ours"):
            raise Conflict(error.message, code=error.code, hint=error.hint) from error
        raise DependencyDown(f"The store of backups does not answer: {error}", code="backup.store") from error


def show(call: Call) -> Any:
    store, most = call.parts.backups, limit(call)
    with call.parts.database.read(call.ctx) as w:
        known = {backups.data_id(each) for each in backups.everything(w)}
    with _asking():
        keeper, ids = store.keeper(), _after(store.ids(), call.query.get("marker", ""))
        found = list(_found(store, ids[:most], known))
    page = Page(found, ids[most - 1] if 0 < most < len(ids) else "")
    return {
        "backup_store": {
            "place": store.place(), "writer": keeper.appliance_id, "ours": keeper.ours, "encrypted": keeper.encrypted,
            "backups": found,
        },
        **nova_links(call, "backups", page),
    }  # fmt: skip


def _after(ids: Sequence[str], marker: str) -> Sequence[str]:
    if marker and marker not in ids:
        raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
    return ids[ids.index(marker) + 1 :] if marker else ids


def _found(store: BackupStore, ids: Iterable[str], known: set[str]) -> Iterator[dict[str, Any]]:
    for backup_id in ids:
        told: dict[str, Any] = {"id": backup_id, "known": backup_id in known, "volume_id": "", "name": "",
                                "size_gib": None, "data_at": "", "added_bytes": None, "problem": ""}  # fmt: skip
        try:
            kept = store.kept(backup_id)
        except DriverError as error:
            if error.code not in ("backup.corrupt", "backup.not_found"):
                raise
            yield {**told, "problem": str(error)}
            continue
        facts = kept.facts
        yield {
            **told, "volume_id": facts.get("volume_id", ""), "name": facts.get("name", ""),
            "size_gib": int(facts["size_gib"]) if "size_gib" in facts else None, "data_at": facts.get("data_at", ""),
            "added_bytes": kept.stored.added,
        }  # fmt: skip


def take_over(call: Call) -> None:
    with _asking():
        call.parts.backups.take_over()


def take(call: Call) -> Any:
    backup_id = str(call.path["backup_id"])
    with _asking():
        kept = _kept(call.parts.backups, backup_id)
    with call.parts.database.write(call.ctx) as w:
        made = backup_import.take_found(w, backup_id, kept)
        return {"backup": {"id": made.id, "name": made.name, "status": made.status}}


def _kept(store: BackupStore, backup_id: str) -> KeptBackup:
    try:
        return store.kept(backup_id)
    except DriverError as error:
        if error.code == "backup.corrupt":
            raise Conflict(error.message, code=error.code) from error
        if error.code == "backup.not_found":
            raise NotFound("backup", backup_id, message=f"Backup {backup_id} is not in the store.") from error
        raise


ROUTES = [
    Route("GET", _STORE, show, rule=_RULE, query=PAGING, view=_PAGE,
          summary="What is in the store of backups, known here or not"),
    Route("POST", f"{_STORE}/take-over", take_over, rule=_RULE, success=204,
          summary="Write to the store in place of the appliance that did"),
    Route("POST", f"{_STORE}/backups/{{backup_id}}/import", take, rule=_RULE, success=202,
          view=Told("backup", whole=_TAKEN), summary="Take a backup that is in the store into the records"),
]  # fmt: skip
