"""What users are told of failures."""

from __future__ import annotations

import pytest

from novalite.engine.conductor import outcome
from novalite.engine.workers import _error_from, _error_record
from novalite.errors import DriverError, HostUnreachable


@pytest.mark.parametrize("keep", [lambda error: error, lambda error: _error_from(_error_record(error))])
def test_how_a_host_is_reached_is_for_operators(keep: object) -> None:
    """Also when only the task's record of the error is left."""
    assert callable(keep)
    away = HostUnreachable("The agent at http://10.1.2.3:8700 does not answer.", hint="Is it running on far-7?")
    assert outcome.message_of(keep(away)) == "The host of the server does not answer."
    told = outcome.message_of(keep(DriverError("take_snapshot", "the disk is full", code="disk.full")))
    assert "the disk is full" in told
