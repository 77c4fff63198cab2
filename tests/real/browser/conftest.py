"""One Chromium for the session; persons come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.real.appliance.process import RealAppliance
from tests.real.browser.chromium import Person, chromium

Persons = Callable[..., Person]


@pytest.fixture(scope="module")
def screen() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def person(screen: Browser) -> Iterator[Persons]:
    """Makes somebody who is logged in to an appliance; nothing on any page may be broken at the end."""
    with ExitStack() as stack:
        made: list[Person] = []

        def make(appliance: RealAppliance, **context: Any) -> Person:
            someone = Person(screen, appliance, **context)
            stack.callback(someone.close)
            made.append(someone)
            someone.log_in()
            return someone

        yield make
        for someone in made:
            assert someone.complaints == []
            assert {url.split("/")[2] for url in someone.requests if "://" in url} == {
                f"127.0.0.1:{someone.appliance.port}"
            }
