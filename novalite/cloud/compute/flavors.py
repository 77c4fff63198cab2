"""Flavors: the sizes servers come in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import patterns
from novalite.db.paging import Page, page_of
from novalite.db.records import Base, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


class Flavor(Base):
    """``ram_mib`` in MiB, ``disk_gib`` and ``ephemeral_gib`` in GiB, ``swap_mib`` in MiB."""

    __tablename__ = "flavors"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    vcpus: Mapped[int]
    ram_mib: Mapped[int]
    disk_gib: Mapped[int] = mapped_column(default=0)
    ephemeral_gib: Mapped[int] = mapped_column(default=0)
    swap_mib: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    extra_specs: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class FlavorAccess(Base):
    """A project that may use a flavor which is not public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[str] = mapped_column(sa.ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


DEFAULTS = (
    ("1", "m1.tiny", 1, 256, 1),
    ("2", "m1.small", 1, 1024, 10),
    ("3", "m1.medium", 2, 2048, 20),
    ("4", "m1.large", 4, 4096, 40),
    ("5", "m1.xlarge", 8, 8192, 80),
)


def ensure_defaults(w: Work) -> None:
    """The usual flavors, at first start only: an operator's deletions are respected."""
    if w.session.scalar(sa.select(sa.func.count()).select_from(Flavor)):
        return
    for id, name, vcpus, ram, disk in DEFAULTS:
        w.session.add(
            Flavor(id=id, name=name, vcpus=vcpus, ram_mib=ram, disk_gib=disk, extra_specs={}, created_at=w.now)
        )


def _visible(w: Work) -> sa.ColumnElement[bool]:
    granted = sa.exists().where(FlavorAccess.flavor_id == Flavor.id, FlavorAccess.project_id == w.ctx.project_id)
    return sa.or_(Flavor.is_public.is_(True), granted)


def get(w: Work, flavor_id: str) -> Flavor:
    """By id, visible to the caller; admins see all."""
    query = sa.select(Flavor).where(Flavor.id == flavor_id)
    if not w.ctx.is_admin:
        query = query.where(_visible(w))
    flavor = w.session.scalar(query)
    if flavor is None:
        raise NotFound("flavor", flavor_id, message=f"Flavor {flavor_id} could not be found.")
    return flavor


SORT_KEYS = {
    "flavorid": Flavor.id,
    "id": Flavor.id,
    "name": Flavor.name,
    "memory_mb": Flavor.ram_mib,
    "vcpus": Flavor.vcpus,
    "root_gb": Flavor.disk_gib,
    "ephemeral_gb": Flavor.ephemeral_gib,
    "swap": Flavor.swap_mib,
    "is_public": Flavor.is_public,
    "created_at": Flavor.created_at,
    "rxtx_factor": Flavor.rxtx_factor,
}


def list_visible(
    w: Work, page: Page, *, public: bool | None = True, min_ram: int = 0, min_disk: int = 0, name: str = ""
) -> list[Flavor]:
    """A page of flavors. ``public`` None shows admins all; others see public and granted ones. ``name`` is a
    regular expression that is found anywhere in it. Raises ``Invalid``."""
    query = sa.select(Flavor).where(Flavor.ram_mib >= min_ram, Flavor.disk_gib >= min_disk)
    if name:
        query = query.where(patterns.found_in(w, Flavor.name, "name", name))
    if not w.ctx.is_admin:
        query = query.where(_visible(w))
    elif public is not None:
        query = query.where(Flavor.is_public.is_(public))
    return page_of(w, query, Flavor, page, SORT_KEYS, default=("flavorid",))


def create(w: Work, values: dict[str, Any]) -> Flavor:
    """A new flavor from ``Flavor``'s own field names; ``id`` empty or 'auto' makes one.

    Raises ``Conflict`` when the name or the id is taken.
    """
    flavor_id = values.get("id") or "auto"
    flavor_id = new_id() if flavor_id == "auto" else flavor_id
    taken = w.session.scalar(sa.select(Flavor).where(sa.or_(Flavor.id == flavor_id, Flavor.name == values["name"])))
    if taken is not None:
        what = f"name {values['name']}" if taken.name == values["name"] else f"ID {flavor_id}"
        raise Conflict(f"Flavor with {what} already exists.", code="flavor.exists")
    flavor = Flavor(**{"extra_specs": {}, "created_at": w.now, **values, "id": flavor_id})
    w.session.add(flavor)
    w.session.flush()
    return flavor


def remove(w: Work, flavor_id: str) -> None:
    """Forget a flavor; servers keep their own copy of it."""
    flavor = get(w, flavor_id)
    w.session.delete(flavor)


def set_extra_specs(w: Work, flavor_id: str, specs: dict[str, str]) -> Flavor:
    """Merge ``specs`` into the flavor's."""
    flavor = get(w, flavor_id)
    flavor.extra_specs = {**flavor.extra_specs, **specs}
    return flavor


def unset_extra_spec(w: Work, flavor_id: str, key: str) -> None:
    flavor = get(w, flavor_id)
    if key not in flavor.extra_specs:
        raise NotFound("extra spec", key, message=f"Flavor {flavor_id} has no extra specs with key {key}.")
    flavor.extra_specs = {name: value for name, value in flavor.extra_specs.items() if name != key}


def projects_of(w: Work, flavor_id: str) -> list[str]:
    return list(w.session.scalars(sa.select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == flavor_id)))


def grant(w: Work, flavor_id: str, project_id: str) -> None:
    if w.session.get(FlavorAccess, (flavor_id, project_id)) is not None:
        raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.")
    w.session.add(FlavorAccess(flavor_id=flavor_id, project_id=project_id))


def revoke(w: Work, flavor_id: str, project_id: str) -> None:
    access = w.session.get(FlavorAccess, (flavor_id, project_id))
    if access is None:
        raise NotFound(
            "flavor access",
            project_id,
            message=f"Flavor access not found for {flavor_id} / {project_id} combination.",
        )
    w.session.delete(access)
