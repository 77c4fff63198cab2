"""Where a server goes: a snapshot, the pure choice, the atomic claim."""

from __future__ import annotations

from typing import Any

from novalite.cloud.compute import progress, server_groups
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import aggregates, hosts
from novalite.db.work import Work
from novalite.engine.flow import Run
from novalite.engine.scheduler.select import explain, select
from novalite.engine.scheduler.snapshot import Group, Hints, HostView, Request
from novalite.errors import Failed, NoValidHost
from novalite.settings import Settings

_CLAIM_ROUNDS = 20


def place(run: Run) -> None:
    """Claim room for the server on the best host. Raises ``NoValidHost`` that says what each filter removed."""
    database, settings = run.parts.database, run.parts.settings
    for _ in range(_CLAIM_ROUNDS):
        with database.read(run.ctx) as w:
            server = progress.find(w, run.server_id)
            if server is None or server.host:
                return
            request = _request(w, server, run.memo.get("excluded", {}))
            metadata = aggregates.metadata_of_hosts(w)
            views = [_view(host, w, settings, metadata.get(host.id, ())) for host in hosts.everyone(w)]
        choice = select(request, views, run.parts.filters, run.parts.weighers)
        if not choice.hosts:
            removed = [
                (each.filter, len(each.removed), "; ".join(f"{host}: {why}" for host, why in each.removed[:5]))
                for each in choice.trace
                if each.removed
            ]
            raise NoValidHost(explain(choice.trace), removed_by=removed)
        if _claim_first(run, server, request, choice.hosts):
            return
    raise Failed("No host could be claimed: others were quicker each time.", hint="Try again.")


def unplace(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.unplaced(w, run.server_id)


def _claim_first(run: Run, server: Server, request: Request, ordered: tuple[HostView, ...]) -> bool:
    room = hosts.Room(server.vcpus, server.memory_mib, server.disk_gib)
    group = request.group
    bound = group.max_per_host if group and group.policy == "anti-affinity" else None
    with run.parts.database.write(run.ctx) as w:
        for view in ordered[:5]:
            if hosts.claim(w, host_id=view.host_id, server_id=server.id, room=room,
                           group_id=server.group_id, max_in_group=bound):  # fmt: skip
                progress.placed(w, server.id, hosts.by_name(w, view.name))
                return True
    return False


def _request(w: Work, server: Server, excluded: dict[str, str]) -> Request:
    properties = {str(k): str(v) for k, v in server.image.get("properties", {}).items()}
    specs = {str(k): str(v) for k, v in server.flavor["extra_specs"].items()}
    return Request(
        server_id=server.id,
        vcpus=server.vcpus,
        memory_mib=server.memory_mib,
        disk_gib=server.disk_gib,
        architecture=properties.get("hw_architecture") or properties.get("architecture", ""),
        zone=server.pinned_zone,
        forced_host=server.forced_host,
        image_properties=properties,
        extra_specs=specs,
        group=_group(w, server),
        hints=_hints(w, server),
        excluded_hosts=excluded,
    )


def _group(w: Work, server: Server) -> Group | None:
    group = w.session.get(server_groups.ServerGroup, server.group_id) if server.group_id else None
    if group is None:
        return None
    members = hosts.group_members(w, [group.id]).get(group.id, {})
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


def _view(host: hosts.Host, w: Work, settings: Settings, aggregates_metadata: tuple[dict[str, str], ...]) -> HostView:
    report = host.report
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
        server_count=host.server_count,
        disabled_reason=host.disabled_reason or "",
        aggregates_metadata=aggregates_metadata,
    )
