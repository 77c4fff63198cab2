"""Volumes on their way from one project to another: offered with a key, taken by whoever knows it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.volume import snapshots, types, usage, volumes
from novalite.cloud.volume.records import ProjectId, Snapshot, Volume
from novalite.db.paging import Page, page_of
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

OFFERED = "awaiting-transfer"


class VolumeTransfer(Base):
    """``key_hash`` is of ``salt`` and the key, which only whoever made it was told. It ends with the record."""

    __tablename__ = "volume_transfers"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    volume_id: Mapped[str] = mapped_column(sa.ForeignKey("volumes.id", ondelete="CASCADE"), unique=True)
    project_id: Mapped[str] = mapped_column(ProjectId, index=True)
    name: Mapped[str | None]
    salt: Mapped[str] = mapped_column(sa.String(64))
    key_hash: Mapped[str] = mapped_column(sa.String(64))
    no_snapshots: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


SORT_KEYS = {"id": VolumeTransfer.id, "name": VolumeTransfer.name, "created_at": VolumeTransfer.created_at}


def _hashed(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


def _missing(transfer_id: str) -> NotFound:
    return NotFound("transfer", transfer_id, message=f"Transfer {transfer_id} could not be found.")


def get(w: Work, transfer_id: str) -> VolumeTransfer:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = w.session.get(VolumeTransfer, transfer_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise _missing(transfer_id)
    return found


def list_all(w: Work, page: Page, *, all_projects: bool = False) -> list[VolumeTransfer]:
    row = VolumeTransfer
    visible = sa.true() if all_projects and w.ctx.is_admin else row.project_id == w.ctx.project_id
    return page_of(w, sa.select(row).where(visible), row, page, SORT_KEYS, default=("created_at",), descending=True,
                   visible=visible)  # fmt: skip


def create(
    w: Work, volume_id: str, *, name: str | None, no_snapshots: bool = False, encrypted_too: bool = True
) -> tuple[VolumeTransfer, str]:
    """Offer a volume; the transfer and its key. Raises ``Invalid`` for one that is not free, and for an encrypted one
    unless ``encrypted_too``, or without snapshots that are encrypted with its key."""
    volume = volumes.get(w, volume_id)
    if volume.encryption_key_id is not None:
        _require_whole(w, volume, no_snapshots, encrypted_too)
    volumes.move(w, volume, ("available",), OFFERED, ~volumes.being_copied(volume_id),
                 ~volumes.has_attachments(volume_id), Volume.group_id.is_(None), doing="transferred")  # fmt: skip
    w.changed(sa.delete(VolumeTransfer).where(VolumeTransfer.volume_id == volume_id))  # of before its status was reset
    key, salt = secrets.token_hex(8), secrets.token_hex(16)
    made = VolumeTransfer(
        id=new_id(), volume_id=volume_id, project_id=volume.project_id, name=name, salt=salt,
        key_hash=_hashed(salt, key), no_snapshots=no_snapshots, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made, key


def _require_whole(w: Work, volume: Volume, no_snapshots: bool, encrypted_too: bool) -> None:
    why = ""
    if not encrypted_too:
        why = "transferring encrypted volume is not supported before version 3.70"
    elif no_snapshots and w.session.scalar(sa.select(volumes.has_snapshots(volume.id))):
        why = "an encrypted volume goes with its snapshots, whose key it has"
    if why:
        raise Invalid(f"Invalid volume: {why}.", field="volume_id", code="volume.encrypted")


def delete(w: Work, transfer_id: str) -> None:
    """Take the offer back."""
    found = get(w, transfer_id)
    w.session.delete(found)
    volumes.change(w, found.volume_id, {"status": "available"}, Volume.status == OFFERED)


def accept(w: Work, transfer_id: str, key: str) -> VolumeTransfer:
    """Take a volume into the caller's project, with its snapshots unless the offer is without. Raises ``NotFound``,
    ``Invalid`` for another key, ``OverQuota``."""
    found = w.session.get(VolumeTransfer, transfer_id)
    if found is None:
        raise _missing(transfer_id)
    if not hmac.compare_digest(found.key_hash, _hashed(found.salt, key)):
        raise Invalid("Invalid auth key: the key does not fit the transfer.", field="auth_key", code="transfer.key")
    volume = volumes.find(w, found.volume_id)
    if volume is None or volume.status != OFFERED:
        raise Invalid(f"Volume {found.volume_id} is not offered any more.", field="transfer", code="transfer.over")
    theirs = [] if found.no_snapshots else snapshots.of_volumes(w, [volume.id])
    if volume.project_id != w.ctx.project_id:
        usage.require(
            w, w.ctx.project_id, kind=types.get_or_default(w, volume.type_id), volumes=1, snapshots=len(theirs),
            gigabytes=volume.size_gib + sum(one.size_gib for one in theirs),
        )  # fmt: skip
    owner = {"project_id": w.ctx.project_id, "user_id": w.ctx.user_id}
    if not volumes.change(w, volume.id, {**owner, "status": "available"}, Volume.status == OFFERED):
        raise volumes.refusal(volume, "accepted", (OFFERED,))
    if theirs:
        w.changed(sa.update(Snapshot).where(Snapshot.volume_id == volume.id).values(**owner, updated_at=w.now))
    w.session.delete(found)
    w.session.flush()
    return found
