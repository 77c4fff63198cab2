"""Cloud images of the usual distributions: where each is, and where its checksum is told."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from novalite.errors import Invalid, NotFound, Unsupported

_DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Source:
    """Where an image comes from. Its checksum is ``digest``, or listed at ``sums_url``; ``properties`` are the
    image's in the cloud."""

    name: str
    url: str
    algorithm: str
    sums_url: str = ""
    digest: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2] or "image"


@dataclass(frozen=True)
class Distribution:
    """``url`` may hold ``{arch}`` (x86_64) or ``{deb_arch}`` (amd64); ``sums`` is relative to it, where
    ``{file}`` is the image's own name. ``algorithm`` is hashlib's name, ``user`` whom to log in as."""

    name: str
    user: str
    url: str
    sums: str
    algorithm: str

    def on(self, architecture: str) -> Source:
        """Raises ``Unsupported`` for an architecture the distribution has no image for."""
        if architecture not in _DEBIAN_NAMES or (architecture != "x86_64" and "arch}" not in self.url):
            raise Unsupported(
                f"There is no {self.name} image for {architecture}.",
                code="image.no_architecture",
                hint="--arch chooses another.",
            )
        url = self.url.format(arch=architecture, deb_arch=_DEBIAN_NAMES[architecture])
        sums = self.sums.format(file=url.rpartition("/")[2], arch=architecture)
        properties = {
            "hw_architecture": architecture,
            "os_admin_user": self.user,
            "os_distro": self.name.partition("-")[0],
        }
        return Source(self.name, url, self.algorithm, urljoin(url, sums), properties=properties)


def _all() -> Iterator[Distribution]:
    for version, code in (("12", "bookworm"), ("13", "trixie")):
        yield Distribution(
            f"debian-{version}",
            "debian",
            f"https://cloud.debian.org/images/cloud/{code}/latest/debian-{version}-genericcloud-{{deb_arch}}.qcow2",
            "SHA512SUMS",
            "sha512",
        )
    for version, code in (("22.04", "jammy"), ("24.04", "noble"), ("26.04", "resolute")):
        yield Distribution(
            f"ubuntu-{version}",
            "ubuntu",
            f"https://cloud-images.ubuntu.com/{code}/current/{code}-server-cloudimg-{{deb_arch}}.img",
            "SHA256SUMS",
            "sha256",
        )
    for version, kind in (("9", ""), ("10", "-Base")):
        yield Distribution(
            f"rocky-{version}",
            "rocky",
            f"https://dl.rockylinux.org/pub/rocky/{version}/images/{{arch}}/"
            f"Rocky-{version}-GenericCloud{kind}.latest.{{arch}}.qcow2",
            "{file}.CHECKSUM",
            "sha256",
        )
    for version in ("9", "10"):
        yield Distribution(
            f"almalinux-{version}",
            "almalinux",
            f"https://repo.almalinux.org/almalinux/{version}/cloud/{{arch}}/images/"
            f"AlmaLinux-{version}-GenericCloud-latest.{{arch}}.qcow2",
            "CHECKSUM",
            "sha256",
        )
    for version, kind in (("9", ""), ("10", "{arch}-")):
        yield Distribution(
            f"centos-stream-{version}",
            "cloud-user",
            f"https://cloud.centos.org/centos/{version}-stream/{{arch}}/images/"
            f"CentOS-Stream-GenericCloud-{kind}{version}-latest.{{arch}}.qcow2",
            "{file}.SHA256SUM",
            "sha256",
        )
    yield Distribution(
        "fedora-43",
        "fedora",
        "https://download.fedoraproject.org/pub/fedora/linux/releases/43/Cloud/{arch}/images/"
        "Fedora-Cloud-Base-Generic-43-1.6.{arch}.qcow2",
        "Fedora-Cloud-43-1.6-{arch}-CHECKSUM",
        "sha256",
    )
    yield Distribution(
        "opensuse-leap-15.6",
        "opensuse",
        "https://download.opensuse.org/distribution/leap/15.6/appliances/"
        "openSUSE-Leap-15.6-Minimal-VM.{arch}-Cloud.qcow2",
        "{file}.sha256",
        "sha256",
    )
    yield Distribution(
        "arch",
        "arch",
        "https://geo.mirror.pkgbuild.com/images/latest/Arch-Linux-x86_64-cloudimg.qcow2",
        "{file}.SHA256",
        "sha256",
    )
    yield Distribution(
        "alpine-3.22",
        "alpine",
        "https://dl-cdn.alpinelinux.org/alpine/v3.22/releases/cloud/generic_alpine-3.22.2-x86_64-bios-cloudinit-r0.qcow2",
        "{file}.sha512",
        "sha512",
    )


DISTRIBUTIONS = {each.name: each for each in _all()}


def source(name: str, *, architecture: str | None, checksum: str | None) -> Source:
    """What to fetch for the name of a distribution, or for an address with a checksum (``sha256:HEX``).

    Raises ``NotFound`` that lists the known names, or ``Invalid``.
    """
    algorithm, _, digest = (checksum or "").partition(":")
    if checksum and (algorithm not in ("sha256", "sha512") or not digest):
        raise Invalid(f"{checksum} is not a checksum.", field="checksum", hint="Give sha256:HEX or sha512:HEX.")
    if "://" in name:
        if not digest:
            raise Invalid(
                "An image from an address of your own needs its checksum.",
                field="checksum",
                hint="Add --checksum sha256:HEX, from a place you trust.",
            )
        return Source(name.rpartition("/")[2], name, algorithm, digest=digest.lower())
    if name not in DISTRIBUTIONS:
        raise NotFound(
            "distribution",
            name,
            message=f"There is no distribution {name} in the list.",
            hint="'novalite image names' shows it. An address with --checksum works too.",
        )
    found = DISTRIBUTIONS[name].on(architecture or this_architecture())
    return replace(found, algorithm=algorithm, digest=digest.lower()) if digest else found


def this_architecture() -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
