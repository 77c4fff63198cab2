"""The manifest of an OVA: what its files have to hash to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from novalite.errors import Invalid

ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")
_LINE = re.compile(r"(SHA-?\d+)\s*\((.+)\)\s*=\s*([0-9a-fA-F]+)\Z")
_SHOWN = 64


@dataclass(frozen=True)
class Digest:
    """``value`` in hex."""

    algorithm: str
    value: str

    def begin(self) -> hashlib._Hash:
        """An empty hash, to be fed with the file."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def require(self, name: str, found: hashlib._Hash) -> None:
        """Raises ``Invalid`` when the file has another digest."""
        if found.hexdigest() != self.value:
            raise refusal(f"holds another {name[:_SHOWN]} than its manifest says: the {self.algorithm.upper()} is "
                          f"{found.hexdigest()} instead of {self.value[:128]}")  # fmt: skip


def read(data: bytes) -> dict[str, Digest]:
    """File -> digest. Raises ``Invalid`` for lines that say nothing of a file, and for files named twice."""
    found: dict[str, Digest] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        match = _LINE.match(line.strip())
        algorithm = match[1].replace("-", "").lower() if match else ""
        if match is None or algorithm not in ALGORITHMS:
            raise refusal(f"has a manifest with the line '{line.strip()[:_SHOWN]}', which names no file with its SHA1, "
                          "SHA256, SHA384 or SHA512")  # fmt: skip
        if match[2] in found:
            raise refusal(f"has a manifest that names {match[2][:_SHOWN]} twice")
        found[match[2]] = Digest(algorithm, match[3].lower())
    return found


def digest_of(manifest: Mapping[str, Digest], name: str) -> Digest:
    """Raises ``Invalid`` when the manifest, which is of all files, does not know this one."""
    if name not in manifest:
        raise refusal(f"has a manifest that says nothing of {name[:_SHOWN]}")
    return manifest[name]


def refusal(what: str) -> Invalid:
    """Why an OVA is not taken."""
    return Invalid(f"The OVA {what}.", field="image", code="image.refused")
