"""Where images may be fetched from, as far as addresses and texts tell."""

from __future__ import annotations

import ipaddress

import pytest

from novalite.drivers.storage import web_places
from novalite.drivers.storage.web_places import Allowed
from novalite.errors import Invalid
from novalite.settings import Images

NOWHERE = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "169.254.169.254", "169.254.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "100.64.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::", "::1", "fe80::1", "fe80::a9fe:a9fe", "fd00::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "::127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOWHERE)
def test_an_address_that_is_not_public_is_not_reached(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid) as caught:
        Allowed().place(f"http://{host}/image")
    assert "not a public one" in caught.value.message
    with pytest.raises(Invalid):
        Allowed().require_addresses(Allowed().place("http://example.org/"), [ipaddress.ip_address(address)])


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_a_public_address_is(address: str) -> None:
    Allowed().require_addresses(Allowed().place("http://example.org/"), [ipaddress.ip_address(address)])


def test_one_address_of_several_that_is_not_public_is_enough() -> None:
    addresses = [ipaddress.ip_address(text) for text in ("1.1.1.1", "127.0.0.1")]
    with pytest.raises(Invalid):
        Allowed().require_addresses(Allowed().place("http://example.org/"), addresses)


def test_a_network_that_is_named_is_reached_and_no_other() -> None:
    allowed = web_places.allowed(Images(web_download_networks=("10.1.0.0/16", "fd00:1::/64")))
    allowed.place("http://10.1.2.3/")
    allowed.place("http://[fd00:1::5]/")
    allowed.place("http://[::ffff:10.1.2.3]/")
    for host in ("10.2.0.1", "169.254.169.254", "[fd00:2::5]", "127.0.0.1"):
        with pytest.raises(Invalid):
            allowed.place(f"http://{host}/")


def test_a_network_that_is_none_is_told_at_start() -> None:
    with pytest.raises(Invalid) as caught:
        web_places.allowed(Images(web_download_networks=("10.1.0.1/16",)))
    assert caught.value.field == "images.web_download_networks"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("ftp://example.org/a", "scheme"), ("file:///etc/passwd", "host"), ("gopher://example.org/", "scheme"),
        ("http://example.org:22/", "port"), ("http://example.org:0/", "port"),
        ("http://user@example.org/", "user name"),
        ("http://user:pass@example.org/", "user name"), ("http:///path", "no host"), ("http://", "no host"),
        ("not a url", "characters"), ("http://example.org/\r\nX: y", "characters"),
        ("http://exa\\mple.org/", "characters"),
        ("http://[::1", ""), ("http://example.org:99999/", ""), ("http://fe80%25eth0/", "no host"), ("", "no host"),
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(uri: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        Allowed().place(uri)
    assert caught.value.field == "uri"
    assert why in caught.value.message


def test_lists_of_hosts() -> None:
    allowed = Allowed(hosts=("images.example", ".mirrors.example"), forbidden_hosts=("bad.mirrors.example",))
    for host in ("images.example", "IMAGES.example", "images.example.", "a.mirrors.example"):
        allowed.place(f"https://{host}/")
    for host in ("example", "x.images.example", "mirrors.example", "bad.mirrors.example", "evilmirrors.example"):
        with pytest.raises(Invalid):
            allowed.place(f"https://{host}/")


def test_what_is_asked_for_keeps_its_path_and_query() -> None:
    place = Allowed().place("https://Example.ORG/a%20b?x=1&y#part")
    assert (place.host, place.port, place.target, place.authority) == (
        "example.org",
        443,
        "/a%20b?x=1&y",
        "example.org",
    )
