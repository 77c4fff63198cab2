"""Downloads an image: goes on where it was cut off, and gives the file its name only when its checksum is right."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx

from novalite.cli.distributions import Source
from novalite.cli.waiting import Show
from novalite.errors import DependencyDown, Failed, NotFound

_DIGEST = re.compile(r"\b[0-9a-fA-F]{32,128}\b")


def web(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client for mirrors: they redirect, and may be slow to begin."""
    return httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60.0, connect=15.0), transport=transport)


def obtain(http: httpx.Client, source: Source, target: Path, tell: Show) -> str:
    """Bring the image to ``target``, checked; returns its digest. Raises as ``download`` does."""
    tell("looking up its checksum")
    digest = source.digest or published_digest(http, source.sums_url, source.file_name, source.algorithm)
    download(http, source.url, target, algorithm=source.algorithm, digest=digest, tell=tell)
    return digest


def published_digest(http: httpx.Client, sums_url: str, file_name: str, algorithm: str) -> str:
    """The checksum of ``file_name`` in a list as sha256sum or BSD's tools write it.

    Raises ``NotFound`` when the list does not name the file.
    """
    answer = _get(http, sums_url)
    if answer.status_code != 200:
        raise NotFound(
            "checksum list",
            sums_url,
            message=f"{sums_url} was answered {answer.status_code}.",
            hint="The distribution may have moved it: --checksum with the address of the image works too.",
        )
    length = hashlib.new(algorithm).digest_size * 2
    found: list[str] = [
        digest.lower()
        for line in answer.text.splitlines()
        for digest in _DIGEST.findall(line)
        if len(digest) == length and (_names(line, file_name) or line.strip() == digest)
    ]
    if not found:
        raise NotFound(
            "checksum",
            file_name,
            message=f"{sums_url} holds no {algorithm} checksum of {file_name}.",
            hint="The distribution may have renamed it.",
        )
    return found[0]


def download(http: httpx.Client, url: str, target: Path, *, algorithm: str, digest: str, tell: Show) -> None:
    """Bring ``url`` to ``target``. A file that is there and right is kept; half a file is continued.

    Raises ``Failed`` when what came is not what was published (nothing is kept then), or ``DependencyDown``.
    """
    if target.exists() and _digest_of(target, algorithm, tell) == digest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    resumed = part.exists()
    _transfer(http, url, part, tell)
    if _digest_of(part, algorithm, tell) != digest and resumed:
        part.unlink()
        _transfer(http, url, part, tell)
    if _digest_of(part, algorithm, tell) != digest:
        part.unlink()
        raise Failed(
            f"What came from {url} does not have the published {algorithm} checksum.",
            code="image.checksum",
            hint="Nothing was kept. The image may just have been replaced: try again.",
        )
    part.replace(target)


def _transfer(http: httpx.Client, url: str, part: Path, tell: Show) -> None:
    have = part.stat().st_size if part.exists() else 0
    # Byte for byte as stored: a resumed transfer cannot be decoded.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with http.stream("GET", url, headers=headers) as answer:
            if have and answer.status_code == 416:  # all of it is there already
                return
            if answer.status_code not in (200, 206):
                raise NotFound(
                    "image",
                    url,
                    message=f"{url} was answered {answer.status_code}.",
                    hint="The distribution may have moved it; an address of your own works too.",
                )
            if answer.status_code == 200:
                have = 0
            total = have + int(answer.headers.get("Content-Length", 0))
            with part.open("ab" if have else "wb") as file:
                for chunk in answer.iter_raw():
                    file.write(chunk)
                    have += len(chunk)
                    tell(f"{have >> 20} of {total >> 20} MiB" if total else f"{have >> 20} MiB")
    except httpx.TransportError as error:
        raise _cut_off(url, error) from error


def _get(http: httpx.Client, url: str) -> httpx.Response:
    try:
        return http.get(url)
    except httpx.TransportError as error:
        raise _cut_off(url, error) from error


def _cut_off(url: str, error: httpx.TransportError) -> DependencyDown:
    return DependencyDown(
        f"{url} cannot be fetched: {error or type(error).__name__}.",
        code="image.fetch",
        hint="Repeat the command: it goes on where it was cut off.",
    )


def _digest_of(path: Path, algorithm: str, tell: Show) -> str:
    tell("checking the checksum")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _names(line: str, file_name: str) -> bool:
    return re.search(rf"(?:^|[\s(*/]){re.escape(file_name)}(?:$|[\s)])", line) is not None
