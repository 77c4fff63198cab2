"""The appliance of the demo: one that runs already, or a child of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from novalite.cli.credentials import of_appliance
from novalite.cli.session import Session
from novalite.cli.waiting import until
from novalite.errors import Conflict, DependencyDown, Failed
from novalite.settings import Settings

_START_SECONDS = 90.0
_LAST_LINES = 15


class DemoAppliance:
    """While the context lasts an appliance answers at ``url``. Its own child stops at the end, guests go on."""

    def __init__(self, session: Session, settings: Settings, *, given: Mapping[str, str], driver: str | None) -> None:
        self._session, self._settings = session, settings
        self._options = [f"{name}={value}" for name, value in given.items()]
        self._driver = driver
        self._child: subprocess.Popen[bytes] | None = None
        host = settings.http.host
        self.url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::', '') else host}:{settings.http.port}"  # noqa: S104

    def __enter__(self) -> DemoAppliance:
        known = self._known_url()
        for url in dict.fromkeys((known, self.url)):
            if url and is_ready(url):
                if url != known:
                    raise Conflict(
                        f"Another appliance answers at {url}.",
                        code="appliance.foreign",
                        hint="Name its --state-dir, or another --port for this one.",
                    )
                self._session.say(f"The appliance runs already: {url}")
                self.url = url
                return self
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def serve_until_interrupted(self) -> None:
        """Returns at Ctrl-C or SIGTERM. Raises ``Failed`` when the child ends by itself."""
        if self._child is None:
            return
        self._session.say("Serving; Ctrl-C stops the appliance, its guests keep running.")
        try:
            code = self._child.wait()
        except KeyboardInterrupt:
            return
        raise self._ended(code)

    def _known_url(self) -> str:
        """Where the appliance of this state directory said it answers; empty when it never ran."""
        try:
            found = urlsplit(of_appliance(self._session.state_path).auth_url)
        except DependencyDown:
            return ""
        return f"{found.scheme}://{found.netloc}"

    @property
    def _log(self) -> Path:
        return self._session.state_path / "serve.log"

    def _start(self) -> None:
        self._session.state_path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._session.say(f"Starting the appliance at {self.url}")
        argv = [
            sys.executable,
            "-m",
            "novalite.cli.main",
            "serve",
            "--state-dir",
            self._session.state_dir,
            "--port",
            str(self._settings.http.port),
            *(["--driver", self._driver] if self._driver else []),
        ]
        for option in self._options:
            argv += ["--set", option]
        with open(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which then lets the appliance drain.
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            ready = until(self._ready_or_ended, seconds=_START_SECONDS)
        except BaseException:
            self._stop()
            raise
        if not ready:
            self._stop()
            raise Failed(
                f"The appliance did not get ready in {_START_SECONDS:g} seconds.{self._tail()}",
                code="appliance.slow",
                hint=f"Its log is {self._log}.",
            )

    def _ready_or_ended(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            raise self._ended(self._child.returncode)
        return is_ready(self.url)

    def _ended(self, code: int) -> Failed:
        return Failed(
            f"The appliance ended with code {code}.{self._tail()}",
            code="appliance.ended",
            hint=f"Its log is {self._log}.",
        )

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "".join(f"\n  | {line}" for line in lines)

    def _stop(self) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(self._settings.http.drain_seconds + 30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def is_ready(url: str) -> bool:
    """Whether an appliance answers there and says that it is ready."""
    try:
        return httpx.get(f"{url}/healthz", timeout=2.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
