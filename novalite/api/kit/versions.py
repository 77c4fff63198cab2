"""Microversions: what a front serves, and which one a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from werkzeug.datastructures import Headers

from novalite.api.kit.faults import BadVersion, VersionNotAcceptable

_SHAPE = re.compile(r"^([1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\Z")


class Version(NamedTuple):
    """``2.47`` as a pair that compares rightly."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises ``ValueError`` when ``text`` is not like ``2.47``."""
        found = _SHAPE.match(text)
        if not found:
            raise ValueError(text)
        return cls(int(found[1]), int(found[2]))


UNVERSIONED = Version(0, 0)


@dataclass(frozen=True)
class Window:
    """The versions ``since`` to ``until``, both inside; None is open. Without versions it is always open."""

    since: Version | None = None
    until: Version | None = None

    @classmethod
    def of(cls, since: str = "", until: str = "") -> Window:
        return cls(Version.parse(since) if since else None, Version.parse(until) if until else None)

    def holds(self, version: Version) -> bool:
        return (self.since is None or version >= self.since) and (self.until is None or version <= self.until)

    def meets(self, other: Window) -> bool:
        """Whether some version lies in both."""
        starts = max(self.since or UNVERSIONED, other.since or UNVERSIONED)
        return all(end is None or starts <= end for end in (self.until, other.until))


@dataclass(frozen=True)
class VersionRange:
    """What a front with microversions serves. ``service`` is its name in ``OpenStack-API-Version``;
    ``legacy_header`` is an older header that means the same (Nova's)."""

    service: str
    minimum: str
    maximum: str
    legacy_header: str = ""

    @property
    def lowest(self) -> Version:
        return Version.parse(self.minimum)

    @property
    def highest(self) -> Version:
        return Version.parse(self.maximum)

    def negotiate(self, headers: Headers) -> Version:
        """The version asked for, the lowest when none is. Raises ``BadVersion``, ``VersionNotAcceptable``."""
        asked = self._asked(headers)
        if asked is None:
            return self.lowest
        if asked == "latest":
            return self.highest
        try:
            version = Version.parse(asked)
        except ValueError:
            raise BadVersion(
                f"API Version String '{asked}' is of invalid format. Must be of format MajorNum.MinorNum."
            ) from None
        if not self.lowest <= version <= self.highest:
            raise VersionNotAcceptable(
                f"Version {asked} is not supported by the API. Minimum is {self.minimum} "
                f"and maximum is {self.maximum}.",
                asked=asked,
            )
        return version

    def _asked(self, headers: Headers) -> str | None:
        for part in headers.get("OpenStack-API-Version", "").split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == self.service:
                return version.strip().lower()
        if self.legacy_header and headers.get(self.legacy_header) is not None:
            return headers[self.legacy_header].strip().lower()
        return None

    def response_headers(self, version: str) -> dict[str, str]:
        """The headers that every answer of the front carries."""
        names = ["OpenStack-API-Version"]
        found = {"OpenStack-API-Version": f"{self.service} {version}"}
        if self.legacy_header:
            found[self.legacy_header] = version
            names.append(self.legacy_header)
        return {**found, "Vary": ", ".join(names)}
