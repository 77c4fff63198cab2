"""Named formats that request schemas may use, beside JSON Schema's own keywords."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID

from jsonschema import FormatChecker

from novalite.api.kit import moments

CHECKER = FormatChecker(formats=())
_MAC = re.compile(r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\Z")
_HOST_LABEL = re.compile(r"^(?!-)[a-zA-Z0-9-]{1,63}(?<!-)\Z")


def _text_format(name: str) -> Callable[[Callable[[str], bool]], Callable[[str], bool]]:
    """Register a check of texts; values of other types pass (``type`` judges those)."""

    def register(check: Callable[[str], bool]) -> Callable[[str], bool]:
        CHECKER.checks(name, raises=(ValueError,))(lambda value: not isinstance(value, str) or check(value))
        return check

    return register


@_text_format("uuid")
def is_uuid(value: str) -> bool:
    return len(value) in (32, 36) and bool(UUID(value))


@_text_format("base64")
def is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.encode("ascii", "strict").translate(None, b"\r\n \t"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    return True


@_text_format("printable")
def is_printable(value: str) -> bool:
    """Neither control characters nor ends of lines; blanks of any kind are fine."""
    kinds = (unicodedata.category(character) for character in value)
    return all(kind == "Zs" or kind[0] not in "CZ" for kind in kinds)


@_text_format("name")
def is_name(value: str) -> bool:
    """Printable, and no blanks at either end."""
    return value == value.strip() and is_printable(value) and bool(value)


@_text_format("name_with_leading_trailing_spaces")
def is_loose_name(value: str) -> bool:
    return is_printable(value) and bool(value.strip())


@_text_format("date-time")
def is_date_time(value: str) -> bool:
    return bool(moments.parse(value))


@_text_format("ipv4")
def is_ipv4(value: str) -> bool:
    return bool(ipaddress.IPv4Address(value))


@_text_format("ipv6")
def is_ipv6(value: str) -> bool:
    return "%" not in value and bool(ipaddress.IPv6Address(value))


@_text_format("ip")
def is_ip(value: str) -> bool:
    """An address; none with a zone, which may be any text."""
    return "%" not in value and bool(ipaddress.ip_address(value))


@_text_format("cidr")
def is_cidr(value: str) -> bool:
    return "%" not in value and bool(ipaddress.ip_network(value, strict=False))


@_text_format("mac")
def is_mac(value: str) -> bool:
    return bool(_MAC.match(value))


@_text_format("uri")
def is_uri(value: str) -> bool:
    parts = urlsplit(value)
    return bool(parts.scheme and parts.netloc)


@_text_format("hostname")
def is_hostname(value: str) -> bool:
    return len(value) <= 253 and all(_HOST_LABEL.match(label) for label in value.rstrip(".").split("."))
