"""Console tokens: each opens one kind of console of one server, until it expires or is revoked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute.servers import Server
from novalite.db.records import Base, Id
from novalite.db.work import Work
from novalite.errors import Unsupported

TOKEN_SECONDS = 600
REVOKED_TOPIC = "console.revoked"

KIND_OF_TYPE = {"novnc": "vnc", "serial": "serial"}
"""The API's console types that are offered, and the kind of console behind each."""


class ConsoleToken(Base):
    """``token_hash`` is SHA-256 in hex: the token itself is told once and kept nowhere. ``kind`` is vnc or
    serial, ``type`` what the API calls the client (novnc, serial)."""

    __tablename__ = "console_tokens"
    __table_args__ = (
        sa.Index("ix_console_tokens_server_id", "server_id"),
        sa.Index("ix_console_tokens_expires_at", "expires_at"),
    )

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    server_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(sa.String(16))
    type: Mapped[str] = mapped_column(sa.String(16))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


@dataclass(frozen=True)
class ConsoleGrant:
    """What a valid token opens. ``host`` is empty while the server has none."""

    server_id: str
    server_name: str
    host: str
    kind: str
    type: str
    expires_at: datetime


def kind_of(type: str) -> str:
    """The kind of console behind an API type. Raises ``Unsupported`` for types that are not offered."""
    if type not in KIND_OF_TYPE:
        raise Unsupported(f"Unavailable console type {type}.", code="console.type_unavailable")
    return KIND_OF_TYPE[type]


def issue(w: Work, server_id: str, kind: str, type: str, *, seconds: int = TOKEN_SECONDS) -> str:
    """A new token, good for ``seconds``; it may be used again until then. The caller has checked who asks."""
    token = str(uuid4())
    w.session.add(
        ConsoleToken(
            token_hash=_hash(token),
            server_id=server_id,
            kind=kind,
            type=type,
            issued_at=w.now,
            expires_at=w.now + timedelta(seconds=seconds),
        )
    )
    return token


def check(w: Work, token: str) -> ConsoleGrant | None:
    """What the token opens now; None when it is unknown, expired, revoked, or its server is gone.

    The token is the whole credential: the caller of ``w`` is not looked at.
    """
    query = (
        sa.select(ConsoleToken, Server.name, Server.host)
        .join(Server, Server.id == ConsoleToken.server_id)
        .where(
            ConsoleToken.token_hash == _hash(token),
            ConsoleToken.expires_at > w.now,
            ConsoleToken.revoked_at.is_(None),
            Server.deleted_at.is_(None),
        )
    )
    row = w.session.execute(query).first()
    if row is None:
        return None
    found, name, host = row
    return ConsoleGrant(found.server_id, name, host or "", found.kind, found.type, found.expires_at)


def revoke_server(w: Work, server_id: str) -> int:
    """Make every token of a server worthless; how many there were. Whoever holds consoles of it open is told
    to close them."""
    w.announce(REVOKED_TOPIC, server_id)
    return w.changed(
        sa.update(ConsoleToken)
        .where(ConsoleToken.server_id == server_id, ConsoleToken.revoked_at.is_(None))
        .values(revoked_at=w.now)
    )


def prune(w: Work) -> int:
    """Forget tokens that can open nothing any more; how many there were."""
    return w.changed(
        sa.delete(ConsoleToken).where(sa.or_(ConsoleToken.expires_at <= w.now, ConsoleToken.revoked_at.is_not(None)))
    )


def url(public_url: str, token: str, type: str) -> str:
    """The address the API answers with: a page for novnc, a WebSocket for serial, as Nova's clients expect.
    ``path`` is where the page's WebSocket is, seen from the root of the site."""
    base, word = public_url.rstrip("/"), quote(token, safe="")
    if type == "serial":
        scheme, _, rest = base.partition("://")
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/console/websocket?token={word}"
    return f"{base}/console/vnc_auto.html?path=console%2Fwebsocket%3Ftoken%3D{word}"


def page(token: str, kind: str) -> str:
    """The path of the page that shows the console inside the UI."""
    name = "serial.html" if kind == "serial" else "vnc_auto.html"
    return f"/console/{name}?path=%3Ftoken%3D{quote(token, safe='')}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
