"""Where a disk's data are, in libvirt's words and in QEMU's: a file, a device of the host, an image in Ceph, what
another machine exports by NBD."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlsplit

from novalite.drivers.compute.libvirt.elements import sub

_RBD, _CONFIG = "rbd:", ":conf="
_NBD = "nbds:"
_DEVICES = "/dev/"


def is_elsewhere(path: Path | str) -> bool:
    """Not on this machine: no file can be looked at."""
    return str(path).startswith(_RBD) or is_exported(path)


def is_exported(path: Path | str) -> bool:
    """Whether another machine exports it, and lets it grow."""
    return str(path).startswith(_NBD)


def element(path: Path | str) -> tuple[str, ET.Element]:
    """The type of the disk, and its ``<source>``. ``path`` is ``rbd:POOL/IMAGE:conf=FILE``, ``nbds:HOST:PORT/NAME``,
    or a path."""
    text = str(path)
    if is_exported(text):
        return "network", _exported(text)
    if not is_elsewhere(text):
        kind, attribute = ("block", "dev") if text.startswith(_DEVICES) else ("file", "file")
        return kind, ET.Element("source", {attribute: text})
    name, _, config = text.removeprefix(_RBD).partition(_CONFIG)
    source = ET.Element("source", {"protocol": "rbd", "name": name})
    if config:
        sub(source, "config", file=config)
    return "network", source


def _exported(path: str) -> ET.Element:
    parts = urlsplit(f"//{path.removeprefix(_NBD)}")
    source = ET.Element("source", {"protocol": "nbd", "name": parts.path.lstrip("/"), "tls": "yes"})
    sub(source, "host", name=parts.hostname or "", port=str(parts.port))
    return source


def encryption(key_id: str) -> ET.Element:
    """What tells QEMU, by libvirt, to decrypt with that key."""
    root = ET.Element("encryption", {"format": "luks", "engine": "qemu"})
    sub(root, "secret", type="passphrase", uuid=key_id)
    return root


def address(source: ET.Element | None) -> str:
    """The other way round; empty for what is none of these."""
    if source is None:
        return ""
    if source.get("protocol") == "rbd":
        config = source.find("config")
        told = f"{_CONFIG}{config.get('file')}" if config is not None else ""
        return f"{_RBD}{source.get('name', '')}{told}"
    host = source.find("host")
    if source.get("protocol") == "nbd" and source.get("tls") == "yes" and host is not None:
        name = host.get("name", "")
        machine = f"[{name}]" if ":" in name else name
        return f"{_NBD}{machine}:{host.get('port')}/{source.get('name')}"
    return source.get("file") or source.get("dev") or ""


def words(path: Path | str, image_format: str, keys: Path) -> list[str]:
    """How ``qemu-img`` is told of an image. ``keys`` is the directory of what opens exported ones."""
    if not is_exported(path):
        return ["-f", image_format, str(path)]
    parts = urlsplit(f"//{str(path).removeprefix(_NBD)}")
    options = {
        "driver": image_format, "file.driver": "nbd", "file.server.type": "inet",
        "file.server.host": parts.hostname or "", "file.server.port": str(parts.port),
        "file.export": parts.path.lstrip("/"), "file.tls-creds": "keys",
    }  # fmt: skip
    told = ",".join(f"{name}={value.replace(',', ',,')}" for name, value in options.items())
    directory = str(keys).replace(",", ",,")
    return ["--object", f"tls-creds-x509,id=keys,endpoint=client,dir={directory}", "--image-opts", told]
