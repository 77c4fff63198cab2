"""The process: gunicorn with one threaded worker, and the engine's threads inside that worker."""

from __future__ import annotations

import fcntl
import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError

from novalite import logs
from novalite.errors import Failed, NovaLiteError
from novalite.settings import Settings

_log = logs.get("process")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``Failed`` that says who could be there when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Failed(f"Cannot listen on {host}:{port}: {error.strerror}.", code="serve.port",
                     hint="Stop the program that uses the port, or choose another with --port.") from error  # fmt: skip
    listener.listen(1024)
    listener.set_inheritable(True)
    return listener


def state_directory(path: Path) -> Path:
    """The state directory, made if need be. Others may pass through it (QEMU reads disks there), not list it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)
    except OSError as error:
        raise Failed(f"The state directory {path} cannot be used: {error.strerror}.", code="serve.state",
                     hint="Choose another with --state-dir, or give it room and rights.") from error  # fmt: skip
    return path


def own_state(directory: Path) -> int:
    """The exclusive lock on a state directory, as a file descriptor. Raises ``Failed`` when another process
    owns it."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Failed(f"Another NovaLite runs on {directory}.", code="serve.owned",
                     hint="Stop it first, or choose another --state-dir.") from error  # fmt: skip
    return handle


class _Process(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(
        self, settings: Settings, listeners: list[socket.socket], boundary: Callable[[str], None] | None
    ) -> None:
        self._settings, self._listeners, self._boundary = settings, listeners, boundary
        self._engine: Any = None
        self._lock = -1
        super().__init__()

    def load_config(self) -> None:
        http = self._settings.http
        options: dict[str, Any] = {
            "bind": [f"fd://{listener.fileno()}" for listener in self._listeners],
            "workers": 1, "threads": http.threads, "worker_class": "novalite.api.kit.gunicorn_worker.HandoffWorker",
            "timeout": 0, "graceful_timeout": http.drain_seconds, "keepalive": 30, "max_requests": 0,
            "preload_app": False, "control_socket_disable": True, "worker_tmp_dir": str(self._settings.state_path),
            "proc_name": "novalite", "loglevel": "warning", "limit_request_line": 8190,
            "post_worker_init": self._start, "worker_exit": self._stop, "worker_int": None, "backlog": 1024,
        }  # fmt: skip
        for name, value in options.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Any:
        # Only the worker pays for the rest of the program: gunicorn's parent stays small.
        from novalite.appliance.build import prepare
        from novalite.appliance.engine import Engine
        from novalite.appliance.web import application

        boundary = {} if self._boundary is None else {"boundary": self._boundary}
        try:
            self._lock = own_state(self._settings.state_path)
            self._engine = Engine(prepare(self._settings), **boundary)
        except NovaLiteError as error:
            raise AppImportError(f"Error: {error}") from error  # which gunicorn tells without a trace
        return application(self._engine)

    def _start(self, worker: Any) -> None:
        if self._engine is not None:
            self._engine.waiting_requests = lambda: worker.backlog
            self._engine.start()
            # What is loaded by now stays for good: looking through it again and again made for pauses of 60 ms.
            gc.collect()
            gc.freeze()

    def _stop(self, server: Any, worker: Any) -> None:
        if self._engine is not None:
            self._engine.stop()


def serve(settings: Settings, *, boundary: Callable[[str], None] | None = None) -> None:
    """Run the appliance until SIGTERM or SIGINT. Raises ``Failed`` when the port or the state directory is
    taken; both are checked before anything else happens."""
    logs.configure(level=settings.logging.level, json=settings.logging.json)
    directory = state_directory(settings.state_path)
    os.close(own_state(directory))
    listeners = [listen(settings.http.host, settings.http.port)]
    if settings.http.console_port:
        listeners.append(listen(settings.http.host, settings.http.console_port))
    port = listeners[0].getsockname()[1]
    settings = msgspec.structs.replace(settings, http=msgspec.structs.replace(settings.http, port=port))
    _log.info("listening", url=settings.public_url, state_dir=str(directory))
    _Process(settings, listeners, boundary).run()
