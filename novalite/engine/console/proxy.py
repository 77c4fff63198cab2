"""Every open console of this process: adopts browsers' connections and ends them by server or all at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

from novalite import logs
from novalite.clock import Deadline
from novalite.engine.console.session import GOING_AWAY, REVOKED, ConsoleSession, Target

log = logs.get("console")


class ConsoleProxy:
    """One named thread per open console. ``max_open`` bounds them; one more is told to come back later."""

    def __init__(self, *, max_open: int = 200, ping_seconds: float = 30.0, silence_seconds: float = 120.0) -> None:
        self._max_open = max_open
        self._ping_seconds = ping_seconds
        self._silence_seconds = silence_seconds
        self._lock = threading.Lock()
        self._sessions: dict[ConsoleSession, threading.Thread] = {}
        self._is_stopped = False

    @property
    def open_consoles(self) -> int:
        with self._lock:
            return len(self._sessions)

    def adopt(
        self,
        sock: socket.socket,
        headers: Mapping[str, str],
        target: Target,
        *,
        server_id: str = "",
        leftover: bytes = b"",
    ) -> None:
        """Take over a client's connection whose upgrade request had ``headers`` and was found lawful.

        Answers the WebSocket handshake, then calls ``target`` for a connected stream socket; both happen in
        the console's own thread, as does the pumping. ``leftover`` are bytes that came behind the request.
        """
        session = ConsoleSession(
            sock, dict(headers), target, server_id, leftover, self._ping_seconds, self._silence_seconds
        )
        thread = threading.Thread(target=self._run, args=(session,), name=f"console-{server_id[:8]}", daemon=True)
        with self._lock:
            is_full = self._is_stopped or len(self._sessions) >= self._max_open
            if not is_full:
                self._sessions[session] = thread
        if is_full:
            session.refuse()
        else:
            thread.start()

    def close_server(self, server_id: str, reason: str = "Access to this console has been withdrawn.") -> int:
        """End the consoles of one server; how many there were."""
        with self._lock:
            sessions = [session for session in self._sessions if session.server_id == server_id]
        for session in sessions:
            session.end(REVOKED, reason)
        return len(sessions)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End all consoles and take no more. Repeating it is harmless."""
        with self._lock:
            self._is_stopped = True
            running = list(self._sessions.items())
        for session, _ in running:
            session.end(GOING_AWAY, "NovaLite is stopping; the guest keeps running.")
        deadline = Deadline(timeout_seconds)
        for _, thread in running:
            if thread.ident is not None:
                thread.join(deadline.remaining)

    def _run(self, session: ConsoleSession) -> None:
        try:
            session.run()
        except Exception:  # the last frame of a thread: what ends here is recorded, and only this console
            log.exception("console failed", server_id=session.server_id)
        finally:
            with self._lock:
                self._sessions.pop(session, None)
