"""SSH keys in the browser."""

from __future__ import annotations

import html
import re

import pytest
from cryptography.hazmat.primitives import serialization

from novalite.api.ui import ssh_keys
from tests.api.ui.conftest import Browser


def test_a_pasted_key_is_kept_under_the_fingerprint_that_nova_shows(browser: Browser) -> None:
    _, public = ssh_keys.new_pair("me@home")
    assert browser.send("/keys", name="laptop", public_key=f"  {public}\r\n").status_code == 303
    page = browser.get("/keys").text
    assert "laptop" in page
    assert re.search(r"([0-9a-f]{2}:){15}[0-9a-f]{2}", page)
    keys = browser.appliance.get("/compute/v2.1/os-keypairs").json["keypairs"]
    assert next(key["keypair"]["public_key"] for key in keys if key["keypair"]["name"] == "laptop") == public
    assert "laptop" in browser.get("/servers/new").text
    assert browser.send("/keys/laptop/delete").status_code == 303
    assert "laptop" not in browser.get("/keys").text


def test_without_a_public_key_a_pair_is_made_and_its_private_half_shown_once(browser: Browser) -> None:
    answer = browser.send("/keys", name="new one")
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    private = re.search(r"-----BEGIN OPENSSH PRIVATE KEY-----.*?-----END OPENSSH PRIVATE KEY-----\n", text, re.DOTALL)
    assert private
    serialization.load_ssh_private_key(private[0].encode(), None)
    assert "PRIVATE KEY" not in browser.get("/keys").text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "bad", "public_key": "ssh-ed25519 nonsense"}, "not an SSH public key"),
        ({"name": "bad", "public_key": "-----BEGIN PRIVATE KEY-----"}, "not an SSH public key"),
        ({"name": ""}, "A name has"),
        ({"name": "a<b"}, "A name has"),
    ],
)
def test_what_cannot_be_kept_is_told_at_its_field(browser: Browser, form: dict[str, str], words: str) -> None:
    answer = browser.send("/keys", **form)
    assert answer.status_code == 400
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_a_taken_name_is_refused(browser: Browser) -> None:
    browser.send("/keys", name="twice")
    answer = browser.send("/keys", name="twice")
    assert answer.status_code == 409
    assert "already exists" in answer.text
