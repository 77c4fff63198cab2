"""The servers behind the metadata service."""

from __future__ import annotations

from novalite.api.metadata.app import Guests
from novalite.cloud.compute import facts, progress, servers
from novalite.cloud.compute.guest_data import GuestFacts
from novalite.db.work import Work


def _facts(w: Work, server_id: str) -> GuestFacts | None:
    server = progress.find(w, server_id)
    return None if server is None else facts.guest_facts(w, server)


def _password(w: Work, server_id: str) -> str:
    server = progress.find(w, server_id)
    return "" if server is None else server.guest_password


def _keep_password(w: Work, server_id: str, text: str) -> bool:
    return servers.change(w, server_id, {"guest_password": text}, servers.Server.guest_password == "")


SERVERS = Guests(_facts, _password, _keep_password)
