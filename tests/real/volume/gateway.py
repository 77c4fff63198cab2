"""A bucket in a real S3 server: Ceph's gateway beside the smallest Ceph, over HTTPS or plain."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from novalite.drivers.storage.s3 import Bucket
from tests.contracts.ports import free_port
from tests.contracts.waiting import until
from tests.real.volume import ceph

_USER, _KEY, _SECRET = "novalite", "NOVALITEKEY", "a-secret-of-the-tests"


def missing() -> str:
    """Why there can be no gateway here; empty when there can."""
    absent = [name for name in ("radosgw", "radosgw-admin", "openssl") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ceph.missing()


@dataclass
class Gateway:
    """``secure`` and ``plain`` are its addresses, ``authority`` the certificate to trust."""

    secure: str
    plain: str
    authority: Path
    config: Path
    _process: subprocess.Popen[bytes]

    def bucket(self, name: str, prefix: str = "") -> Bucket:
        """A new one, by the gateway's other protocol: making buckets is nothing that NovaLite does."""
        told = httpx.get(f"{self.plain}/auth/1.0", headers={"X-Auth-User": f"{_USER}:swift", "X-Auth-Key": _SECRET})
        made = httpx.put(f"{self.plain}/swift/v1/{name}", headers={"X-Auth-Token": told.headers["X-Auth-Token"]})
        assert made.status_code in (201, 202), made.text
        return Bucket(name, "us-east-1", _KEY, _SECRET, endpoint=self.secure, prefix=prefix,
                      authority=self.authority.read_bytes())  # fmt: skip

    def stop(self) -> None:
        """No answer any more, to what was asked either."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def gateway() -> Iterator[Gateway]:
    with ceph.cluster() as config:
        directory, secure, plain = config.parent, free_port(), free_port()
        authority, certificate, key = _certify(directory)
        with config.open("a") as file:
            file.write(
                f"[client.rgw.a]\nrgw data = {directory}/rgw\n"
                f"rgw frontends = beast endpoint=127.0.0.1:{plain} ssl_endpoint=127.0.0.1:{secure} "
                f"ssl_certificate={certificate} ssl_private_key={key}\n"
            )
        made = (
            "user",
            "create",
            "--uid",
            _USER,
            "--display-name",
            _USER,
            "--access-key",
            _KEY,
            "--secret-key",
            _SECRET,
        )
        _administer(config, *made)
        _administer(config, "subuser", "create", "--uid", _USER, "--subuser", f"{_USER}:swift", "--access", "full")
        _administer(config, "key", "create", "--subuser", f"{_USER}:swift", "--key-type", "swift", "--secret", _SECRET)
        process = subprocess.Popen(["radosgw", "-f", "-c", str(config), "-n", "client.rgw.a"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            one = Gateway(f"https://localhost:{secure}", f"http://127.0.0.1:{plain}", authority, config, process)
            until(lambda: _answers(one), "the gateway answers")
            yield one
        finally:
            process.kill()
            process.wait(300)


def _answers(one: Gateway) -> bool:
    context = ssl.create_default_context(cafile=str(one.authority))
    try:
        return httpx.get(one.secure, verify=context).status_code == 200
    except httpx.TransportError:
        return False


def _administer(config: Path, *words: str) -> None:
    done = subprocess.run(["radosgw-admin", "-c", str(config), *words], capture_output=True, timeout=180, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode(errors='replace')[-2000:]}"


def _certify(directory: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, the server's, and its key."""
    authority, certificate, key = (directory / name for name in ("authority.crt", "gateway.crt", "gateway.key"))
    names, new = directory / "names", ("openssl", "req", "-newkey", "rsa:2048", "-nodes")
    names.write_text("subjectAltName=DNS:localhost\n")
    made = (
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        str(directory / "a.key"),
        "-out",
        str(authority),
    )
    signed = ("-CA", str(authority), "-CAkey", str(directory / "a.key"), "-CAcreateserial", "-extfile", str(names))
    asked = ("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(directory / "asked"))
    answer = (
        "openssl",
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        str(directory / "asked"),
        *signed,
        "-out",
        str(certificate),
    )
    for words in ((*new, *made), (*new, *asked), answer):
        subprocess.run(words, check=True, capture_output=True, timeout=300)
    return authority, certificate, key
