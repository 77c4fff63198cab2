"""``novalite key``: SSH keys. Private keys are made here and never leave this machine."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.output import Column
from novalite.cli.session import Session, pass_session

_COLUMNS: list[Column] = [
    ("Name", lambda each: each["name"]),
    ("Type", lambda each: each.get("type", "ssh")),
    ("Fingerprint", lambda each: each["fingerprint"]),
]


@click.group(cls=Branch)
def key() -> None:
    """SSH keys put into servers."""


@key.command("list")
@pass_session
def list_(session: Session) -> None:
    """List your keys."""
    found = [each["keypair"] for each in session.client.get("compute", "/os-keypairs")["keypairs"]]
    session.show_list(found, _COLUMNS)


@key.command()
@click.argument("name", shell_complete=names.of("key"))
@pass_session
def show(session: Session, name: str) -> None:
    """Show a key."""
    found = session.client.get("compute", f"/os-keypairs/{quote(name, safe='')}")["keypair"]
    session.show_one(
        found, [*((heading, value(found)) for heading, value in _COLUMNS), ("Public key", found["public_key"].strip())]
    )


@key.command()
@click.argument("name")
@click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this public key; otherwise a new pair is made.",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the new private key goes; otherwise it is printed.",
)
@pass_session
def create(session: Session, name: str, public_key: Path | None, save: Path | None) -> None:
    """Create a key pair, or make a public key known."""
    if public_key is not None:
        private, public = "", public_key.read_text().strip()
    else:
        private, public = new_pair()
    if private and save is not None:
        write_private(save, private)
    body = {"name": name, "public_key": public, "type": "ssh"}
    made = session.client.post("compute", "/os-keypairs", {"keypair": body})["keypair"]
    if private and save is None and not session.json:
        click.echo(private, nl=False)
        return
    if private and save is None:
        made["private_key"] = private
    session.show_one(made, [*((heading, value(made)) for heading, value in _COLUMNS), ("Private key", save)])


@key.command()
@click.argument("given", metavar="NAME...", nargs=-1, required=True, shell_complete=names.of("key"))
@pass_session
def delete(session: Session, given: tuple[str, ...]) -> None:
    """Forget keys; servers keep what was put into them."""
    for name in given:
        session.client.delete("compute", f"/os-keypairs/{quote(name, safe='')}")
        session.say(f"{name} is deleted.")


def new_pair() -> tuple[str, str]:
    """A fresh Ed25519 pair in OpenSSH's formats: private, public."""
    from cryptography.hazmat.primitives import serialization as to
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(to.Encoding.PEM, to.PrivateFormat.OpenSSH, to.NoEncryption())
    return private.decode(), made.public_key().public_bytes(to.Encoding.OpenSSH, to.PublicFormat.OpenSSH).decode()


def write_private(path: Path, text: str) -> None:
    """A new file that only its owner reads; an existing one is never overwritten."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
