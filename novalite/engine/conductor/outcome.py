"""How actions on servers end, well or not."""

from __future__ import annotations

from novalite.cloud.compute import progress, states
from novalite.engine.conductor import guests
from novalite.engine.flow import Run
from novalite.errors import HostUnreachable, NovaLiteError, Unavailable


def settled(run: Run, vm_state: str, power_state: int) -> None:
    """The action has ended well in this state."""
    with run.parts.database.write(run.ctx) as w:
        progress.settle(w, run.server_id, vm_state=vm_state, power_state=power_state, launched=True)


def failed_into_error(run: Run, error: Exception) -> None:
    """The action has left nothing that could be relied on."""
    _record(run, error, states.ERROR)


def failed_in_place(run: Run, error: Exception) -> None:
    """The action has changed nothing: the server is what its guest is."""
    _record(run, error, None)


def message_of(error: Exception) -> str:
    """What users are told of a failure. Where their server's host is, and how it is reached, is for operators; of an
    error that a task has met only its code is left to tell it by."""
    if isinstance(error, NovaLiteError) and error.code == HostUnreachable.default_code:
        return "The host of the server does not answer."
    return str(error)


def _record(run: Run, error: Exception, vm_state: str | None) -> None:
    message = message_of(error)
    power: str | None = None
    if vm_state is None:
        try:
            power = guests.driver(run).guest(run.server_id).power.value
        except (NovaLiteError, Unavailable) as lost:
            message = f"{message} (and its state is unknown: {message_of(lost)})"
    with run.parts.database.write(run.ctx) as w:
        progress.failed(w, run.server_id, progress.fault(500, message, w.now), vm_state=vm_state)
        if power is not None:
            progress.observed(w, run.server_id, power)
