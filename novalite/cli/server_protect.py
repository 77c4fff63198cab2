"""``novalite server protect`` and ``restore-backup``: copies by the clock, and the way back."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli import names
from novalite.cli.server import server, waiting
from novalite.cli.session import Session, pass_session
from novalite.errors import Busy, Conflict, Failed, NotFound

_SERVER = click.argument("reference", metavar="SERVER", shell_complete=names.of("server"))
_PATH = "/admin/protections"


@server.command()
@_SERVER
@click.argument("schedule", required=False)
@click.option("--show", is_flag=True, help="Tell the schedule, the next run and the copies there are.")
@click.option("--off", is_flag=True, help="Make no more copies; those that are there stay.")
@click.option("--now", is_flag=True, help="Make a copy at once, beside the schedule.")
@click.option(
    "--test",
    type=click.Choice(["hourly", "daily", "weekly", "monthly", "never"]),
    help="How often the newest copy is booted out of sight, to see whether it comes up.",
)
@click.option("--expect", metavar="TEXT", help="What its console must say then, in place of a login prompt.")
@click.option("--within", type=click.IntRange(5, 3600), metavar="SECONDS", help="Time it has for that; default 600.")
@click.option("--test-now", is_flag=True, help="Test the newest copy at once.")
@pass_session
def protect(
    session: Session,
    reference: str,
    schedule: str | None,
    show: bool,
    off: bool,
    now: bool,
    test: str | None,
    expect: str | None,
    within: int | None,
    test_now: bool,
) -> None:
    """Copy a server by the clock: protect SERVER 'hourly, keep 24; daily, keep 7'. Weekly and monthly exist too."""
    if off and (schedule or now or test or test_now):
        raise click.UsageError("--off stands alone.")
    if (expect is not None or within is not None) and test in (None, "never"):
        raise click.UsageError("--expect and --within say what --test looks at.")
    resource_id = _resource_id(session, reference)
    path = f"{_PATH}/{resource_id}"
    if off:
        session.client.delete("appliance", path)
        session.say(f"No more copies of {reference} are made; those that are there stay.")
        return
    if schedule or test:
        wanted: dict[str, Any] = {"schedule": schedule or _schedule(session, path)}
        if test:
            wish = {"every": test, "expect": expect, "seconds": within}
            told = {name: value for name, value in wish.items() if value is not None}
            wanted["test"] = None if test == "never" else told
        session.client.put("appliance", path, {"protection": wanted})
    if now:
        session.client.post("appliance", f"{path}/runs", None)
    if test_now:
        session.client.post("appliance", f"{path}/tests", {"test": None})
    _show(session, path, runs=show)


def _schedule(session: Session, path: str) -> str:
    """That of now. Raises ``Conflict`` when there is none."""
    found = str(session.client.get("appliance", path)["protection"]["schedule"])
    if not found:
        raise Conflict("Its protection has been ended.", code="protection.ended", hint="Give a schedule as well.")
    return found


def _resource_id(session: Session, reference: str) -> str:
    """Of a server, or of one that is no more and whose copies are."""
    from novalite.cli import find

    try:
        return str(find.server(session.client, reference)["id"])
    except NotFound:
        protections = session.client.collection_by("resource_id", "appliance", _PATH, "protections")
        found = [each for each in protections if reference in (each["resource_id"], each["resource_name"])]
        if not found:
            raise
        if len(found) > 1:
            ids = ", ".join(each["resource_id"] for each in found)
            raise Conflict(f"{len(found)} deleted servers were called {reference}.", code="server.ambiguous",
                           hint=f"Give the id: {ids}") from None  # fmt: skip
        return str(found[0]["resource_id"])


def _show(session: Session, path: str, *, runs: bool) -> None:
    found = session.client.get("appliance", path)["protection"]
    listed = session.client.get("appliance", f"{path}/runs")["runs"] if runs else []
    last = found["last_run"]
    facts: list[tuple[str, Any]] = [
        ("schedule", found["schedule"] or "none: ended"),
        ("next run", found["next_run_at"] or "never"),
        ("running", found["running"]),
        ("copies", found["copies"]),
        ("bytes", found["size_bytes"]),
        ("last run", _words(last) if last else "none yet"),
        ("tests", _tests(found)),
        ("last test", _verdict(found["last_test"])),
    ]
    session.show_one({**found, "runs": listed} if runs else found, facts)
    if listed and not session.json:
        session.show_list(
            listed,
            [
                ("Run", lambda each: each["id"]),
                ("Started", lambda each: each["started_at"]),
                ("Result", lambda each: each["result"]),
                ("Bytes", lambda each: each["size_bytes"]),
                ("Copy", lambda each: each["copy_id"] or "none"),
            ],
        )


def _tests(found: dict[str, Any]) -> str:
    wish = found["test"]
    if not wish:
        return "none"
    told = f", expects '{wish['expect']}'" if wish["expect"] else ""
    return f"{wish['every']}{told}, within {wish['seconds']} s; next {found['next_test_at']}"


def _verdict(test: dict[str, Any] | None) -> str:
    if test is None:
        return "none yet"
    tail = test["console"].rstrip().splitlines()[-5:] if test["result"] in ("failed", "unknown") else []
    return "\n".join([" ".join(filter(None, (test["started_at"], test["result"], test["reason"]))), *tail])


def _words(run: dict[str, Any]) -> str:
    return " ".join(filter(None, (run["started_at"], run["result"], run["problem"])))


@server.command("restore-backup")
@_SERVER
@click.option("--run", "run_id", metavar="ID", help="Which run's copy; default: the newest.")
@click.option("--name", required=True, metavar="NEW", help="Name of the new server.")
@waiting
@pass_session
def restore_backup(session: Session, reference: str, run_id: str | None, name: str, wait: bool, timeout: float) -> None:
    """Make a new server of a copy, with the flavor, networks, key and security groups of the old one."""
    from novalite.cli import find
    from novalite.cli import waiting as waits

    client = session.client
    asked = {"name": name, **({"run_id": run_id} if run_id else {})}
    answer = client.post("appliance", f"{_PATH}/{_resource_id(session, reference)}/restore", {"restore": asked})
    made_id = answer["restored"]["id"]
    status = ""

    def ready() -> bool:
        nonlocal status
        status = str(find.server(client, made_id)["status"])
        if status == "ERROR":
            raise Failed(f"The server {name} could not be made.", code="server.error",
                         hint=f"'novalite server show {made_id}' tells why.")  # fmt: skip
        return status == "ACTIVE"

    if wait and not waits.until(ready, seconds=timeout):
        raise Busy(f"Server {name} is still {status} after {timeout:g} seconds.", code="server.slow",
                   hint="It goes on by itself.")  # fmt: skip
    session.show_one(find.server(client, made_id), [("id", made_id), ("name", name)])
    session.say(f"Server {name} is {'made' if wait else 'being made'} of the copy.")
