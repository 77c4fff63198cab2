"""Images of each format for Tempest's tests of formats, and some that refer to other files of the host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_MAKERS = {
    "raw": ("raw", ()), "qcow2": ("qcow2", ()), "vmdk": ("vmdk", ("subformat=monolithicSparse",)), "vdi": ("vdi", ()),
    "vhd": ("vpc", ()), "vhdx": ("vhdx", ()),
}  # fmt: skip
_SIZE = "8M"


def write(directory: Path) -> Path:
    """The manifest, which is beside the images. Needs qemu-img and genisoimage."""
    directory.mkdir()
    entries = [_made(directory, name, kind, options) for name, (kind, options) in _MAKERS.items()]
    entries += [_iso(directory), _with_backing(directory), _with_data_file(directory), _of_two_files(directory)]
    file = directory / "manifest.yaml"
    file.write_text(json.dumps({"images": entries}))  # every JSON document is one of YAML
    return file


def _entry(name: str, image_format: str, filename: str, *, usable: bool) -> dict[str, object]:
    return {"name": name, "format": image_format, "filename": filename, "usable": usable}


def _made(directory: Path, name: str, kind: str, options: tuple[str, ...]) -> dict[str, object]:
    _create(directory / name, kind, *options)
    return _entry(name, name, name, usable=True)


def _create(path: Path, kind: str, *options: str) -> None:
    words = [word for option in options for word in ("-o", option)]
    _run("qemu-img", "create", "-q", "-f", kind, *words, str(path), _SIZE)


def _iso(directory: Path) -> dict[str, object]:
    content = directory / "content"
    content.mkdir()
    (content / "readme").write_text("A medium.\n")
    _run("genisoimage", "-quiet", "-o", str(directory / "iso"), "-V", "medium", str(content))
    return _entry("iso", "iso", "iso", usable=True)


def _with_backing(directory: Path) -> dict[str, object]:
    _create(directory / "backed", "qcow2", "backing_file=raw", "backing_fmt=raw")
    return _entry("qcow2-backing", "qcow2", "backed", usable=False)


def _with_data_file(directory: Path) -> dict[str, object]:
    _create(directory / "parted", "qcow2", f"data_file={directory / 'parted.data'}", "data_file_raw=on")
    return _entry("qcow2-data-file", "qcow2", "parted", usable=False)


def _of_two_files(directory: Path) -> dict[str, object]:
    _create(directory / "flat.vmdk", "vmdk", "subformat=monolithicFlat")
    return _entry("vmdk-flat", "vmdk", "flat.vmdk", usable=False)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
