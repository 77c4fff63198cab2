"""Serves the UI's own files: by a path that holds their digest and may be kept for ever, or by a plain one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import flask
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from novalite import assets

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"


class StaticFiles:
    """All files of a kind in ``TYPES`` below a folder. Their common digest is taken once, at start."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or assets.static()
        whole = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.suffix in TYPES and path.is_file():
                whole.update(str(path.relative_to(self._folder)).encode())
                whole.update(path.read_bytes())
        self.digest = whole.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The path of a file; it changes when any file does, so that modules keep to one set."""
        return f"/static/{self.digest}/{name}"

    def serve(self, name: str) -> flask.Response:
        """The file at a path below ``/static/``. Raises 404."""
        first, _, rest = name.partition("/")
        is_digest = first == self.digest
        path = safe_join(str(self._folder), rest if is_digest else name)
        kind = TYPES.get(Path(path).suffix) if path else None
        if path is None or kind is None or not Path(path).is_file():
            raise NotFound
        response = flask.send_file(path, mimetype=kind, conditional=True, etag=True)
        response.headers["Cache-Control"] = FOR_EVER if is_digest else ASK_FIRST
        return response
