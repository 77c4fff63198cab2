"""Values and errors come out of the wire as they went in."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novalite import errors
from novalite.drivers.compute import base, wire
from novalite.errors import DriverError, NovaLiteError

# JSON numbers as programs agree on them.
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))

VALUES = [kind for _, kind in inspect.getmembers(base, inspect.isclass) if hasattr(kind, "__dataclass_fields__")]


def test_every_question_of_the_port_crosses() -> None:
    named = {name for name, _ in inspect.getmembers(base.ComputeDriver, inspect.isfunction) if name[0] != "_"}
    assert named - set(wire.METHODS) == {"ensure_image", "console", "close"}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_value_of_the_port_survives(kind: type) -> None:
    @settings(max_examples=20, deadline=None, derandomize=True, database=None)
    @given(st.from_type(kind))
    def survives(value: Any) -> None:
        assert msgspec.json.decode(wire.encode(value), type=kind) == value

    survives()


def test_calls_carry_positional_and_named_arguments() -> None:
    method = wire.METHODS["set_power"]
    body = method.encode_call(("guest",), {"action": base.PowerAction.PAUSE})
    assert method.decode_call(body) == {"guest_id": "guest", "action": base.PowerAction.PAUSE}


@pytest.mark.parametrize(
    "error",
    [
        DriverError("ensure_guest", "no room", code="disk.full", retryable=True, hint="Make room."),
        DriverError("guest", "gone", code="guest.not_found"),
        errors.HostUnreachable("libvirt does not answer", hint="Is libvirtd running?"),
        errors.Busy("later"),
    ],
)
def test_errors_come_out_as_themselves(error: NovaLiteError) -> None:
    out = wire.decode_error("other", wire.encode_error(error))
    assert type(out) is type(error)
    assert (out.message, out.code, out.hint, out.facts) == (error.message, error.code, error.hint, error.facts)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"family": 3}'])
def test_what_is_no_error_of_ours_is_a_driver_error(body: bytes) -> None:
    out = wire.decode_error("guest", body)
    assert isinstance(out, DriverError)
    assert out.op == "guest"


@pytest.mark.parametrize("family", ["os", "NovaLiteError", "Refused", "Any", "NoValidHost"])
def test_only_known_families_are_made(family: str) -> None:
    body = wire.encode({"family": family, "message": "m", "code": "c"})
    assert isinstance(wire.decode_error("guest", body), DriverError)
