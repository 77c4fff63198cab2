"""Where a server goes: a snapshot, the pure choice, the atomic claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from novalite.cloud.compute import progress, resize, server_groups
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import aggregates, aside, hosts
from novalite.db.work import Work
from novalite.drivers.compute import needs
from novalite.drivers.compute.base import GuestSpec, HostReport
from novalite.engine.flow import Run
from novalite.engine.scheduler.ports import Filter
from novalite.engine.scheduler.select import explain, removed_by, select
from novalite.engine.scheduler.snapshot import Group, Hints, HostView, Request
from novalite.errors import DriverError, Failed, NoValidHost
from novalite.settings import Settings

_CLAIM_ROUNDS = 20
_WHICH_HOST = "allowed_host"
_GUEST_PROPERTIES = ("hw", "os:", "os_", "quota:", "pci_passthrough:")
_SEEN_BY_FILTERS = ("hw_firmware_type:", "os:secure_boot:")


@dataclass(frozen=True)
class Move:
    """Another place or size for a server: ``excluded`` maps names of hosts to why they must not be taken, ``host``
    is the one that was asked for; ``unchecked`` takes it whatever the other filters say. What the server has stands
    aside under ``holder`` meanwhile."""

    holder: str
    flavor: dict[str, Any]
    excluded: dict[str, str] = field(default_factory=dict)
    host: str = ""
    unchecked: bool = False


def place(run: Run) -> None:
    """Claim room for the server on the best host. Raises ``NoValidHost`` that says what each filter removed."""

    def wanted(w: Work, server: Server) -> Request | None:
        return None if server.host else _request(w, server, run.memo.get("excluded", {}))

    def claim(w: Work, server: Server, request: Request, ordered: tuple[HostView, ...]) -> HostView | None:
        view = _claim_first(w, server, request, ordered)
        if view is not None:
            progress.placed(w, server.id, hosts.by_name(w, view.name))
        return view

    _decide(run, wanted, claim, run.parts.filters)


def move(run: Run, wish: Move, taken: Callable[[Work, str], None]) -> None:
    """Claim room for what ``wish`` says, beside what the server has; ``taken(w, host)`` records it in the same
    unit. Nothing when that has been done. Raises as ``place``."""

    def wanted(w: Work, server: Server) -> Request | None:
        if aside.is_held(w, wish.holder):
            return None
        request = _request(w, server, wish.excluded, wish.flavor)
        return replace(request, forced_host=wish.host)

    def claim(w: Work, server: Server, request: Request, ordered: tuple[HostView, ...]) -> HostView | None:
        aside.set_aside(w, server.id, wish.holder)
        view = _claim_first(w, server, request, ordered)
        if view is None:
            aside.take_back(w, server.id, wish.holder)
        else:
            taken(w, view.name)
        return view

    filters = run.parts.filters
    _decide(run, wanted, claim, [each for each in filters if not wish.unchecked or each.name == _WHICH_HOST])


def unmove(run: Run, holder: str) -> None:
    """Give up what was claimed for a move."""
    with run.parts.database.write(run.ctx) as w:
        aside.take_back(w, run.server_id, holder)


Wanted = Callable[[Work, Server], Request | None]
Claim = Callable[[Work, Server, Request, tuple[HostView, ...]], HostView | None]


def _decide(run: Run, wanted: Wanted, claim: Claim, filters: Sequence[Filter]) -> None:
    database, settings = run.parts.database, run.parts.settings
    for _ in range(_CLAIM_ROUNDS):
        with database.read(run.ctx) as w:
            server = progress.find(w, run.server_id)
            request = wanted(w, server) if server is not None else None
            if server is None or request is None:
                return
            metadata = aggregates.metadata_of_hosts(w)
            views = [_view(host, w, settings, metadata.get(host.id, ()), request) for host in hosts.everyone(w)]
        choice = select(request, views, filters, run.parts.weighers)
        if not choice.hosts:
            raise NoValidHost(explain(choice.trace), removed_by=removed_by(choice.trace))
        with database.write(run.ctx) as w:
            if claim(w, server, request, choice.hosts) is not None:
                return
    raise Failed("No host could be claimed: others were quicker each time.", hint="Try again.")


def hold(run: Run, request: Request, held: Callable[[Work, str], None]) -> None:
    """Claim room for a guest that is no server, under ``request.server_id``; ``held(w, host)`` records it in the same
    unit. Raises as ``place``."""
    for _ in range(_CLAIM_ROUNDS):
        with run.parts.database.read(run.ctx) as w:
            settings, metadata = run.parts.settings, aggregates.metadata_of_hosts(w)
            views = [_view(host, w, settings, metadata.get(host.id, ()), request) for host in hosts.everyone(w)]
        choice = select(request, views, run.parts.filters, run.parts.weighers)
        if not choice.hosts:
            raise NoValidHost(explain(choice.trace), removed_by=removed_by(choice.trace))
        room = hosts.Room(request.vcpus, request.memory_mib, request.disk_gib)
        with run.parts.database.write(run.ctx) as w:
            for view in choice.hosts[:5]:
                if hosts.claim(w, host_id=view.host_id, server_id=request.server_id, room=room):
                    held(w, view.name)
                    return
    raise Failed("No host could be claimed: others were quicker each time.", hint="Try again.")


_ABOUT_IMAGES = ("architecture", "image_properties")
_OWN_ALREADY = "hw:cpu_policy:"  # the processors it has to itself are among those that are not free


def refuse_image(run: Run) -> None:
    """Raises ``NoValidHost`` when the server's host, where it has room already, cannot run its image."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        if server is None or not server.host:
            return
        request = _request(w, server, {})
        view = _view(hosts.by_name(w, server.host), w, run.parts.settings, (), request)
    view = replace(view, unmet=tuple(reason for reason in view.unmet if not reason.startswith(_OWN_ALREADY)))
    choice = select(request, [view], [each for each in run.parts.filters if each.name in _ABOUT_IMAGES], ())
    if not choice.hosts:
        raise NoValidHost(explain(choice.trace), removed_by=removed_by(choice.trace))


def unplace(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.unplaced(w, run.server_id)


def _claim_first(w: Work, server: Server, request: Request, ordered: tuple[HostView, ...]) -> HostView | None:
    room = hosts.Room(request.vcpus, request.memory_mib, request.disk_gib)
    group = request.group
    bound = group.max_per_host if group and group.policy == "anti-affinity" else None
    for view in ordered[:5]:
        if hosts.claim(w, host_id=view.host_id, server_id=server.id, room=room,
                       group_id=server.group_id, max_in_group=bound):  # fmt: skip
            return view
    return None


def _request(w: Work, server: Server, excluded: dict[str, str], flavor: dict[str, Any] | None = None) -> Request:
    """What the server asks for, or would ask for with ``flavor``."""
    properties = {str(k): str(v) for k, v in server.image.get("properties", {}).items()}
    size = flavor or server.flavor
    return Request(
        server_id=server.id,
        vcpus=size["vcpus"],
        memory_mib=size["ram"],
        disk_gib=resize.disk_gib(server, size),
        architecture=properties.get("hw_architecture") or properties.get("architecture", ""),
        zone=server.pinned_zone,
        forced_host=server.forced_host,
        image_properties=properties,
        extra_specs={str(k): str(v) for k, v in size["extra_specs"].items()},
        group=_group(w, server),
        hints=_hints(w, server),
        excluded_hosts=excluded,
    )


def _group(w: Work, server: Server) -> Group | None:
    group = w.session.get(server_groups.ServerGroup, server.group_id) if server.group_id else None
    if group is None:
        return None
    counted = hosts.group_members(w, [group.id]).get(group.id, {})
    others = {host: number - (host == server.host) for host, number in counted.items()}  # itself, when it moves
    members = {host: number for host, number in others.items() if number}
    return Group(id=group.id, policy=group.policy, max_per_host=int(group.rules.get("max_server_per_host", 1)),
                 members=members)  # fmt: skip


def _hints(w: Work, server: Server) -> Hints:
    def where(name: str) -> frozenset[str]:
        value: Any = server.scheduler_hints.get(name) or []
        ids = [value] if isinstance(value, str) else [str(each) for each in value]
        others = (w.session.get(Server, each) for each in ids)
        return frozenset(other.host for other in others if other is not None and other.host)

    same = where("same_host") if server.scheduler_hints.get("same_host") else None
    return Hints(same_host=same, different_host=where("different_host"))


def _view(
    host: hosts.Host, w: Work, settings: Settings, aggregates_metadata: tuple[dict[str, str], ...], request: Request
) -> HostView:
    report, disk = host.report, hosts.disk_room(host)
    return HostView(
        host_id=host.id,
        name=host.name,
        enabled=host.enabled,
        alive=hosts.is_up(host, w.now, settings.scheduler.host_down_seconds),
        zone=host.zone,
        architecture=report.get("architecture", "x86_64"),
        hypervisor_type=report.get("hypervisor_type", ""),
        virt_type=report.get("virt_type", ""),
        firmwares=tuple(report.get("firmwares", ("bios",))),
        machine_types=tuple(report.get("machine_types", ())),
        features=tuple(report.get("features", ())),
        vcpus_total=host.vcpus,
        vcpus_used=host.vcpus_used,
        memory_mib_total=host.memory_mib,
        memory_mib_used=host.memory_mib_used,
        disk_gib_total=host.disk_gib,
        disk_gib_used=host.disk_gib_used,
        reserved_memory_mib=host.reserved_memory_mib,
        reserved_disk_gib=host.reserved_disk_gib,
        cpu_ratio=host.cpu_ratio,
        ram_ratio=host.ram_ratio,
        disk_ratio=host.disk_ratio,
        disk_gib_left=None if disk is None else int(min(disk.left, disk.most_promised - host.disk_gib_used)),
        disk_measured=_measured(disk, host.disk_gib_used),
        server_count=host.server_count,
        disabled_reason=host.disabled_reason or "",
        aggregates_metadata=aggregates_metadata,
        unmet=_unmet(report, request),
    )


def _measured(disk: hosts.DiskRoom | None, promised: int) -> str:
    if disk is None:
        return ""
    unwritten = max(0.0, promised - disk.written)
    return f"{disk}, {unwritten:.1f} GiB more are promised to its servers"


def _unmet(report: dict[str, Any], request: Request) -> tuple[str, ...]:
    """What of the properties the host cannot do, but for what a filter finds out by itself."""
    properties = {**request.image_properties, **request.extra_specs}
    if not report or not any(name.startswith(_GUEST_PROPERTIES) for name in properties):
        return ()
    spec = GuestSpec(request.server_id, "", "", request.vcpus, request.memory_mib, (), properties=properties)
    try:
        reasons = needs.unmet(spec, msgspec.convert(report, HostReport, strict=False))
    except DriverError as error:  # nobody can do that
        return (error.detail,)
    return tuple(reason for reason in reasons if not reason.startswith(_SEEN_BY_FILTERS))
