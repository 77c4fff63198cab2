"""Finds the drivers that keep volumes by entry point, so that other packages can add theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import parse_qsl

from novalite.drivers.storage.base import VolumeDriver
from novalite.errors import Invalid

GROUP = "novalite.volume.backends"


@dataclass(frozen=True)
class BackendOptions:
    """``name`` is the administrator's for it, ``host`` this machine's, ``directory`` one that the driver may use as
    it likes. ``values`` are those of its own, as text."""

    name: str
    host: str
    directory: Path
    values: Mapping[str, str]

    def pool_name(self, pool: str) -> str:
        return f"{self.host}@{self.name}#{pool}"

    def need(self, key: str) -> str:
        """Raises ``Invalid`` when the option is not given."""
        if not self.values.get(key):
            raise Invalid(f"Backend {self.name} needs the option {key}.", field="volumes.backends")
        return self.values[key]

    def refuse_others(self, *known: str) -> None:
        """Raises ``Invalid`` for an option that the driver does not know."""
        for key in self.values:
            if key not in known:
                raise Invalid(f"Backend {self.name} has no option {key}.", field="volumes.backends",
                              hint=f"It has: {', '.join(known) or 'none'}.")  # fmt: skip


Factory = Callable[[BackendOptions], VolumeDriver]


def load(wanted: Sequence[str], *, host: str, directory: Path) -> dict[str, VolumeDriver]:
    """The backends of ``NAME=DRIVER?option=value&option=value`` each. Raises ``Invalid``."""
    factories = _installed()
    found: dict[str, VolumeDriver] = {}
    for text in wanted:
        name, has_driver, rest = text.partition("=")
        driver, _, options = rest.partition("?")
        if not has_driver or not name.isidentifier() or len(name) > 60 or name in found:
            raise Invalid(f"'{text}' is not NAME=DRIVER?option=value, or its name is taken.", field="volumes.backends")
        if driver not in factories:
            raise Invalid(f"There is no volume driver {driver}.", field="volumes.backends",
                          hint=f"Installed are: {', '.join(sorted(factories))}.")  # fmt: skip
        values = dict(parse_qsl(options, keep_blank_values=True))
        found[name] = factories[driver]()(BackendOptions(name, host, directory / name, values))
    if not found:
        raise Invalid("There must be a backend for volumes.", field="volumes.backends")
    return found


def _installed() -> dict[str, Callable[[], Factory]]:
    return {point.name: point.load for point in entry_points(group=GROUP)}
