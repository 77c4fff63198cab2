"""Which disks a machine has together with others: what is written by two is damaged."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from novalite.drivers.compute.base import ForeignDisk

Below = Callable[[str, str], tuple[str, ...]]
"""Path and format of a disk -> the files that it stands on; none when nobody can tell."""
InPool = Callable[[str, str], str]
"""Pool and volume -> its path; empty when there is no such thing."""


@dataclass(frozen=True)
class Use:
    """What a machine does with the file or device that is really at ``path``; ``is_below``: a disk of it stands on
    that, and would be damaged by any change."""

    machine: str
    path: str
    format: str
    writes: bool
    is_below: bool = False


def uses(machine: str, definition: str, in_pool: InPool) -> Iterator[Use]:
    """The disks in a definition, without what they stand on."""
    root = ET.fromstring(definition)  # noqa: S314 - the local libvirt's
    for element in root.findall("devices/disk"):
        source, driver = element.find("source"), element.find("driver")
        if source is None:
            continue
        path = source.get("file") or source.get("dev") or ""
        if element.get("type") == "volume":
            path = in_pool(source.get("pool", ""), source.get("volume", ""))
        if path.startswith("/"):
            form = "raw" if driver is None else driver.get("type", "raw")
            writes = element.find("readonly") is None and element.get("device") not in ("cdrom", "floppy")
            yield Use(machine, os.path.realpath(path), form, writes)


def with_below(found: Iterable[Use], below: Below) -> Iterator[Use]:
    """The same, and what they stand on; each disk is looked at once."""
    looked: dict[tuple[str, str], tuple[str, ...]] = {}
    for use in found:
        yield use
        disk = use.path, use.format
        if disk not in looked:
            looked[disk] = below(*disk) if use.format != "raw" else ()
        for path in looked[disk]:
            yield Use(use.machine, os.path.realpath(path), "", writes=False, is_below=True)


def conflicts(disks: Iterable[ForeignDisk], others: Iterable[Use], below: Below) -> Iterator[str]:
    """Why a machine with these disks cannot have them for itself, for people."""
    used: dict[str, list[Use]] = {}
    for use in others:
        used.setdefault(use.path, []).append(use)
    for disk in disks:
        for use in used.get(os.path.realpath(disk.path), ()):
            if use.is_below and not disk.read_only:
                yield f"a disk of machine {use.machine} stands on {disk.path}, its disk {disk.device}"
            elif not use.is_below and (use.writes or not disk.read_only):
                yield f"its disk {disk.device}, {disk.path}, is one of machine {use.machine} too; detach it there first"
        for path in below(disk.path, disk.format) if disk.format != "raw" else ():
            for use in used.get(os.path.realpath(path), ()):
                if use.writes:
                    yield f"its disk {disk.device} stands on {path}, which is a disk of machine {use.machine}"
