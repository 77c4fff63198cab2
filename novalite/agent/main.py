"""Runs the agent: this machine's compute driver, served to the appliance that knows the secret."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from uuid import uuid4

from novalite import logs
from novalite.agent.app import Agent
from novalite.agent.server import AgentServer
from novalite.drivers.compute.base import ComputeDriver
from novalite.drivers.compute.local import open_local
from novalite.errors import Invalid
from novalite.settings import Settings

_log = logs.get("agent")
_SECRET_CHARACTERS = 16


def run_agent(settings: Settings, host: str, port: int, secret_file: str | Path) -> None:
    """Serve until SIGTERM or SIGINT; guests keep running. Must be called in the main thread.
    Raises ``Invalid`` when the secret's file is missing or too short."""
    secret = read_secret(Path(secret_file))
    settings.state_path.mkdir(parents=True, exist_ok=True)
    driver = open_local(settings, _identity(settings.state_path / "agent-id"))
    try:
        serve(driver, host, port, secret)
    finally:
        driver.close()


def serve(driver: ComputeDriver, host: str, port: int, secret: str) -> None:
    server = AgentServer(Agent(driver, secret), host, port)

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown, name="agent-stop", daemon=True).start()

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    _log.info("agent_ready", host=host, port=server.port)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        for number, handler in before.items():
            signal.signal(number, handler)


def read_secret(file: Path) -> str:
    """The secret shared with the appliance. Raises ``Invalid``."""
    try:
        secret = file.read_text().strip()
    except OSError as error:
        raise Invalid(
            f"The secret's file cannot be read: {error}",
            field="compute.agent_secret_file",
            hint="Copy the file agent-secret from the appliance's state directory.",
        ) from error
    if len(secret) < _SECRET_CHARACTERS:
        raise Invalid(
            f"The secret in {file} is shorter than {_SECRET_CHARACTERS} characters.", field="compute.agent_secret_file"
        )
    return secret


def _identity(file: Path) -> str:
    """Marks the guests of this agent, over restarts."""
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.write_text(str(uuid4()))
        os.replace(fresh, file)
    return file.read_text().strip()
