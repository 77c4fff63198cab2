"""The flows that take over guests which others made, and give them back."""

from __future__ import annotations

from pathlib import Path

from novalite.cloud.compute import adoptions, consoles, progress, states
from novalite.cloud.compute.adoptions import Adoption
from novalite.cloud.compute.carrying_tasks import AdoptGuest, GiveGuestBack
from novalite.context import internal
from novalite.db.work import Work
from novalite.drivers.storage.base import FoundDriver
from novalite.engine.conductor import guests, outcome
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed


def _record(run: Run) -> Adoption:
    with run.parts.database.read(internal()) as w:
        found = adoptions.find(w, run.server_id)
    if found is None:
        raise Failed("The guest was not adopted.", code="adoption.gone")
    return found


def _keeper(run: Run) -> FoundDriver:
    if run.parts.volumes.found is None:
        raise Failed("No driver knows of volumes that were found.", code="adoption.no_driver")
    return run.parts.volumes.found


def _volumes(run: Run) -> None:
    for each in _record(run).volumes:
        _keeper(run).find(each["id"], Path(each["path"]), each["format"])


def _forget_volumes(run: Run) -> None:
    """Never more than that they are volumes."""
    with run.parts.database.read(internal()) as w:
        found = adoptions.find(w, run.server_id)
    for volume_id in found.volume_ids if found else ():
        _keeper(run).ends_with(volume_id, False)
        _keeper(run).delete_volume(volume_id)


def _take(run: Run) -> None:
    run.parts.links.driver(_record(run).host).take_guest(run.server_id)


def _give_back(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        found = adoptions.find(w, run.server_id)
    if found is not None:
        driver = run.parts.links.driver(found.host)
        driver.give_guest_back(run.server_id, found.definition, found.starts_with_machine)


def _finish(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        adoptions.taken(w, run.server_id)
        progress.settle(w, run.server_id, vm_state=states.STOPPED, power_state=states.SHUTDOWN, launched=True)


def _forget(w: Work, server_id: str) -> None:
    progress.gone(w, server_id)
    adoptions.given_back(w, server_id)


def _not_taken(run: Run, error: Exception) -> None:
    _cancelled(run)


def _cancelled(run: Run) -> None:
    """As if it had never been asked for: the guest is its owner's."""
    with run.parts.database.write(internal()) as w:
        _forget(w, run.server_id)


def _close(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        consoles.revoke_server(w, run.server_id)


def _end(run: Run) -> None:
    guests.unwire(run)
    _forget_volumes(run)
    with run.parts.database.write(internal()) as w:
        _forget(w, run.server_id)


def _not_given_back(run: Run, error: Exception) -> None:
    with run.parts.database.write(internal()) as w:
        adoptions.not_given_back(w, run.server_id, outcome.message_of(error))


FLOWS = (
    Flow(AdoptGuest.kind,
         (Step("volumes", _volumes, _forget_volumes), Step("take", _take, _give_back), Step("finish", _finish)),
         failed=_not_taken, cancelled=_cancelled),
    Flow(GiveGuestBack.kind,
         (Step("close", _close), Step("give back", _give_back), Step("finish", _end)), failed=_not_given_back,
         cancelled=lambda run: _not_given_back(run, Failed("It was called off.", code="adoption.cancelled"))),
)  # fmt: skip
