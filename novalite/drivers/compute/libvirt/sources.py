"""Where a disk's data are, in libvirt's words and in QEMU's: a file, a device of the host, an image in Ceph."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from novalite.drivers.compute.libvirt.elements import sub

_RBD, _CONFIG = "rbd:", ":conf="
_DEVICES = "/dev/"


def is_elsewhere(path: Path | str) -> bool:
    """Not on this machine: no file can be looked at."""
    return str(path).startswith(_RBD)


def element(path: Path) -> tuple[str, ET.Element]:
    """The type of the disk, and its ``<source>``. ``path`` is as QEMU's programs take it: ``rbd:POOL/IMAGE:conf=FILE``,
    or a path."""
    text = str(path)
    if not is_elsewhere(text):
        kind, attribute = ("block", "dev") if text.startswith(_DEVICES) else ("file", "file")
        return kind, ET.Element("source", {attribute: text})
    name, _, config = text.removeprefix(_RBD).partition(_CONFIG)
    source = ET.Element("source", {"protocol": "rbd", "name": name})
    if config:
        sub(source, "config", file=config)
    return "network", source


def address(source: ET.Element | None) -> str:
    """The other way round; empty for what is none of these."""
    if source is None:
        return ""
    if source.get("protocol") == "rbd":
        config = source.find("config")
        told = f"{_CONFIG}{config.get('file')}" if config is not None else ""
        return f"{_RBD}{source.get('name', '')}{told}"
    return source.get("file") or source.get("dev") or ""
