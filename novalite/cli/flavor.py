"""``novalite flavor``: list, show, create and delete flavors."""

from __future__ import annotations

import click

from novalite.cli import names
from novalite.cli.commands import Branch
from novalite.cli.output import Column
from novalite.cli.server import pairs
from novalite.cli.session import Session, pass_session

_COLUMNS: list[Column] = [
    ("ID", lambda each: each["id"]),
    ("Name", lambda each: each["name"]),
    ("vCPUs", lambda each: each["vcpus"]),
    ("RAM MiB", lambda each: each["ram"]),
    ("Disk GiB", lambda each: each["disk"]),
    ("Public", lambda each: each["os-flavor-access:is_public"]),
]


@click.group(cls=Branch)
def flavor() -> None:
    """Sizes of servers. A FLAVOR is a name or an id."""


@flavor.command("list")
@pass_session
def list_(session: Session) -> None:
    """List flavors."""
    session.show_list(session.client.collection("compute", "/flavors/detail", "flavors"), _COLUMNS)


@flavor.command()
@click.argument("reference", metavar="FLAVOR", shell_complete=names.of("flavor"))
@pass_session
def show(session: Session, reference: str) -> None:
    """Show a flavor."""
    from novalite.cli import find

    found = find.flavor(session.client, reference)
    session.show_one(
        found,
        [
            *((name, value(found)) for name, value in _COLUMNS),
            ("Ephemeral GiB", found.get("OS-FLV-EXT-DATA:ephemeral")),
            ("Swap MiB", found.get("swap") or 0),
            ("Extra specs", found.get("extra_specs", {})),
        ],
    )


@flavor.command()
@click.argument("name")
@click.option("--vcpus", type=click.IntRange(1), required=True, help="Virtual CPUs.")
@click.option("--ram", type=click.IntRange(1), required=True, metavar="MIB", help="Memory.")
@click.option(
    "--disk", type=click.IntRange(0), required=True, metavar="GIB", help="Root disk; 0: as large as the image."
)
@click.option("--id", "flavor_id", default="auto", show_default=True, help="Its id.")
@click.option("--public/--private", default=True, show_default=True, help="Whether every project may use it.")
@click.option(
    "--property",
    "properties",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="An extra spec; may be repeated.",
)
@pass_session
def create(
    session: Session,
    name: str,
    vcpus: int,
    ram: int,
    disk: int,
    flavor_id: str,
    public: bool,
    properties: dict[str, str],
) -> None:
    """Create a flavor."""
    body = {
        "name": name,
        "vcpus": vcpus,
        "ram": ram,
        "disk": disk,
        "id": flavor_id,
        "os-flavor-access:is_public": public,
    }
    made = session.client.post("compute", "/flavors", {"flavor": body})["flavor"]
    if properties:
        specs = session.client.post("compute", f"/flavors/{made['id']}/os-extra_specs", {"extra_specs": properties})
        made["extra_specs"] = specs["extra_specs"]
    session.show_one(made, [(heading, value(made)) for heading, value in _COLUMNS])


@flavor.command()
@click.argument("references", metavar="FLAVOR...", nargs=-1, required=True, shell_complete=names.of("flavor"))
@pass_session
def delete(session: Session, references: tuple[str, ...]) -> None:
    """Delete flavors; servers of that size keep theirs."""
    from novalite.cli import find

    for each in [find.flavor(session.client, reference) for reference in references]:
        session.client.delete("compute", f"/flavors/{each['id']}")
        session.say(f"{each['name']} is deleted.")
