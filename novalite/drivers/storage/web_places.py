"""Where the process may fetch images from: schemes, ports, names, and which addresses those may lead to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from novalite.errors import Invalid
from novalite.settings import Images

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_DEFAULT_PORTS = {"http": 80, "https": 443}
# IPv6 addresses that carry an IPv4 one, which is where the packets end: NAT64 and 6to4 beside the mapped ones.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Place:
    """One URL, taken apart. ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True)
class Allowed:
    """Empty ``hosts``: every host that is not forbidden. A name beginning with a dot stands for all below it.
    ``networks`` may be reached although they are no public ones."""

    schemes: tuple[str, ...] = ("http", "https")
    ports: tuple[int, ...] = (80, 443)
    hosts: tuple[str, ...] = ()
    forbidden_hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def place(self, uri: str) -> Place:
        """The place when it may be asked, as far as the text tells. Raises ``Invalid``."""
        parts, host, port = _split(uri)
        if parts.scheme not in self.schemes or parts.scheme not in _DEFAULT_PORTS:
            raise _refused(uri, f"the scheme must be one of {', '.join(self.schemes)}")
        if parts.username is not None or parts.password is not None:
            raise _refused(uri, "it holds a user name or a password")
        port = _DEFAULT_PORTS[parts.scheme] if port is None else port
        if port not in self.ports:
            raise _refused(uri, f"the port must be one of {', '.join(map(str, self.ports))}")
        if _among(host, self.forbidden_hosts) or (self.hosts and not _among(host, self.hosts)):
            raise _refused(uri, f"the host {host} is not allowed")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place = Place(parts.scheme, host, port, target)
        literal = _literal(host)
        if literal is not None:
            self.require_addresses(place, [literal])
        return place

    def require_addresses(self, place: Place, addresses: Iterable[Address]) -> None:
        """Raises ``Invalid`` unless every one of the addresses may be reached."""
        for address in addresses:
            if not self._reachable(address):
                raise _refused(place.authority, f"the address {address} is not a public one")

    def _reachable(self, address: Address) -> bool:
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        inside = _carried(address)
        if inside is not None:
            return self._reachable(inside)
        return address.is_global and not (
            address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
            or address.is_link_local or address.is_private or getattr(address, "is_site_local", False)
        )  # fmt: skip


def allowed(options: Images) -> Allowed:
    """As the settings say. Raises ``Invalid`` for a network that is none."""
    networks = []
    for text in options.web_download_networks:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise Invalid(f"'{text}' is not a network.", field="images.web_download_networks") from error
    return Allowed(
        options.web_download_schemes, options.web_download_ports, options.web_download_hosts,
        options.web_download_forbidden_hosts, tuple(networks),
    )  # fmt: skip


def _split(uri: str) -> tuple[SplitResult, str, int | None]:
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in uri) or "\\" in uri:
        raise _refused(uri, "it holds characters that no URL has")
    try:
        parts = urlsplit(uri)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise _refused(uri, str(error)) from error
    if not host or "%" in host:
        raise _refused(uri, "it names no host")
    return parts, host.lower(), port


def _among(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name.lower() or (name.startswith(".") and host.endswith(name.lower())) for name in names)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _refused(uri: str, why: str) -> Invalid:
    return Invalid(f"URI for web-download does not pass filtering: {uri[:256]}: {why}.", field="uri",
                   code="image.uri_refused")  # fmt: skip
