"""A tiny application under the real worker: ``handoff_app.py LISTENER_FD THREADS``."""

from __future__ import annotations

import os
import resource
import socket
import sys
import threading
from typing import Any

import flask
from flask import Flask, jsonify
from gunicorn.app.base import BaseApplication

from novalite.api.kit.handoff import handoff

held: list[socket.socket] = []
lock = threading.Lock()
worker: Any = None
app = Flask(__name__)


def keep(sock: socket.socket, leftover: bytes) -> None:
    with lock:  # what is said after the greeting is said to this one too
        held.append(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nleftover=" + leftover + b"\nhello\n")


def break_down(sock: socket.socket, leftover: bytes) -> None:
    raise RuntimeError("no room")


@app.get("/stream")
def stream() -> Any:
    return handoff(keep)


@app.get("/broken")
def broken() -> Any:
    return handoff(break_down)


@app.get("/ping")
def ping() -> str:
    return "pong"


@app.post("/ping")
def refuse() -> Any:
    """Whatever comes, unread."""
    return "too much", 413


@app.get("/say")
def say() -> str:
    with lock:
        for sock in held:
            sock.sendall(b"event\n")
    return "said"


@app.get("/descriptors")
def descriptors() -> Any:
    """Leave only as many free as asked for; -1: all again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = int(flask.request.args["free"])
    wanted = hard if free < 0 else free + max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return jsonify(soft=soft, hard=hard)


@app.get("/figures")
def figures() -> Any:
    return jsonify(held=len(held), connections=worker.nr_conns)


def remember(started: Any) -> None:
    global worker
    worker = started


def close_held(server: Any, ended: Any) -> None:
    for sock in held:
        sock.sendall(b"bye\n")
        sock.close()


class Application(BaseApplication):
    def load_config(self) -> None:
        for name, value in {
            "bind": [f"fd://{sys.argv[1]}"],
            "worker_class": "novalite.api.kit.gunicorn_worker.HandoffWorker",
            "threads": int(sys.argv[2]),
            "graceful_timeout": 600,
            "keepalive": 30,
            "control_socket_disable": True,
            "post_worker_init": remember,
            "worker_exit": close_held,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return app


if __name__ == "__main__":
    Application().run()
