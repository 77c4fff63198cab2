"""Kernel modules of the guest: which are needed, in an order-free closure, as plain (not packed) files."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from novalite.drivers.storage.guest_packages import run
from novalite.errors import DriverError


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: ``tree`` holds lib/modules/VERSION, ``image`` is the file to boot."""

    tree: Path
    version: str
    image: Path

    @property
    def modules(self) -> Path:
        return self.tree / "lib" / "modules" / self.version


def find(tree: Path) -> Kernel:
    """The one kernel unpacked in ``tree``."""
    if not (tree / "lib" / "modules").is_dir() and (tree / "usr" / "lib" / "modules").is_dir():
        (tree / "lib").mkdir(exist_ok=True)
        (tree / "lib" / "modules").symlink_to(tree / "usr" / "lib" / "modules")
    versions = sorted(path.name for path in (tree / "lib" / "modules").glob("*"))
    images = sorted((tree / "boot").glob("vmlinuz-*"))
    if len(versions) != 1 or len(images) != 1:
        raise DriverError(
            "guest_image.build",
            f"the kernel package holds kernels {versions} and images {images}",
            code="guest_image.no_kernel",
        )
    kernel = Kernel(tree, versions[0], images[0])
    run(["depmod", "-b", tree, kernel.version])
    return kernel


def closure(kernel: Kernel, names: Iterable[str]) -> list[Path]:
    """Module files of ``names`` and all they depend on, relative to lib/modules/VERSION. What is built in
    or does not exist in this kernel is left out."""
    depends: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        depends[file] = rest.split()
        by_name[Path(file).name.split(".")[0].replace("-", "_")] = file
    wanted: set[str] = set()
    for name in names:
        if name in by_name:
            wanted.update([by_name[name], *depends[by_name[name]]])
    return [Path(file) for file in sorted(wanted)]


def install(kernel: Kernel, names: Iterable[str], root: Path) -> None:
    """Put the closure of ``names`` into the file tree ``root`` and index it."""
    target = root / "lib" / "modules" / kernel.version
    target.mkdir(parents=True)
    for module in closure(kernel, names):
        _plain_copy(kernel.modules / module, target / module)
    for index in ("modules.builtin", "modules.order"):
        if (kernel.modules / index).exists():
            shutil.copy(kernel.modules / index, target / index)
    run(["depmod", "-b", root, kernel.version])


def _plain_copy(source: Path, target: Path) -> None:
    """Copy a module, unpacked: busybox's modprobe cannot read every packing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".xz":
        target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
    elif source.suffix == ".zst":
        run(["zstd", "-q", "-d", "-f", source, "-o", target.with_suffix("")])
    else:
        shutil.copy(source, target)
