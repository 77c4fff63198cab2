"""The floor of every HTTP figure: Flask with one route, under the worker class and threads of the appliance."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flask
import msgspec
from gunicorn.app.base import BaseApplication

from novalite.settings import Http


class _Bare(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, port: int, document: Any) -> None:
        self._port, self._document = port, document
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"127.0.0.1:{self._port}", "workers": 1, "threads": Http().threads, "timeout": 0,
            "keepalive": 30, "control_socket_disable": True, "loglevel": "warning",
            "worker_class": "novalite.api.kit.gunicorn_worker.HandoffWorker",
        }  # fmt: skip
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> flask.Flask:
        app, encode, document = flask.Flask("bare", static_folder=None), msgspec.json.Encoder().encode, self._document

        @app.get("/")
        def root() -> flask.Response:
            return flask.Response(encode(document), content_type="application/json")

        return app


if __name__ == "__main__":
    content = msgspec.json.decode(Path(sys.argv[2]).read_bytes()) if len(sys.argv) > 2 else {}
    _Bare(int(sys.argv[1]), content).run()
