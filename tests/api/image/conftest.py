"""The image front alone, over a real database and a real store in a temporary directory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from novalite.api.image.front import FRONT
from novalite.api.kit.auth import TokenAuth
from novalite.api.kit.dispatch import mount
from novalite.api.kit.parts import Parts
from novalite.context import Context
from novalite.db.work import Database
from novalite.drivers.storage.files import FileImageStore
from novalite.errors import Unauthenticated
from novalite.settings import Settings
from tests.databases import declared

MINE, OTHERS = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
WHO = {
    "admin": Context("u1", MINE, frozenset({"admin", "manager", "member", "reader"})),
    "member": Context("u2", MINE, frozenset({"member", "reader"})),
    "reader": Context("u3", MINE, frozenset({"reader"})),
    "other": Context("u4", OTHERS, frozenset({"member", "reader"})),
}
PATCH = "application/openstack-images-v2.1-json-patch"


def _resolve(token: str) -> tuple[Context, datetime]:
    if token not in WHO:
        raise Unauthenticated("The request you have made requires authentication.")
    return WHO[token], datetime.now(UTC) + timedelta(hours=1)


class Glance:
    """Speaks HTTP to the front as one of ``WHO``."""

    def __init__(self, app: flask.Flask, database: Database, store: FileImageStore) -> None:
        self._client = app.test_client()
        self.database, self.store = database, store

    def call(self, method: str, path: str, *, who: str = "member", body: Any = None, **more: Any) -> TestResponse:
        headers = {"X-Auth-Token": who, **more.pop("headers", {})}
        if body is not None:
            more.setdefault("data", json.dumps(body))
            more.setdefault("content_type", "application/json")
        return self._client.open(f"/image{path}", method=method, headers=headers, buffered=True, **more)

    def get(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json

    def new(self, *, who: str = "member", **attributes: Any) -> dict[str, Any]:
        body = {"name": "disk", "disk_format": "raw", "container_format": "bare", **attributes}
        answer = self.call("POST", "/v2/images", who=who, body=body)
        assert answer.status_code == 201, answer.text
        assert answer.json is not None
        return dict(answer.json)

    def upload(self, image_id: str, data: bytes, *, who: str = "member", **more: Any) -> TestResponse:
        more.setdefault("content_type", "application/octet-stream")
        return self.call("PUT", f"/v2/images/{image_id}/file", who=who, data=data, **more)

    def active(self, data: bytes = b"bytes", **attributes: Any) -> dict[str, Any]:
        image = self.new(**attributes)
        answer = self.upload(image["id"], data, who=attributes.get("who", "member"))
        assert answer.status_code == 204, answer.text
        return image

    def patch(self, image_id: str, *operations: dict[str, Any], who: str = "member") -> TestResponse:
        return self.call("PATCH", f"/v2/images/{image_id}", who=who, body=list(operations), content_type=PATCH)

    def names(self, query: str = "", *, who: str = "member") -> list[str]:
        return [image["name"] for image in self.get(f"/v2/images?{query}", who=who)["images"]]


@pytest.fixture
def glance(tmp_path: Path) -> Iterator[Glance]:
    database = Database(declared(tmp_path / "novalite.db"))
    store = FileImageStore(tmp_path / "images", max_size=8 << 20, max_virtual_size=1 << 30)
    parts = Parts(Settings(state_dir=str(tmp_path)), database, TokenAuth(_resolve, lambda: 0), image_store=store)
    app = flask.Flask("image tests")
    mount(app, FRONT, parts)
    yield Glance(app, database, store)
    database.close()


@pytest.fixture
def qcow2(tmp_path: Path) -> bytes:
    """A small valid qcow2 of 16 MiB virtual size."""
    path = tmp_path / "small.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "16M"], check=True, timeout=60)
    return path.read_bytes()
