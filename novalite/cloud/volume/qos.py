"""Quality of service: what volumes of a type may do, and what of it the guest's host sees to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import tasks, types
from novalite.cloud.volume.records import QosSpecs, Volume, VolumeType
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

CONSUMERS = ("front-end", "back-end", "both")
SORT_KEYS = {"id": QosSpecs.id, "name": QosSpecs.name, "created_at": QosSpecs.created_at}
_KINDS = ("bytes_sec", "iops_sec")
_WAYS = ("total", "read", "write")
LIMITS = tuple(
    f"{way}_{kind}{more}" for kind in _KINDS for way in _WAYS for more in ("", "_max", "_max_length")
)  # fmt: skip
"""Limits that a guest's host sees to, by libvirt's names."""
_PER_GB, _PER_GB_MIN = "_per_gb", "_per_gb_min"
_LARGEST = 10**15


def get(w: Work, qos_id: str) -> QosSpecs:
    """Raises ``NotFound``."""
    found = w.session.get(QosSpecs, qos_id)
    if found is None:
        raise NotFound("qos specs", qos_id, message=f"No such qos_specs {qos_id}.")
    return found


def list_all(w: Work, page: Page) -> list[QosSpecs]:
    return page_of(w, sa.select(QosSpecs), QosSpecs, page, SORT_KEYS, default=("created_at",), descending=True)


def create(w: Work, name: str, *, consumer: str, specs: Mapping[str, str]) -> QosSpecs:
    """Raises ``Conflict`` for a taken name, ``Invalid`` for a limit that is none."""
    if w.session.scalar(sa.select(QosSpecs.id).where(QosSpecs.name == name)) is not None:
        raise Conflict(f"Qos Specs {name} already exists.", code="qos_specs.exists")
    _check(specs)
    made = QosSpecs(id=new_id(), name=name, consumer=consumer, specs=dict(specs), created_at=w.now)
    w.session.add(made)
    w.session.flush()
    return made


def _check(specs: Mapping[str, str]) -> None:
    """What a host would stumble over is refused here; names that it does not know are the back end's."""
    whole = {**specs}
    for name, text in specs.items():
        if _base(name) in LIMITS and (not text.isascii() or not text.isdecimal() or int(text) > _LARGEST):
            raise Invalid(f"Invalid qos specs: {name} must be a whole number, not {text[:50]}.", field=name)
    for kind in _KINDS:
        if any(_sets(whole, f"total_{kind}")) and any(_sets(whole, f"read_{kind}", f"write_{kind}")):
            raise Invalid(f"Invalid qos specs: total_{kind} cannot be set beside read_{kind} or write_{kind}.",
                          field=f"total_{kind}")  # fmt: skip


def _sets(specs: Mapping[str, str], *limits: str) -> Iterable[bool]:
    return (name in specs for limit in limits for name in (limit, limit + _PER_GB))


def _base(name: str) -> str:
    return name.removesuffix("_min").removesuffix(_PER_GB) if _PER_GB in name else name


def update(w: Work, qos_id: str, specs: Mapping[str, str], *, consumer: str = "") -> QosSpecs:
    """Set what is given; volumes in use get it while their guests run."""
    found = get(w, qos_id)
    merged = {**found.specs, **specs}
    _check(merged)
    found.specs, found.consumer, found.updated_at = merged, consumer or found.consumer, w.now
    w.session.flush()
    _apply(w, types_of(w, qos_id))
    return found


def remove_keys(w: Work, qos_id: str, keys: Iterable[str]) -> None:
    """Raises ``NotFound`` for a key that is not there."""
    found, dropped = get(w, qos_id), set(keys)
    for key in sorted(dropped - set(found.specs)):
        raise NotFound("qos specs", key, message=f"QoS spec {qos_id} has no spec with key {key[:255]}.")
    found.specs, found.updated_at = {k: v for k, v in found.specs.items() if k not in dropped}, w.now
    w.session.flush()
    _apply(w, types_of(w, qos_id))


def types_of(w: Work, qos_id: str) -> list[VolumeType]:
    """Types that have these specs, by name."""
    return list(w.session.scalars(sa.select(VolumeType).where(VolumeType.qos_specs_id == qos_id)
                                  .order_by(VolumeType.name)))  # fmt: skip


def delete(w: Work, qos_id: str, *, force: bool = False) -> None:
    """Raises ``Invalid`` while types have it, unless ``force``."""
    found, having = get(w, qos_id), types_of(w, qos_id)
    if having and not force:
        raise Invalid(f"QoS Specs {qos_id} is still associated with entities.", field="id", code="qos_specs.in_use")
    _dissolve(w, having)
    w.session.delete(found)


def associate(w: Work, qos_id: str, type_id: str) -> None:
    """Give a type these specs. Raises ``Invalid`` when it has others."""
    found, kind = get(w, qos_id), types.get(w, type_id)
    if kind.qos_specs_id not in (None, found.id):
        raise Invalid(f"Type {type_id} is already associated with another qos specs: {kind.qos_specs_id}.",
                      field="vol_type_id", code="qos_specs.other")  # fmt: skip
    kind.qos_specs_id = found.id
    w.session.flush()
    _apply(w, [kind])


def dissociate(w: Work, qos_id: str, type_id: str) -> None:
    """Nothing when the type does not have these specs."""
    get(w, qos_id)
    kind = types.get(w, type_id)
    if kind.qos_specs_id == qos_id:
        _dissolve(w, [kind])


def dissociate_all(w: Work, qos_id: str) -> None:
    get(w, qos_id)
    _dissolve(w, types_of(w, qos_id))


def _dissolve(w: Work, having: list[VolumeType]) -> None:
    for kind in having:
        kind.qos_specs_id = None
    w.session.flush()
    _apply(w, having)


def _apply(w: Work, having: Iterable[VolumeType]) -> None:
    """Volumes of these types that guests have are limited anew."""
    for kind in having:
        durable.start(w, tasks.VolumeTune(type_id=kind.id), key=f"volume-type:{kind.id}", resource_id=kind.id,
                      project_id=w.ctx.project_id or "")  # fmt: skip


def limits(w: Work, volume: Volume) -> tuple[tuple[str, int], ...]:
    """What the host of a guest must hold the volume to, by libvirt's names."""
    kind = w.session.get(VolumeType, volume.type_id) if volume.type_id else None
    found = w.session.get(QosSpecs, kind.qos_specs_id) if kind is not None and kind.qos_specs_id else None
    if found is None or found.consumer == "back-end":
        return ()
    return tuple((name, value) for name in LIMITS if (value := _value(found.specs, name, volume.size_gib)) > 0)


def volumes_in_use(w: Work, *, volume_id: str, type_id: str) -> list[Volume]:
    """The volume, or all of the type, that servers have."""
    meant = Volume.id == volume_id if volume_id else Volume.type_id == type_id
    return list(w.session.scalars(sa.select(Volume).where(meant, Volume.status.in_(("in-use", "detaching")))))


def _value(specs: Mapping[str, str], name: str, size_gib: int) -> int:
    if name in specs:
        return int(specs[name])
    if name + _PER_GB in specs:
        return max(int(specs[name + _PER_GB]) * size_gib, int(specs.get(name + _PER_GB_MIN, "0")))
    return 0
