"""The flows that give a server another size or, while it is off, another host: until somebody confirms it."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.compute import migrations, moving_tasks, progress, resize, servers, states
from novalite.cloud.compute.migrations import Migration
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.db.work import Work
from novalite.drivers.compute.base import FullDriver, GuestSpec
from novalite.engine.conductor import disk_moves, guests, moves, placement, power
from novalite.engine.flow import Flow, Run, Step


def _place(run: Run) -> None:
    _, move = moves.known(run)
    if move.dest_host:
        return
    wish = placement.Move(move.holder, move.new_flavor, _excluded(run, move), str(run.args.get("host", "")))

    def taken(w: Work, host: str) -> None:
        migrations.move_on(w, move.id, migrations.PRE_MIGRATING, dest_host=host)

    run.parts.scheduling.do(lambda: placement.move(run, wish, taken))


def _excluded(run: Run, move: Migration) -> dict[str, str]:
    """Why hosts must not be taken: they are where the server is, or disks do not get from here to there."""
    with run.parts.database.read(run.ctx) as w:
        able = {host.name: disk_moves.FEATURE in host.report.get("features", ()) for host in hosts.everyone(w)}
    if able.get(move.source_host):
        why = {name: "disks cannot be brought there" for name, takes in able.items() if not takes}
    else:
        why = dict.fromkeys(able, "the server's host cannot give disks away")
    why.pop(move.source_host, None)
    if move.type == migrations.MIGRATION:
        why[move.source_host] = "the server is there already"
    elif not run.parts.settings.compute.resize_on_same_host:
        why[move.source_host] = "by the settings a resize leaves the host"
    return why


def _unplace(run: Run) -> None:
    placement.unmove(run, moves.known(run)[1].holder)


def _keep(run: Run) -> None:
    _, move = moves.known(run)
    if moves.stays(move):  # else what is on the old host stays as it is
        run.parts.links.driver(move.source_host).keep_disks(run.server_id, move.holder)
        run.memo["kept"] = True


def _unkeep(run: Run) -> None:
    _, move = moves.known(run)
    if moves.stays(move):
        run.parts.links.driver(move.source_host).drop_kept_disks(run.server_id, move.holder)


def _switch(run: Run) -> None:
    server, move = moves.known(run)
    with run.parts.database.write(run.ctx) as w:
        resize.settle_on(w, server, move.new_flavor, move.dest_host)


def _switch_back(run: Run) -> None:
    server, move = moves.known(run)
    with run.parts.database.write(run.ctx) as w:
        resize.settle_on(w, server, move.old_flavor, move.source_host)


def _disks(run: Run) -> None:
    _, move = moves.known(run)
    if moves.stays(move):
        _grow(run.parts.links.driver(move.dest_host), guests.plan(run).spec, move)
    else:
        disk_moves.bring(run, move)


def _grow(driver: FullDriver, spec: GuestSpec, move: Migration) -> None:
    old, new = move.old_flavor, move.new_flavor
    for disk in spec.disks:
        root_grows = disk.name == "root" and not disk.path and new["disk"] > old["disk"]
        if root_grows or (disk.name.startswith("ephemeral") and 0 < old["ephemeral"] < new["ephemeral"]):
            driver.resize_disk(spec.id, disk.name, disk.size_gib)
        elif disk.content == "swap" and old["swap"] and new["swap"] != old["swap"]:
            driver.replace_disk(spec.id, disk)


def _undo_disks(run: Run) -> None:
    _, move = moves.known(run)
    if not moves.stays(move):
        disk_moves.take_away(run, move)
    elif run.memo.get("kept"):
        run.parts.links.driver(move.source_host).restore_disks(run.server_id, move.holder)


def _finish(run: Run) -> None:
    server, move = moves.known(run)
    power_state = states.RUNNING if server.old_vm_state == states.ACTIVE else states.SHUTDOWN
    with run.parts.database.write(run.ctx) as w:
        progress.settle(w, server.id, vm_state=states.RESIZED, power_state=power_state)
        launched_at = sa.literal(w.now, Server.launched_at.type)
        servers.change(w, server.id, {"launched_at": launched_at}, Server.deleted_at.is_(None))
        migrations.move_on(w, move.id, migrations.FINISHED)


def _flow(kind: str) -> Flow:
    return Flow(
        kind=kind,
        steps=(
            Step("place", _place, _unplace),
            Step("shutdown", power.shutdown, moves.start_guest, shows=resize.MIGRATING),
            Step("keep", _keep, _unkeep),
            Step("switch", _switch, _switch_back),
            Step("disks", _disks, _undo_disks),
            Step("wire", moves.wire, shows=resize.MIGRATED),
            Step("launch", moves.start_guest, power.off, shows=resize.FINISH),
            Step("finish", _finish),
        ),
        failed=moves.failed,
        cancelled=moves.ended,
        show=moves.show,
    )


FLOWS = (_flow(moving_tasks.Resize.kind), _flow(moving_tasks.Migrate.kind))
