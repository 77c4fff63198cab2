"""Volumes of one caller, made and looked at below the API."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.volume import new_volumes, snapshots, volumes
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.cloud.volume.records import Volume
from novalite.context import Context
from tests.api.compute.conftest import Cloud
from tests.api.conftest import wait_for


class Volumes:
    """Volumes of one caller."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.database = cloud.appliance.built.database
        self.ctx = _context(cloud)
        with self.database.write(self.ctx) as w:
            quotas.set_limits(w, self.ctx.project_id, {"volumes": -1, "gigabytes": -1})

    def new(self, **values: Any) -> str:
        with self.database.write(self.ctx) as w:
            made = new_volumes.create(w, NewVolume(**{"size_gib": 1, **values}))
        wait_for(lambda: self.status(made.id) == "available", why="the volume was not made")
        return made.id

    def snapshot(self, volume_id: str) -> str:
        with self.database.write(self.ctx) as w:
            made = snapshots.create(w, volume_id, name="kept", force=True)

        def is_made() -> bool:
            with self.database.read(self.ctx) as w:
                found = snapshots.find(w, made.id)
                return found is not None and found.status == "available"

        wait_for(is_made, why="the snapshot was not made")
        return made.id

    def all(self) -> list[str]:
        """Ids of all volumes of the project."""
        with self.database.read(self.ctx) as w:
            return list(w.session.scalars(sa.select(Volume.id).where(Volume.project_id == self.ctx.project_id)))

    def find(self, volume_id: str) -> Volume:
        with self.database.read(self.ctx) as w:
            return volumes.get(w, volume_id)

    def status(self, volume_id: str) -> str:
        with self.database.read(self.ctx) as w:
            found = volumes.find(w, volume_id)
            return found.status if found else "gone"


def _context(cloud: Cloud) -> Context:
    path = "/identity/v3/auth/tokens"
    shown = cloud.appliance.get(path, token=cloud.token, headers={"X-Subject-Token": cloud.token}).json["token"]
    return Context(user_id=shown["user"]["id"], project_id=shown["project"]["id"], request_id="req-test")
