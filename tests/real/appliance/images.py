"""The bundled guest image, built once for all tests of one run."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from novalite.drivers.storage import guest_image


@functools.cache
def bundled_guest_image() -> Path:
    """A file in a directory that lives as long as this process."""
    _directories.append(tempfile.TemporaryDirectory(prefix="novalite-guest-image-"))
    file = Path(_directories[0].name) / "guest.qcow2"
    guest_image.build(file, progress=lambda line: None)
    return file


_directories: list[tempfile.TemporaryDirectory[str]] = []
