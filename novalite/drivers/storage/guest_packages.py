"""The distribution's own packages the guest image is made of: fetched by apt, unpacked, never installed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from novalite.errors import DriverError, Unsupported

T = TypeVar("T")

_KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
_APT_SECONDS = 600
_COMMAND_SECONDS = 120


def run(
    argv: list[str | Path],
    *,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    timeout_seconds: float = _COMMAND_SECONDS,
) -> str:
    """Standard output of a program. Raises ``DriverError`` with the last lines of its complaint."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, cwd=cwd, input=stdin, capture_output=True, timeout=timeout_seconds, check=False)
    except FileNotFoundError as error:
        raise DriverError(
            "guest_image.build",
            f"the program {words[0]} is missing",
            code="guest_image.tool_missing",
            hint="'sudo ./run setup' installs what is missing.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DriverError(
            "guest_image.build",
            f"{words[0]} did not end within {timeout_seconds:.0f} s",
            code="guest_image.timeout",
        ) from error
    if done.returncode != 0:
        complaint = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-4:]
        raise DriverError("guest_image.build", f"{words[0]} failed: {' / '.join(complaint)}", code="guest_image.failed")
    return done.stdout.decode(errors="replace")


def kernel_names() -> list[str]:
    """Packages that hold the kernel image and its modules, as the distribution names them today.

    Raises ``Unsupported`` on a distribution or architecture whose kernel package is not known.
    """
    release = platform.freedesktop_os_release()
    families = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    meta = next((_KERNELS[family] for family in families if family in _KERNELS), None)
    if meta is None or platform.machine() != "x86_64":
        system = f"{release.get('PRETTY_NAME', 'this system')} ({platform.machine()})"
        raise Unsupported(
            f"The guest image cannot be built on {system}.",
            code="guest_image.unsupported",
            hint="'novalite image fetch NAME' brings a distribution's image instead.",
        )
    image = _with_fresh_lists(lambda: _dependency(meta, "linux-image-"))
    modules = [name for name in _depends(image) if name.startswith("linux-modules-")]
    return [image, *modules[:1]]


def _depends(package: str) -> list[str]:
    lines = run(["apt-cache", "depends", "--important", package]).splitlines()
    return [line.split("Depends:", 1)[1].strip() for line in lines if "Depends:" in line]


def _dependency(package: str, prefix: str) -> str:
    found = next((name for name in _depends(package) if name.startswith(prefix)), None)
    if found is None:
        raise DriverError(
            "guest_image.build",
            f"apt knows no package {package}",
            code="guest_image.no_kernel",
            hint="Run 'apt-get update' first.",
        )
    return found


def unpack(package: str, *, cache: Path, into: Path) -> None:
    """Unpack ``package``, from ``cache`` when the version that apt would take lies there already."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = _cached(package, cache)
    if archive is None:
        _with_fresh_lists(lambda: _download(package, cache))
        archive = _cached(package, cache)
    if archive is None:
        raise DriverError("guest_image.build", f"apt did not bring {package}", code="guest_image.no_package")
    run(["dpkg-deb", "-x", archive, into])


def _download(package: str, cache: Path) -> None:
    # Without the option apt drops to a user that may not write into the cache.
    argv: list[str | Path] = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
    run(argv, cwd=cache, timeout_seconds=_APT_SECONDS)


def _with_fresh_lists(action: Callable[[], T]) -> T:
    """What ``action`` gives; when it fails, once more after apt has fetched its lists (absent or too old)."""
    try:
        return action()
    except DriverError as error:
        if error.code != "guest_image.failed" or os.geteuid() != 0:
            raise
        run(["apt-get", "-q", "update"], timeout_seconds=_APT_SECONDS)
        return action()


def _cached(package: str, cache: Path) -> Path | None:
    archives = sorted(cache.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
    if not archives:
        return None
    version = next(
        (
            line.split(":", 1)[1].strip()
            for line in run(["apt-cache", "show", "--no-all-versions", package]).splitlines()
            if line.startswith("Version:")
        ),
        "",
    )
    return next((path for path in archives if f"_{version.replace(':', '%3a')}_" in path.name), None)
