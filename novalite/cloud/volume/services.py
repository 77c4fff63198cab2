"""Services of Block Storage that an administrator switches off, or freezes: nothing that a frozen one keeps is
changed. What is not written down is as it is by itself: on, and not frozen."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.volume.records import Volume, VolumeService
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

VOLUME, SCHEDULER, BACKUP = "cinder-volume", "cinder-scheduler", "cinder-backup"
_FROZEN = "frozen"


def everyone(w: Work) -> dict[tuple[str, str], VolumeService]:
    """What is written down, by binary and host."""
    return {(row.binary, row.host): row for row in w.session.scalars(sa.select(VolumeService))}


def backend_host(pool_name: str) -> str:
    """HOST@BACKEND of HOST@BACKEND#POOL."""
    return pool_name.partition("#")[0]


def closed(w: Work) -> dict[str, str]:
    """Backends (HOST@BACKEND) that get no new volumes, and why."""
    query = sa.select(VolumeService).where(VolumeService.binary == VOLUME)
    return {row.host: f"its service is disabled{_because(row)}" for row in w.session.scalars(query) if row.disabled}


def _because(row: VolumeService) -> str:
    return f" ({row.disabled_reason})" if row.disabled_reason else ""


def set_disabled(w: Work, binary: str, host: str, disabled: bool, reason: str | None = None) -> None:
    """Switch a service that there is off or on. Of backups there is one, whatever this machine was called before."""
    if binary == BACKUP:
        w.changed(sa.delete(VolumeService).where(VolumeService.binary == BACKUP, VolumeService.host != host))
    row = _row(w, binary, host)
    row.disabled, row.disabled_reason, row.updated_at = disabled, reason, w.now
    w.session.flush()


def backups_are_off(w: Work) -> bool:
    """Whether the service of backups is disabled: then none is made, put back or deleted."""
    off = sa.select(VolumeService.host).where(VolumeService.binary == BACKUP, VolumeService.disabled)
    return w.session.scalar(off.limit(1)) is not None


def require_backups(w: Work) -> None:
    """Raises ``NotFound`` as Cinder does while the service of backups is disabled."""
    if backups_are_off(w):
        raise NotFound("service", BACKUP, message=f"Service {BACKUP} could not be found.",
                       hint="It is disabled; an administrator enables it.")  # fmt: skip


def freeze(w: Work, host: str) -> None:
    """Let nothing be changed that a backend keeps. Raises ``Invalid`` when it is frozen already."""
    row = _row(w, VOLUME, host)
    if row.frozen:
        raise Invalid("Invalid input received: Host is already Frozen.", field="host", code="service.state")
    row.frozen, row.disabled, row.disabled_reason, row.updated_at = True, True, _FROZEN, w.now
    w.session.flush()


def thaw(w: Work, host: str) -> None:
    """The other way round. Raises ``Invalid`` when it is not frozen."""
    row = _row(w, VOLUME, host)
    if not row.frozen:
        raise Invalid("Invalid input received: Host is NOT Frozen.", field="host", code="service.state")
    row.frozen, row.disabled, row.disabled_reason, row.updated_at = False, False, None, w.now
    w.session.flush()


def require_thawed(w: Work, volume: Volume) -> None:
    """Raises ``Invalid`` for a volume on a frozen backend."""
    row = w.session.get(VolumeService, (VOLUME, backend_host(volume.host))) if volume.host else None
    if row is not None and row.frozen:
        raise Invalid(
            "Invalid input received: Modification operations are not allowed on frozen storage backends.",
            field="volume", code="service.frozen",
        )  # fmt: skip


def _row(w: Work, binary: str, host: str) -> VolumeService:
    row = w.session.get(VolumeService, (binary, host))
    if row is None:
        row = VolumeService(binary=binary, host=host, disabled=False, frozen=False, updated_at=w.now)
        w.session.add(row)
    return row
