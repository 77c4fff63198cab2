"""What may be said of a port beside its addresses: what else it may speak from, what else DHCP tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from novalite.cloud.network import ranges
from novalite.errors import Conflict, Invalid


def pairs(wanted: Sequence[Mapping[str, str]], *, port_security: bool) -> tuple[dict[str, str], ...]:
    """Allowed address pairs as they are kept. Raises ``Invalid`` for what is no address or stands there twice,
    ``Conflict`` for a port without port security, which may speak from any."""
    if wanted and not port_security:
        raise Conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            code="allowed_address_pairs.port_security_required",
        )
    found: list[dict[str, str]] = []
    for pair in wanted:
        text = pair["ip_address"]
        try:
            range_ = ranges.read_range(text)
        except ValueError:
            raise Invalid(
                f"Invalid input for allowed_address_pairs. Reason: '{text}' is not a valid IP address or subnet.",
                field="allowed_address_pairs",
            ) from None
        kept = {
            "ip_address": str(range_) if "/" in text else str(range_.network_address),
            "mac_address": (pair.get("mac_address") or "").lower(),
        }
        if kept in found:
            raise Invalid(
                f"Request contains duplicate address pair: mac_address {kept['mac_address'] or None} ip_address "
                f"{kept['ip_address']}.",
                code="allowed_address_pairs.duplicate",
                field="allowed_address_pairs",
            )
        found.append(kept)
    return tuple(found)


def dhcp(present: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Extra DHCP options: those of ``wanted`` are set, or taken away where their value is None; others stay."""
    found = {(option["opt_name"], int(option["ip_version"])): dict(option) for option in present}
    for option in wanted:
        key = option["opt_name"], int(option.get("ip_version", 4))
        if option["opt_value"] is None:
            found.pop(key, None)
        else:
            found[key] = {"opt_name": key[0], "opt_value": option["opt_value"], "ip_version": key[1]}
    return tuple(found.values())
