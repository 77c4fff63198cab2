"""``novalite image``: list, show, create, delete, build and fetch images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.server import pairs
from novalite.cli.session import Session, pass_session


@click.group(cls=Branch)
def image() -> None:
    """What servers start from. An IMAGE is a name or an id."""


def _mib(size: Any) -> str:
    return f"{size / 1024 / 1024:.0f} MiB" if isinstance(size, int) else "-"


@image.command("list")
@pass_session
def list_(session: Session) -> None:
    """List images."""
    found = session.client.collection("image", "/images", "images", limit=1000)
    session.show_list(
        found,
        [
            ("ID", lambda each: each["id"]),
            ("Name", lambda each: each["name"]),
            ("Status", lambda each: each["status"]),
            ("Format", lambda each: each["disk_format"]),
            ("Size", lambda each: _mib(each["size"])),
            ("Visibility", lambda each: each["visibility"]),
        ],
    )


@image.command()
@click.argument("reference", metavar="IMAGE", shell_complete=names.of("image"))
@pass_session
def show(session: Session, reference: str) -> None:
    """Show everything about an image."""
    from novalite.cli import find

    found = find.image(session.client, reference)
    hidden = {"self", "file", "schema", "links"}
    session.show_one(found, [(name, value) for name, value in sorted(found.items()) if name not in hidden])


@image.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The disk image.",
)
@click.option("--disk-format", help="qcow2, raw, vmdk, vdi, vhd, vhdx, iso; default: what the file looks like.")
@click.option("--public/--private", default=False, help="Whether every project may use it.")
@click.option("--min-disk", type=click.IntRange(0), default=0, metavar="GIB", help="Least disk a flavor must have.")
@click.option("--min-ram", type=click.IntRange(0), default=0, metavar="MIB", help="Least memory a flavor must have.")
@click.option(
    "--property",
    "properties",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="An image property such as hw_firmware_type=uefi; may be repeated.",
)
@pass_session
def create(
    session: Session,
    name: str,
    path: Path,
    disk_format: str | None,
    public: bool,
    min_disk: int,
    min_ram: int,
    properties: dict[str, str],
) -> None:
    """Upload an image."""
    from novalite.cli.upload import upload

    body: dict[str, Any] = {
        **properties,
        "min_disk": min_disk,
        "min_ram": min_ram,
        "visibility": "public" if public else "private",
    }
    made = upload(session, name, path, disk_format=disk_format, body=body)
    session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "disk_format", "size", "checksum")])


@image.command("import")
@click.argument("name")
@click.argument("uri", metavar="URL")
@click.option(
    "--disk-format", default="qcow2", show_default=True, help="What it is: qcow2, raw, iso, vmdk, vdi, vhdx …"
)
@click.option("--ova", is_flag=True, help="It is an OVA, whose first disk has that format.")
@click.option("--public/--private", default=False, help="Whether every project may use it.")
@click.option(
    "--timeout", type=click.FloatRange(0), default=3600.0, show_default=True, help="Seconds to wait; 0: none."
)
@pass_session
def import_(session: Session, name: str, uri: str, disk_format: str, ova: bool, public: bool, timeout: float) -> None:
    """Let the cloud itself bring an image from the web; it goes on after any crash."""
    from novalite.cli import image_import

    body = {
        "name": name, "disk_format": disk_format, "container_format": "ova" if ova else "bare",
        "visibility": "public" if public else "private",
    }  # fmt: skip
    made = image_import.begin(session.client, body, uri)
    if timeout:
        made = image_import.ended(session.client, made["id"], seconds=timeout)
    session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "disk_format", "size", "checksum")])


@image.command()
@click.argument("references", metavar="IMAGE...", nargs=-1, required=True, shell_complete=names.of("image"))
@pass_session
def delete(session: Session, references: tuple[str, ...]) -> None:
    """Delete images."""
    from novalite.cli import find

    found = [find.image(session.client, reference) for reference in references]
    for each in found:
        session.client.delete("image", f"/images/{each['id']}")
        session.say(f"{each['name']} is deleted.")


@image.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the image here; upload nothing.")
@click.option("--name", default="novalite-guest", show_default=True, help="Name of the image to upload it as.")
@pass_session
def build(session: Session, output: Path | None, name: str) -> None:
    """Build the small bundled guest from this machine's distribution and upload it."""
    from novalite.cli.guest import GUEST_IMAGE, build_guest
    from novalite.cli.upload import upload

    path = output or session.state_path / "cache" / GUEST_IMAGE
    build_guest(path, session)
    if output is None:
        made = upload(session, name, path, disk_format="qcow2", body={"visibility": "public", "os_admin_user": "root"})
        session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "size", "checksum")])
    elif session.json:
        session.show_one({"path": str(path)}, [])


@image.command("names")
@pass_session
def known_names(session: Session) -> None:
    """List the distributions that 'image fetch' knows."""
    from novalite.cli.distributions import DISTRIBUTIONS

    known = [{"name": each.name, "user": each.user, "url": each.url} for each in DISTRIBUTIONS.values()]
    session.show_list(
        known,
        [
            ("Name", lambda each: each["name"]),
            ("Log in as", lambda each: each["user"]),
            ("From", lambda each: each["url"].split("/")[2]),
        ],
    )


@image.command()
@click.argument("name")
@click.option("--arch", type=click.Choice(["x86_64", "aarch64"]), help="Default: this machine's.")
@click.option("--checksum", metavar="sha256:HEX", help="What it must be; needed when NAME is an address.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Keep it here; upload nothing.")
@click.option("--as", "image_name", help="Name of the image in the cloud; default: NAME.")
@pass_session
def fetch(
    session: Session, name: str, arch: str | None, checksum: str | None, output: Path | None, image_name: str | None
) -> None:
    """Fetch a distribution's cloud image, check it and upload it.

    NAME is one that 'novalite image names' lists, or an address. What was cut off goes on where it was.
    """
    from novalite.cli import distributions
    from novalite.cli.fetch import obtain, web
    from novalite.cli.upload import upload
    from novalite.cli.waiting import progress

    source = distributions.source(name, architecture=arch, checksum=checksum)
    path = output or session.state_path / "cache" / source.file_name
    session.say(f"Fetching {source.url}")
    with web() as http, progress(quiet=session.json) as tell:
        digest = obtain(http, source, path, tell)
    if output is not None:
        session.show_one({"path": str(path), source.algorithm: digest}, [("path", path), (source.algorithm, digest)])
        return
    made = upload(session, image_name or source.name, path, disk_format=None, body=source.properties)
    path.unlink()
    session.show_one(made, [(key, made[key]) for key in ("id", "name", "status", "size", "checksum")])
