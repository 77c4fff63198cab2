"""Names that stand in certificates, as those who check them spell them."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from novalite.errors import Invalid

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def subject(name: str) -> x509.Name:
    """Raises ``Invalid`` for what would have to be escaped in a distinguished name."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Host {name!r} can be given no certificate.", field="compute.agents",
            hint="Name hosts with up to 64 letters, digits, dots, dashes and underscores.",
        )  # fmt: skip
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def distinguished(name: str) -> str:
    """How TLS libraries tell whom they talk to."""
    return subject(name).rfc4514_string()
