"""The flow that makes a server anew on another host, since its own is down. That one is not asked for anything: what
it still has of the server is removed when it is back."""

from __future__ import annotations

from novalite.cloud.compute import migrations, moving_tasks, resize, shelve, states
from novalite.cloud.hosts import hosts
from novalite.db.work import Work
from novalite.engine.conductor import guests, moves, outcome, placement, power, volume_reach
from novalite.engine.flow import Flow, Run, Step


def _place(run: Run) -> None:
    server, move = moves.known(run)
    run.memo[guests.BEGINS_ANEW] = True
    excluded = {move.source_host: "the server is to leave it"}
    wish = placement.Move(
        move.holder, server.flavor, excluded, str(run.args["host"]), unchecked=bool(run.args["force"])
    )

    def taken(w: Work, host: str) -> None:
        migrations.move_on(w, move.id, migrations.PRE_MIGRATING, dest_host=host)
        resize.settle_on(w, server, server.flavor, host)

    run.parts.scheduling.do(lambda: placement.move(run, wish, taken))


def _unplace(run: Run) -> None:
    server, move = moves.known(run)
    placement.unmove(run, move.holder)
    with run.parts.database.write(run.ctx) as w:
        resize.settle_on(w, server, server.flavor, move.source_host)


def _image(run: Run) -> None:
    guests.bring_image(run, guests.plan(run))


def _spawn(run: Run) -> None:
    volume_reach.close(run)  # the old host may be alive after all, and its guest write
    if not run.args["stopped"]:
        guests.wire(run)
        power.launch(run)


def _take_away(run: Run) -> None:
    _, move = moves.known(run)
    if move.dest_host:
        run.parts.links.driver(move.dest_host).delete_guest(run.server_id)


def _finish(run: Run) -> None:
    _, move = moves.known(run)
    with run.parts.database.write(run.ctx) as w:
        hosts.release(w, move.holder)
        migrations.move_on(w, move.id, migrations.DONE)
        shelve.forget_root(w, run.server_id)
    if run.args["stopped"]:
        outcome.settled(run, states.STOPPED, states.SHUTDOWN)
    else:
        guests.launched(run)


def _failed(run: Run, error: Exception) -> None:
    moves.ended(run)
    outcome.failed_into_error(run, error)


FLOWS = (
    Flow(
        moving_tasks.Evacuate.kind,
        (
            Step("place", _place, _unplace),
            Step("image", _image, shows="rebuild_block_device_mapping"),
            Step("spawn", _spawn, _take_away, shows="rebuild_spawning"),
            Step("finish", _finish),
        ),
        failed=_failed,
        cancelled=moves.ended,
        show=moves.show,
    ),
)
