"""Runs qemu-img on files whose format is known, with limits, time-outs and readable failures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from novalite.drivers import programs
from novalite.drivers.storage.base import VolumeKey
from novalite.errors import DriverError

_SECONDS = 60.0
_COPY_SECONDS = 4 * 3600.0
_STRETCH_MS = 10
"""Stretching is for passphrases that can be guessed; ours are 256 random bits."""
LUKS = "luks"
_ATTEMPTS = 10


_LOCKED, _UNMEASURED = "lock", "accurate cpu usage"
"""What qemu-img says of a file that somebody has open; and when it measured no time while it tried how fast it is,
which QEMU 7 does for LUKS, and takes for a failure, where processor time is counted in coarse ticks."""


def _run(op: str, arguments: list[str], seconds: float, most_bytes: int = 0, pass_fds: tuple[int, ...] = ()) -> str:
    """``most_bytes`` is the largest file it may write; 0: what the file system takes."""
    try:
        return programs.run(
            op, ["qemu-img", *arguments], timeout_seconds=seconds, most_bytes=most_bytes, pass_fds=pass_fds
        )
    except DriverError as error:
        if error.code == "driver.failed" and _LOCKED in error.detail.lower():
            raise DriverError(op, error.detail, code="volume.busy", retryable=True) from error
        if _UNMEASURED in error.detail.lower():
            raise DriverError(op, error.detail, code="luks.unmeasured", retryable=True) from error
        raise


def _make(op: str, arguments: list[str], seconds: float, most_bytes: int, keys: Mapping[str, VolumeKey | None]) -> None:
    """Run what makes an image, with keys by name. What it begins anew overwrites what it had begun."""
    for attempt in range(_ATTEMPTS):
        with _told(**keys) as (secrets, descriptors):
            try:
                _run(op, [arguments[0], *secrets, *arguments[1:]], seconds, most_bytes, descriptors)
                return
            except DriverError as error:
                if error.code != "luks.unmeasured" or attempt == _ATTEMPTS - 1:
                    raise


# Keys reach qemu-img through a pipe that only it has: arguments are everybody's to read, files stay on disks.


@contextmanager
def _told(**keys: VolumeKey | None) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Arguments that tell qemu-img of secrets by name, and the descriptors it must have for that."""
    words: list[str] = []
    descriptors: list[int] = []
    with ExitStack() as stack:
        for name, key in keys.items():
            if key is not None:
                reader, writer = os.pipe()
                stack.callback(os.close, reader)
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(key.passphrase.encode())
                words += ["--object", f"secret,id={name},file=/dev/fd/{reader}"]
                descriptors.append(reader)
        yield words, tuple(descriptors)


def _opened(path: Path | str, image_format: str, secret: str) -> str:
    """An encrypted image in the words of ``--image-opts``."""
    file = ",".join(f"file.{name}={value.replace(',', ',,')}" for name, value in _file(str(path)).items())
    if image_format == "raw":
        return f"driver={LUKS},{file},key-secret={secret}"
    return f"driver={image_format},{file},encrypt.key-secret={secret}"


def _file(path: str) -> dict[str, str]:
    """Where it lies: among options QEMU takes ``rbd:POOL/IMAGE:conf=FILE`` for the name of a file."""
    if not path.startswith("rbd:"):
        return {"filename": path}
    place, _, config = path.removeprefix("rbd:").partition(":conf=")
    pool, _, image = place.partition("/")
    return {"driver": "rbd", "pool": pool, "image": image, **({"conf": config} if config else {})}


def _input(path: Path | str, image_format: str, key: VolumeKey | None, secret: str) -> tuple[list[str], str]:
    """Options and name of an image that is there."""
    if key is None:
        return ["-f", image_format], str(path)
    return ["--image-opts"], _opened(path, image_format, secret)


def _output(image_format: str, key: VolumeKey | None, secret: str) -> tuple[str, list[str]]:
    """Format and options of an image that is made."""
    if key is None:
        return image_format, []
    cipher, mode, iv = key.cipher.split("-")
    prefix = "" if image_format == "raw" else "encrypt."
    options = {
        "key-secret": secret, "cipher-alg": f"{cipher}-{key.key_size}", "cipher-mode": mode, "ivgen-alg": iv,
        "iter-time": str(_STRETCH_MS), **({"format": LUKS} if prefix else {}),
    }  # fmt: skip
    told = ",".join(f"{prefix}{name}={value}" for name, value in options.items())
    return LUKS if image_format == "raw" else image_format, ["-o", told]


def create(op: str, path: Path | str, size: int, image_format: str = "qcow2", key: VolumeKey | None = None) -> None:
    """A blank file of ``size`` bytes, as a guest sees it."""
    made, options = _output(image_format, key, "to")
    _make(op, ["create", "-q", "-f", made, *options, str(path), str(size)], _SECONDS, 0, {"to": key})


def virtual_size(op: str, path: Path | str, image_format: str, key: VolumeKey | None = None) -> int:
    """In bytes, as a guest sees it. What LUKS says of it is not secret."""
    outer = LUKS if key is not None and image_format == "raw" else image_format
    text = _run(op, ["info", "-U", "--output=json", "-f", outer, str(path)], _SECONDS)
    return int(json.loads(text)["virtual-size"])


def luks_header(op: str, path: Path | str) -> int:
    """How many bytes LUKS has for itself before the data."""
    facts = json.loads(_run(op, ["info", "-U", "--output=json", "-f", LUKS, str(path)], _SECONDS))
    return int(facts["format-specific"]["data"]["payload-offset"])


def require_alone(op: str, path: Path) -> None:
    """Raises ``DriverError`` with code ``volume.refused`` for a qcow2 that refers to another file."""
    facts = json.loads(_run(op, ["info", "--output=json", "-f", "qcow2", str(path)], _SECONDS))
    if facts.get("backing-filename") or facts.get("format-specific", {}).get("data", {}).get("data-file"):
        raise DriverError(op, "the copy refers to another file", code="volume.refused")


def require_unused(op: str, path: Path, image_format: str) -> None:
    """Raises ``DriverError`` with code ``volume.busy`` for a file that a QEMU has open for writing."""
    _run(op, ["info", "--output=json", "-f", image_format, str(path)], _SECONDS)


@dataclass(frozen=True)
class Extent:
    """A stretch of a disk: ``blank``, or at ``offset`` of its file; without an offset only QEMU reads it."""

    length: int
    blank: bool
    offset: int | None


def extents(op: str, path: Path, image_format: str, start: int, length: int) -> list[Extent]:
    """What a part of a disk is made of. Raises ``DriverError`` with code ``volume.busy`` for one in use."""
    words = ["map", "--output=json", "-f", image_format, f"--start-offset={start}", f"--max-length={length}", str(path)]
    found = json.loads(_run(op, words, _SECONDS))
    return [
        Extent(each["length"], bool(each["zero"]) or not each["data"], None if each["depth"] else each.get("offset"))
        for each in found
    ]


def resize(op: str, path: Path | str, size: int, image_format: str = "qcow2", key: VolumeKey | None = None) -> None:
    """A file that nobody has open becomes ``size`` bytes large."""
    options, name = _input(path, image_format, key, "of")
    with _told(of=key) as (secrets, descriptors):
        _run(op, ["resize", "-q", *secrets, *options, name, str(size)], _SECONDS, pass_fds=descriptors)


def fill(
    op: str, source: Path | str, source_format: str, target: str, *, source_key: VolumeKey | None = None,
    key: VolumeKey | None = None,
) -> None:  # fmt: skip
    """Copy into a raw device that is there, as large as the source at least, and reads as zeros; with ``key`` into the
    LUKS that lies there, where nothing reads as zeros before it is written."""
    options, name = _input(source, source_format, source_key, "of")
    onto = ["--target-is-zero", "-O", "raw"] if key is None else ["--target-image-opts"]
    where = target if key is None else _opened(target, "raw", "to")
    with _told(of=source_key, to=key) as (secrets, descriptors):
        _run(op, ["convert", *secrets, "-n", *options, *onto, name, where], _COPY_SECONDS, pass_fds=descriptors)


def convert(
    op: str, source: Path | str, source_format: str, target: Path, target_format: str, *, most_bytes: int = 0,
    options: str = "", source_key: VolumeKey | None = None, key: VolumeKey | None = None,
) -> None:  # fmt: skip
    """A copy that is on the disk when this returns, with ``options`` of its format or encrypted with ``key``. Raises
    ``DriverError`` with code ``image.too_large`` for one that would be larger than ``most_bytes``, if that is not 0."""
    opened, name = _input(source, source_format, source_key, "of")
    made, onto = _output(target_format, key, "to")
    onto = ["-o", options] if options else onto
    _make(op, ["convert", *opened, "-O", made, *onto, name, str(target)], _COPY_SECONDS, most_bytes,
          {"of": source_key, "to": key})  # fmt: skip
    with target.open("rb") as file:
        os.fsync(file.fileno())
