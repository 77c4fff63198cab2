"""Can the host give the guest the hypervisor, firmware, machine and devices that its image or flavor asks for?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class ImageProperties:
    name: ClassVar[str] = "image_properties"
    order: ClassVar[int] = 50

    def reason(self, host: HostView, request: Request) -> str | None:
        return next(_missing(host, request), None)

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        asked = min((list(_missing(host, request)) for host in hosts), key=len)
        return f"an image or flavor that can do without this: {', '.join(asked)}"


def _missing(host: HostView, request: Request) -> Iterator[str]:
    properties = request.image_properties
    if not properties and not request.extra_specs:
        return
    hypervisor = (properties.get("img_hv_type") or properties.get("hypervisor_type") or "").lower()
    if hypervisor and hypervisor not in (host.hypervisor_type.lower(), host.virt_type.lower()):
        yield f"no hypervisor {hypervisor}"
    firmware = properties.get("hw_firmware_type", "").lower()
    if firmware and firmware not in host.firmwares:
        yield f"no {firmware} firmware"
    if (
        "required" in (properties.get("os_secure_boot"), request.extra_specs.get("os:secure_boot"))
        and "secure_boot" not in host.features
    ):
        yield "no secure boot"
    machine = _machine_type(properties.get("hw_machine_type", ""), host.architecture)
    if machine and host.machine_types and machine not in host.machine_types:
        yield f"no machine type {machine}"
    yield from host.unmet


def _machine_type(value: str, architecture: str) -> str:
    """``q35``, or the entry for ``architecture`` of a list like ``x86_64=q35,aarch64=virt``."""
    if "=" not in value:
        return value
    return dict(part.strip().partition("=")[::2] for part in value.split(",")).get(architecture, "")
