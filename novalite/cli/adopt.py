"""``novalite adopt``: libvirt machines that are here already become servers, and what they were again."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli.commands import Leaf
from novalite.cli.session import Session, pass_session
from novalite.errors import Busy, Conflict, Failed, NotFound

_PATH = "/admin/adoptions"


@click.command(cls=Leaf)
@click.argument("domain", required=False)
@click.option("--network", multiple=True, help="For all cards, or once for each; default: the only one there is.")
@click.option("--project", help="Whose it is to be, by name or id; default: the admin's.")
@click.option("--name", help="What the server is to be called; default: as the machine.")
@click.option("--undo", is_flag=True, help="Give an adopted one back to libvirt as it was.")
@click.option("--delete-disks/--keep-disks", "deletes", default=None,
              help="Whether the files of an adopted one's disks go with the server.")  # fmt: skip
@click.option("--timeout", default=60.0, metavar="SECONDS", show_default=True, help="Longest wait.")
@pass_session
def adopt(
    session: Session, domain: str | None, network: tuple[str, ...], project: str | None, name: str | None, undo: bool,
    deletes: bool | None, timeout: float,
) -> None:  # fmt: skip
    """Take over a libvirt machine that NovaLite did not make. Its disks stay where they are.

    Without DOMAIN the machines that there are. It must be off; it is off afterwards, as a server.
    """
    if domain is None:
        _show_foreign(session)
    elif undo:
        _undo(session, domain, timeout)
    elif deletes is not None:
        found = _adopted(session, domain)
        path = f"{_PATH}/{found['server_id']}"
        body = {"adoption": {"deletes_disks": deletes}}
        changed = session.appliance.request("PATCH", "appliance", path, json=body).json()["adoption"]
        session.show_one(changed, [])
        session.say(f"The disks of {domain} {'go with it' if deletes else 'stay'} when it is deleted.")
    else:
        wishes: dict[str, Any] = {"domain": domain, **({"networks": list(network)} if network else {})}
        wishes |= {key: value for key, value in (("project", project), ("name", name)) if value}
        _take(session, wishes, timeout)


def _show_foreign(session: Session) -> None:
    found = session.appliance.get("appliance", "/admin/foreign-guests")["foreign_guests"]
    session.show_list(found, [("Name", lambda each: each["name"]), ("State", lambda each: each["power"]),
                              ("UUID", lambda each: each["id"])])  # fmt: skip


def _take(session: Session, wishes: dict[str, Any], seconds: float) -> None:
    from novalite.cli import waiting as waits

    made = session.appliance.post("appliance", _PATH, {"adoption": wishes})["adoption"]
    path, latest = f"{_PATH}/{made['server_id']}", dict(made)

    def over() -> bool:
        try:
            latest.update(session.appliance.get("appliance", path)["adoption"])
        except NotFound as error:
            raise Failed(f"{wishes['domain']} could not be adopted; it is as it was.", code="adoption.failed",
                         hint="The log tells why.") from error  # fmt: skip
        return bool(latest["status"] == "adopted")

    if not waits.until(over, seconds=seconds):
        raise Busy(f"{wishes['domain']} is not adopted after {seconds:g} seconds.", code="adoption.slow")
    session.show_one(latest, [("server", latest["server_id"]), *((disk["volume_id"], disk["path"])
                                                                 for disk in latest["disks"])])  # fmt: skip
    for what in latest["left_out"]:
        session.say(f"Left out: {what}.")
    session.say(f"Start it with 'novalite server start {latest['server_id']}'; --undo gives it back.")


def _adopted(session: Session, reference: str) -> dict[str, Any]:
    everyone = session.appliance.get("appliance", _PATH)["adoptions"]
    by_id = [each for each in everyone if each["server_id"] == reference]
    found = by_id or [each for each in everyone if each["name"] == reference]
    if not found:
        raise NotFound("adoption", reference, message=f"{reference} was not adopted.")
    if len(found) > 1:
        ids = ", ".join(each["server_id"] for each in found)
        raise Conflict(f"{len(found)} adopted machines are called {reference}.", code="adoption.ambiguous",
                       hint=f"Give the id: {ids}")  # fmt: skip
    return dict(found[0])


def _undo(session: Session, reference: str, seconds: float) -> None:
    from novalite.cli import waiting as waits

    found = _adopted(session, reference)
    path = f"{_PATH}/{found['server_id']}"
    session.appliance.post("appliance", f"{path}/undo", None)
    latest: dict[str, Any] = {}

    def over() -> bool:
        try:
            latest.update(session.appliance.get("appliance", path)["adoption"])
        except NotFound:
            return True
        if latest["status"] == "adopted":
            raise Failed(f"{found['name']} could not be given back: {latest['problem']}", code="adoption.failed")
        return False

    if not waits.until(over, seconds=seconds):
        raise Busy(f"{found['name']} is not given back after {seconds:g} seconds.", code="adoption.slow")
    session.show_one(found, [])
    session.say(f"{found['name']} is libvirt's again, as it was.")
