"""Images written as their content comes, as qemu-img finds them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path
from random import Random

import pytest

from novalite.drivers.storage import qcow2
from novalite.drivers.storage.stretches import PIECE_BYTES, zeros

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
RANDOM = Random(1).randbytes(9 * MIB)


def qemu_img(*words: object) -> str:
    done = subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def written(path: Path, chunks: Iterable[bytes]) -> Path:
    with path.open("xb") as file:
        qcow2.write(file, chunks)
    return path


def sparse(size: int, *places: int) -> Iterator[bytes]:
    """Zeros with a little data at the beginning of each of these pieces."""
    data = RANDOM[: 64 * KIB] + bytes(PIECE_BYTES - 64 * KIB)
    return (data if number in places else zeros(PIECE_BYTES) for number in range(size // PIECE_BYTES))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", bytes(512), bytes(3 * MIB + 512), RANDOM, RANDOM[: 5 * MIB + 512], bytes(MIB) + RANDOM + bytes(MIB),
        b"".join(RANDOM[: 100 * KIB] + bytes(200 * KIB) for _ in range(40)),
    ],
)  # fmt: skip
def test_it_holds_what_came(tmp_path: Path, content: bytes) -> None:
    chunks = [content[start : start + 700_001] for start in range(0, len(content), 700_001)]
    disk, raw = written(tmp_path / "disk", chunks), tmp_path / "raw"
    qemu_img("check", "-f", "qcow2", disk)
    if content:
        qemu_img("convert", "-f", "qcow2", "-O", "raw", disk, raw)
        assert raw.read_bytes() == content.ljust(-(-len(content) // 512) * 512, b"\0")


def test_data_far_apart_are_found_through_several_tables(tmp_path: Path) -> None:
    disk, twin = written(tmp_path / "disk", sparse(5 * GIB, 0, 127, 128, 1000, 1279)), tmp_path / "twin"
    facts = json.loads(qemu_img("check", "--output=json", "-f", "qcow2", disk))
    assert (facts["allocated-clusters"], facts.get("leaks", 0), facts["check-errors"]) == (5, 0, 0)
    with twin.open("xb") as file:
        for number in (0, 127, 128, 1000, 1279):
            file.seek(number * PIECE_BYTES)
            file.write(RANDOM[: 64 * KIB])
        file.truncate(5 * GIB)
    qemu_img("compare", "-f", "qcow2", "-F", "raw", disk, twin)
    assert disk.stat().st_blocks * 512 < 2 * MIB


def test_zeros_cost_nothing(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", repeat(zeros(PIECE_BYTES), 1024 * GIB // PIECE_BYTES))
    assert json.loads(qemu_img("info", "--output=json", "-f", "qcow2", disk))["virtual-size"] == 1024 * GIB
    assert disk.stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("size", [0, MIB, 3 * GIB])
def test_it_is_as_large_as_asked_for_or_as_its_content(tmp_path: Path, size: int) -> None:
    with (tmp_path / "disk").open("xb") as file:
        assert qcow2.write(file, [RANDOM], size) == len(RANDOM)
    facts = json.loads(qemu_img("info", "--output=json", "-f", "qcow2", tmp_path / "disk"))
    assert facts["virtual-size"] == max(size, len(RANDOM))
    qemu_img("check", "-f", "qcow2", tmp_path / "disk")


def test_it_is_written_to_and_grows_as_any_other(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", [RANDOM])
    qemu_img("resize", "-f", "qcow2", disk, "8G")
    for words in ("write -P 7 1M 3M", "write -P 8 7G 1M", "write -z 0 1M"):
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", words, str(disk)], check=True, capture_output=True, timeout=60)
    facts = json.loads(qemu_img("check", "--output=json", "-f", "qcow2", disk))
    assert (facts.get("leaks", 0), facts["check-errors"]) == (0, 0)


def test_counts_that_need_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 2 GiB of data, written where only the tables come to lie on the disk."""
    data = RANDOM[:PIECE_BYTES]

    class Hollow:
        def __init__(self, path: Path) -> None:
            self.file = path.open("xb")

        def write(self, content: bytes | memoryview) -> None:
            if len(content) == PIECE_BYTES:
                self.file.seek(len(content), 1)
            else:
                self.file.write(content)

        def seek(self, offset: int) -> None:
            self.file.seek(offset)

    disk = Hollow(tmp_path / "disk")
    assert qcow2.write(disk, chain(repeat(data, 600), [data[:512]])) == 600 * PIECE_BYTES + 512  # type: ignore[arg-type]
    disk.file.close()
    facts = json.loads(qemu_img("check", "--output=json", "-f", "qcow2", tmp_path / "disk"))
    assert (facts["allocated-clusters"], facts.get("leaks", 0), facts["check-errors"]) == (600 * 64 + 1, 0, 0)


def test_what_was_cut_off_is_no_image(tmp_path: Path) -> None:
    def cut_off() -> Iterator[bytes]:
        yield RANDOM
        raise OSError("the host is gone")

    disk = tmp_path / "disk"
    with disk.open("xb") as file, pytest.raises(OSError, match="gone"):
        qcow2.write(file, cut_off())
    assert disk.read_bytes()[:4] == bytes(4)
