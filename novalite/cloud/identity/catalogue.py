"""Which APIs there are and where: one port, a prefix for each."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True)
class Service:
    """``path`` is below the public URL."""

    type: str
    name: str
    path: str
    description: str = ""

    @property
    def id(self) -> str:
        return _stable_id(f"service.{self.type}")


@dataclass(frozen=True)
class Endpoint:
    service: Service
    interface: str
    region: str
    url: str

    @property
    def id(self) -> str:
        return _stable_id(f"endpoint.{self.service.type}.{self.interface}")


def _stable_id(name: str) -> str:
    return uuid5(NAMESPACE_DNS, f"{name}.novalite").hex


IDENTITY = Service("identity", "keystone", "/identity/v3", "Identity API v3")
COMPUTE = Service("compute", "nova", "/compute/v2.1", "Compute API v2.1")
IMAGE = Service("image", "glance", "/image", "Image API v2")
NETWORK = Service("network", "neutron", "/network", "Network API v2.0")
BLOCK_STORAGE = Service("block-storage", "cinder", "/volume/v3", "Block Storage API v3")
VOLUME_V3 = Service("volumev3", "cinderv3", "/volume/v3", "Block Storage API v3, under its older name")
PLACEMENT = Service("placement", "placement", "/placement", "Placement API")

SERVICES = (IDENTITY, COMPUTE, IMAGE, NETWORK, BLOCK_STORAGE, VOLUME_V3, PLACEMENT)
"""Every service there may be; a cloud offers those whose fronts it mounts."""


class Catalogue:
    """The services that answer, as each caller reaches them."""

    def __init__(self, services: tuple[Service, ...], region: str) -> None:
        self.services, self.region = services, region

    def endpoints(self, public_url: str) -> list[Endpoint]:
        return [
            Endpoint(service, interface, self.region, public_url + service.path)
            for service in self.services
            for interface in INTERFACES
        ]
