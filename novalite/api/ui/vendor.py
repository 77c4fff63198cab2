"""Brings other people's browser code into ``novalite/static``: ``python -m novalite.api.ui.vendor``.

Each package is taken at the version and hash that ``vendored.json`` records; changing them there and running
this again is an upgrade. It needs npm, which nothing else does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from novalite import assets

RECORD = "vendored.json"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded(static: Path) -> list[dict[str, Any]]:
    """The packages of the record: name, version, integrity (npm's), licence, into, files, sha256."""
    packages: list[dict[str, Any]] = json.loads((static / RECORD).read_text())["packages"]
    return packages


def differences(static: Path) -> list[str]:
    """Files that are not what the record says, or that it does not know."""
    wrong = []
    for package in recorded(static):
        known = {f"{package['into']}/{name}": value for name, value in package["sha256"].items()}
        there = {str(path.relative_to(static)) for path in (static / package["into"]).rglob("*") if path.is_file()}
        wrong += sorted(there ^ set(known))
        wrong += [name for name in sorted(there & set(known)) if digest(static / name) != known[name]]
    return wrong


def _fetch(package: dict[str, Any], folder: Path) -> Path:
    name = f"{package['name']}@{package['version']}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), name]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    tarball = folder / ended.stdout.strip().splitlines()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != package["integrity"]:
        raise SystemExit(f"{name}: expected {package['integrity']}, got {found}")
    return tarball


def _unpack(package: dict[str, Any], tarball: Path, target: Path) -> dict[str, str]:
    """Copy the wanted files; their hashes by name."""
    shutil.rmtree(target, ignore_errors=True)
    hashes = {}
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            inside = PurePosixPath(member.name).relative_to("package")
            wanted = any(inside == PurePosixPath(f) or PurePosixPath(f) in inside.parents for f in package["files"])
            if not member.isfile() or not wanted or ".." in inside.parts:
                continue
            source = archive.extractfile(member)
            assert source is not None
            path = target / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())
            hashes[str(inside)] = digest(path)
    return dict(sorted(hashes.items()))


def main() -> None:
    static = assets.static()
    packages = recorded(static)
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            tarball = _fetch(package, Path(folder))
            package["sha256"] = _unpack(package, tarball, static / package["into"])
            print(f"{package['name']} {package['version']}: {len(package['sha256'])} files")
    (static / RECORD).write_text(json.dumps({"packages": packages}, indent=1) + "\n")


if __name__ == "__main__":
    main()
