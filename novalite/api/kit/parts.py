"""What fronts are handed by the composition root: ports and settings, never concrete classes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from novalite.context import Context
from novalite.db.work import Work
from novalite.settings import Settings


class Units(Protocol):
    """Where units of work come from (``novalite.db.work.Database``)."""

    def read(self, ctx: Context) -> AbstractContextManager[Work]: ...

    def write(self, ctx: Context) -> AbstractContextManager[Work]: ...


class Tokens(Protocol):
    """Who a token stands for (``novalite.api.kit.auth.TokenAuth``)."""

    def authenticate(self, token: str) -> Context:
        """Raises ``Unauthenticated``."""


@dataclass(frozen=True)
class Parts:
    """``links`` maps a host name to its ``ComputeDriver`` (``novalite.drivers.compute.base``);
    ``image_store`` keeps image bytes (``novalite.drivers.storage.base``); ``network_driver`` makes networks
    (``novalite.drivers.network.base``). A front is handed only what it needs; the rest stays None."""

    settings: Settings
    database: Units
    tokens: Tokens
    links: Any = None
    image_store: Any = None
    network_driver: Any = None
    listeners: Any = None
