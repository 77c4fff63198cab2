"""The Identity API v3, below /identity."""

from __future__ import annotations

from novalite.api.identity import (
    application_credentials,
    credentials,
    domains,
    groups,
    limits,
    policies,
    projects,
    registered_limits,
    roles,
    services,
    tokens,
    trusts,
    users,
    versions,
)
from novalite.api.kit import faults
from novalite.api.kit.routes import Front

_NOUNS = (
    versions,
    tokens,
    projects,
    domains,
    users,
    roles,
    application_credentials,
    services,
    credentials,
    policies,
    groups,
    trusts,
    registered_limits,
    limits,
)
FRONT = Front("identity", "/identity", [route for noun in _NOUNS for route in noun.ROUTES], faults.KEYSTONE)
