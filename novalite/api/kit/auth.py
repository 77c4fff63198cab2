"""From a token in a header to the caller's Context, with a small cache that a revocation empties."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from novalite import clock
from novalite.context import Context
from novalite.errors import Unauthenticated

LONGEST_TOKEN = 1024


@dataclass(frozen=True)
class Seen:
    """An answer in the cache. ``until`` is on the monotonic clock, ``epoch`` is that of its making."""

    ctx: Context
    expires_at: datetime
    until: float
    epoch: int


class TokenAuth:
    """``resolve(token)`` gives the context and the time the token ends, or raises ``Unauthenticated``;
    ``epoch()`` changes whenever any token, user, role or project loses its force."""

    def __init__(
        self,
        resolve: Callable[[str], tuple[Context, datetime]],
        epoch: Callable[[], int],
        *,
        keep_seconds: float = 15.0,
        most: int = 2048,
    ) -> None:
        self._resolve, self._epoch = resolve, epoch
        self._keep_seconds, self._most = keep_seconds, most
        self._seen: dict[bytes, Seen] = {}
        self._lock = threading.Lock()

    def authenticate(self, token: str) -> Context:
        """Raises ``Unauthenticated`` for an unknown, expired or revoked token."""
        if not token or len(token) > LONGEST_TOKEN:
            raise Unauthenticated("The request you have made requires authentication.")
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        epoch, found = self._epoch(), self._seen.get(key)
        if found and found.epoch == epoch and found.until > time.monotonic() and found.expires_at > clock.now():
            return found.ctx
        ctx, expires_at = self._resolve(token)
        with self._lock:
            if len(self._seen) >= self._most:
                self._seen.clear()
            self._seen[key] = Seen(ctx, expires_at, time.monotonic() + self._keep_seconds, epoch)
        return ctx

    def forget(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._seen.clear()
