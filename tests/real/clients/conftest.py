from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.clients.shell import NewShell, clients


@pytest.fixture(scope="session")
def new_shell() -> Iterator[NewShell]:
    """Makes shells for appliances."""
    with clients() as made:
        yield made
