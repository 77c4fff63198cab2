"""The way to every compute host: host name -> driver, with its health. No call leaves while a unit is open."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, cast

from novalite.db.work import unit_is_open
from novalite.drivers.compute.base import ComputeDriver, FullDriver
from novalite.errors import DriverError, HostUnreachable


class _Guarded:
    """A driver that refuses to be called inside a unit of work: a transaction must never wait for a host."""

    def __init__(self, driver: ComputeDriver, what: str) -> None:
        self._driver = driver
        self._what = what

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name, None)
        if found is None:
            raise DriverError(name, f"{self._what} does not offer this", code="driver.unsupported")
        method: Callable[..., Any] = found

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            if unit_is_open():
                raise RuntimeError(f"{self._what}.{name} called while a unit of work is open")
            return method(*args, **kwargs)

        return call


def guarded(driver: Any, what: str) -> Any:
    """``driver`` behind the rule that no unit of work is open during its calls."""
    return _Guarded(driver, what)


class Links:
    """Knows the driver of each host. Raises ``HostUnreachable`` for a host it has no way to."""

    def __init__(self) -> None:
        self._drivers: dict[str, FullDriver] = {}
        self._elsewhere: set[str] = set()
        self._lock = threading.Lock()

    def add(self, host: str, driver: ComputeDriver, *, is_here: bool = True) -> None:
        """``is_here`` tells whether it is this machine, which keeps the volumes that are files of it."""
        with self._lock:
            self._elsewhere = self._elsewhere - {host} if is_here else self._elsewhere | {host}
            self._drivers[host] = cast(FullDriver, guarded(driver, f"driver of {host}"))

    def driver(self, host: str) -> FullDriver:
        """What the host's driver lacks of the optional ports is a ``DriverError`` when it is called."""
        with self._lock:
            found = self._drivers.get(host)
        if found is None:
            raise HostUnreachable(
                f"There is no way to compute host {host}.", hint="Start its agent, or name it in compute.agents."
            )
        return found

    def is_here(self, host: str) -> bool:
        with self._lock:
            return host not in self._elsewhere

    def hosts(self) -> list[str]:
        with self._lock:
            return list(self._drivers)

    def close(self) -> None:
        with self._lock:
            drivers, self._drivers = list(self._drivers.values()), {}
        for driver in drivers:
            driver.close()
