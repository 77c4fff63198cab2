"""Certificates of hosts: whose they are, what they are good for, who may read which file."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from novalite import clock
from novalite.errors import Invalid
from novalite.pki.authority import Authority
from novalite.pki.host_keys import HostKeys


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def keys(tmp_path: Path) -> HostKeys:
    return HostKeys(tmp_path / "host")


def modes(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


def test_keys_are_for_their_owners(authority: Authority, keys: HostKeys, tmp_path: Path) -> None:
    keys.take(authority.admit(keys.request("a"), "a"), authority.certificate)
    authority.equip(tmp_path / "server", "127.0.0.1")
    assert modes(tmp_path / "host") == {"ca-cert.pem": 0o644, "client-cert.pem": 0o644, "client-key.pem": 0o640}
    assert modes(tmp_path / "authority")["ca-key.pem"] == 0o600
    assert modes(tmp_path / "server")["server-key.pem"] == 0o600


def test_the_authority_is_the_same_after_a_restart(authority: Authority, keys: HostKeys, tmp_path: Path) -> None:
    certificate = authority.admit(keys.request("a"), "a")
    again = Authority(tmp_path / "authority")
    assert again.certificate == authority.certificate
    assert again.has_admitted(certificate, "a")
    assert not Authority(tmp_path / "another").has_admitted(certificate, "a")


def test_who_asks_does_not_say_who_it_is(authority: Authority, keys: HostKeys) -> None:
    found = x509.load_pem_x509_certificate(authority.admit(keys.request("b"), "a").encode())
    assert found.subject.rfc4514_string() == "CN=a"
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("name", ["", "a b", "a,CN=b", "ä", "x" * 65, "a/b"])
def test_names_that_would_be_escaped_are_refused(authority: Authority, keys: HostKeys, name: str) -> None:
    with pytest.raises(Invalid):
        keys.request(name)
    with pytest.raises(Invalid):
        authority.admit(keys.request("a"), name)


def test_a_forged_request_is_refused(authority: Authority, keys: HostKeys, tmp_path: Path) -> None:
    lines = keys.request("a").splitlines()
    lines[-2] = lines[-2][:-6] + "AAAA=="
    for request in ("\n".join(lines), "nothing", ""):
        with pytest.raises(Invalid):
            authority.admit(request, "a")


def test_a_certificate_for_another_key_is_not_taken(authority: Authority, keys: HostKeys, tmp_path: Path) -> None:
    keys.request("a")
    other = authority.admit(HostKeys(tmp_path / "other").request("a"), "a")
    for wrong in (other, "nothing"):
        with pytest.raises(Invalid):
            keys.take(wrong, authority.certificate)
    assert keys.certificate() == ""


def test_a_lost_key_takes_its_certificate_along(authority: Authority, keys: HostKeys, tmp_path: Path) -> None:
    keys.take(authority.admit(keys.request("a"), "a"), authority.certificate)
    assert keys.certificate()
    (tmp_path / "host" / "client-key.pem").unlink()
    assert keys.certificate() == ""


@pytest.fixture
def years_later() -> Iterator[None]:
    later = clock.now() + timedelta(days=3400)
    clock.set_source(lambda: later)
    yield
    clock.set_source(None)


def test_certificates_are_made_anew_before_they_end(
    authority: Authority, keys: HostKeys, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    old = authority.admit(keys.request("a"), "a")
    authority.equip(tmp_path / "server", "127.0.0.1")
    first = (tmp_path / "server" / "server-cert.pem").read_text()
    request.getfixturevalue("years_later")
    assert not authority.has_admitted(old, "a")
    assert authority.has_admitted(authority.admit(keys.request("a"), "a"), "a")
    authority.equip(tmp_path / "server", "127.0.0.1")
    assert (tmp_path / "server" / "server-cert.pem").read_text() != first


@pytest.mark.parametrize("other", ["127.0.0.2", "::1", "volumes.example"])
def test_who_listens_elsewhere_is_called_otherwise(authority: Authority, tmp_path: Path, other: str) -> None:
    def told(address: str) -> str:
        authority.equip(tmp_path, address)
        return (tmp_path / "server-cert.pem").read_text()

    first = told("127.0.0.1")
    assert told("127.0.0.1") == first
    found = x509.load_pem_x509_certificate(told(other).encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == [other]


def test_many_who_ask_at_once_have_one_key(authority: Authority, keys: HostKeys) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: keys.request("a"), range(16)))
        list(pool.map(lambda request: keys.take(authority.admit(request, "a"), authority.certificate), asked))
    assert authority.has_admitted(keys.certificate(), "a")
