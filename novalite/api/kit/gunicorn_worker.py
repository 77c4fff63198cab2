"""gunicorn's threaded worker, able to give a connection away: it then holds neither thread nor place."""

from __future__ import annotations

import errno
import resource
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT

from novalite.api.kit.handoff import SLOT, Callback, HandoffSlot
from novalite.api.kit.patience import PatientWorker, Wsgi

DESCRIPTORS = 65536
ACCEPT_PAUSE_SECONDS = 0.1

_HANDED_OFF = object()


class _Taken(Exception):
    """Leaves gunicorn's request handling before it sends anything."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback


def _offering(application: Wsgi, current: threading.local) -> Wsgi:
    """The application, with the offer in its environment while a connection of ours is served."""

    def offering(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not getattr(current, "can_hand_off", False):
            return application(environ, start_response)
        slot = environ[SLOT] = HandoffSlot()
        body = application(environ, start_response)
        if slot.callback is None:
            return body
        close = getattr(body, "close", None)
        if close is not None:
            close()
        raise _Taken(slot.callback)

    return offering


def _raise_descriptor_limit() -> None:
    """The usual 1,024 are too few for connections that stay: take what the machine allows, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class HandoffWorker(PatientWorker):
    """Connections given away leave gunicorn's count and poller; their owners close them, also at drain."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current = threading.local()

    def init_process(self) -> None:
        _raise_descriptor_limit()
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Without descriptors left new clients wait a little; gunicorn would end the worker."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.log.warning("No file descriptors are left: new connections have to wait.")
            time.sleep(ACCEPT_PAUSE_SECONDS)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """The threads that answer requests, by the name the status shows."""
        return ThreadPoolExecutor(max_workers=self.cfg.threads, thread_name_prefix="api")

    @property
    def backlog(self) -> int:
        """Requests that have been read and wait for a thread."""
        waiting: int = self.tpool._work_queue.qsize()
        return waiting

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = _offering(self.wsgi, self._current)

    def handle_request(self, req: Any, conn: Any) -> bool:
        self._current.can_hand_off = True
        try:
            return bool(super().handle_request(req, conn))
        except _Taken as taken:
            conn.taken_by = taken.callback
            return False
        finally:
            self._current.can_hand_off = False

    def handle(self, conn: Any) -> object:
        result: object = super().handle(conn)
        callback: Callback | None = getattr(conn, "taken_by", None)
        if callback is None:
            return result
        return _HANDED_OFF if self._give_away(conn, callback) else False

    def _give_away(self, conn: Any, callback: Callback) -> bool:
        """Whether the socket has a new owner; otherwise gunicorn closes it as ever."""
        try:
            if not conn.parser.finish_body(deadline=time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT):
                return False
            leftover = conn.parser.unreader.take_buffered()
            conn.sock.settimeout(None)
            callback(conn.sock, leftover)
        except Exception:  # as for any request: one bad connection must not end the worker
            self.log.exception("A connection could not be handed over")
            return False
        return True

    def finish_request(self, conn: Any, fs: Any) -> None:
        if not fs.cancelled() and fs.exception() is None and fs.result() is _HANDED_OFF:
            self.nr_conns -= 1
            return
        super().finish_request(conn, fs)
