"""The command, speaking to an appliance in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from novalite.cli.client import Client
from novalite.cli.credentials import of_appliance
from novalite.cli.main import run
from novalite.cli.session import Session


@pytest.fixture(scope="package", autouse=True)
def _logs_beside_the_output() -> Iterator[None]:
    """The appliance shares this process; its log belongs on stderr, as when it serves."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    structlog.configure(**before)


class Novalite:
    """Calls like ``novalite("server", "list")`` give the exit code; ``json`` what ``--json`` printed."""

    def __init__(self, appliance: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self._appliance, self._capsys = appliance, capsys
        self.out = self.err = ""

    def session(self) -> Session:
        state = self._appliance.built.settings.state_path
        transport = httpx.WSGITransport(app=self._appliance.app)
        return Session(
            state_dir=str(state), environment={}, connect=lambda _: Client(of_appliance(state), transport=transport)
        )

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = run(arguments, self.session())
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        code = self(*arguments, "--json")
        assert code == 0, self.err
        return json.loads(self.out)

    def rows(self, *arguments: str) -> list[list[str]]:
        """The words of each line of a table, without its heading."""
        assert self(*arguments) == 0, self.err
        return [line.split() for line in self.out.splitlines()[1:]]


@pytest.fixture
def speak_to(capsys: pytest.CaptureFixture[str]) -> Callable[[Any], Novalite]:
    return lambda appliance: Novalite(appliance, capsys)


@pytest.fixture
def novalite(appliance: Any, capsys: pytest.CaptureFixture[str]) -> Novalite:
    return Novalite(appliance, capsys)


@pytest.fixture(scope="module")
def image(appliance: Any) -> str:
    """The name of an active image."""
    appliance.image("tiny")
    return "tiny"
