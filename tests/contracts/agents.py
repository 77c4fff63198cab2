"""Any driver behind an agent, on loopback."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from novalite.agent.app import Agent
from novalite.agent.server import AgentServer
from novalite.drivers.compute.base import ComputeDriver, FullDriver
from novalite.drivers.compute.remote import connect


@contextmanager
def serving(driver: ComputeDriver, secret: str) -> Iterator[str]:
    """The address of an agent in this process."""
    server = AgentServer(Agent(driver, secret), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def behind_agent(driver: ComputeDriver) -> Iterator[FullDriver]:
    secret = secrets.token_hex(16)
    with serving(driver, secret) as address:
        remote = connect(address, secret)
        try:
            yield remote
        finally:
            remote.close()
