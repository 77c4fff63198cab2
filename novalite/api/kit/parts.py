"""What fronts are handed by the composition root: ports and settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from novalite import clock
from novalite.api.kit.endings import Endings
from novalite.api.kit.rendered import Rendered
from novalite.cloud.identity.login import Logins
from novalite.context import Context
from novalite.db.work import Database
from novalite.settings import Settings


class Tokens(Protocol):
    """Who a token stands for (``novalite.api.kit.auth.TokenAuth``)."""

    def authenticate(self, token: str) -> Context:
        """Raises ``Unauthenticated``."""


@dataclass(frozen=True)
class Parts:
    """``links`` maps a host name to its ``ComputeDriver`` (``novalite.drivers.compute.base``);
    ``image_store`` keeps image bytes (``novalite.drivers.storage.base``); ``network_driver`` makes networks
    (``novalite.drivers.network.base``), ``volume_driver`` keeps volumes, ``backups`` backups. A front
    is handed only what it needs; the rest stays None.
    ``logins`` is made here, once, so that all fronts count failed logins together; ``rendered`` likewise, so
    that all forget together, ``endings``, which hears of tasks that end, and the moment of it. ``mounted`` holds the
    prefixes of the fronts that answer."""

    settings: Settings
    database: Database
    tokens: Tokens
    links: Any = None
    image_store: Any = None
    network_driver: Any = None
    volume_driver: Any = None
    backups: Any = None
    listeners: Any = None
    logins: Logins = field(init=False)
    rendered: Rendered = field(init=False, default_factory=Rendered)
    endings: Endings = field(init=False)
    mounted: set[str] = field(init=False, default_factory=set)
    started_at: datetime = field(init=False, default_factory=clock.now)

    def __post_init__(self) -> None:
        self.database.listen(self.rendered.on_change)
        object.__setattr__(self, "endings", Endings(max(1, self.settings.http.threads // 2)))
        self.database.listen(self.endings.on_change)
        object.__setattr__(self, "logins", Logins(self.database, self.settings.identity))
