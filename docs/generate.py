"""Writes the pages that follow from the code: ``python docs/generate.py``; ``--check`` only says which are stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from novalite import settings
from novalite.api.admin import front as admin
from novalite.api.compute.front import FRONT as COMPUTE
from novalite.api.identity.front import FRONT as IDENTITY
from novalite.api.image.front import FRONT as IMAGE
from novalite.api.kit.routes import PUBLIC, Front, Route
from novalite.api.network.front import FRONT as NETWORK
from novalite.api.volume.front import FRONT as VOLUME
from novalite.cloud.compute import states
from novalite.cloud.identity import policy, policy_compute, policy_other_fronts
from novalite.engine.conductor import registry

DOCS = Path(__file__).resolve().parent
NOTE = "<!-- Made by docs/generate.py; change the code instead, and run it. -->"

WHO = {
    "@": "everyone with a token",
    policy_compute.READER: "readers of the project",
    policy_compute.MEMBER: "members of the project",
    policy_compute.MANAGER: "managers of the project",
    policy_compute.ADMIN: "admins",
    policy_compute.SERVICE: "admins, services",
    policy_compute.OWN: "the user it belongs to, admins",
    policy_other_fronts.ADMIN_REQUIRED: "admins",
    policy_other_fronts.SYSTEM_READER: "admins, readers of the system",
    policy_other_fronts.GLANCE_MEMBER: "members of the project",
    policy_other_fronts.GLANCE_READER: "readers of the project",
    policy_other_fronts.NEUTRON_ADMIN: "admins",
    policy_other_fronts.NEUTRON_READER: "readers of the project",
    policy_other_fronts.NEUTRON_MEMBER: "members of the project",
    policy_other_fronts.NEUTRON_MANAGER: "managers of the project",
    policy_other_fronts.NEUTRON_SERVICE: "admins, services",
    policy_other_fronts.CINDER_READER: "readers of the project",
    policy_other_fronts.CINDER_MEMBER: "members of the project",
    "rule:admin_api": "admins",
}


def fronts() -> list[Front]:
    """Every API that the appliance serves."""
    return [IDENTITY, COMPUTE, IMAGE, NETWORK, VOLUME, admin.front(dict, dict)]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def page(title: str, introduction: str, *blocks: Sequence[str]) -> str:
    parts = [f"# {title}", NOTE, introduction, *("\n".join(block) for block in blocks)]
    return "\n\n".join(parts) + "\n"


def configuration() -> str:
    """Every option, its default and what it does."""
    sections: dict[str, list[list[str]]] = {}
    for option in settings.load(environment={})[1]:
        section = option.name.rpartition(".")[0]
        sections.setdefault(section, []).append([f"`{option.name}`", _default(option), option.description])
    blocks = []
    for section, rows in sections.items():
        blocks += [[f"## {section or 'general'}"], table(("option", "default", "meaning"), rows)]
    return page("Options", _CONFIGURATION, *blocks)


_CONFIGURATION = """\
Each option can be given in four ways; the first of them that is there counts:

1. on the command line: `novalite serve --set http.port=8080` (`--port`, `--host`, `--driver` and `--state-dir` are
   short for the usual ones);
2. in the environment: `NOVALITE_HTTP_PORT=8080`, the name in capitals with `_` for the dot;
3. in a TOML file, named by `--config FILE` or `NOVALITE_CONFIG`: `[http]` and below it `port = 8080`;
4. its default.

Lists are written with commas on the command line and in the environment. `novalite config` shows every option with
its present value and where that comes from. An option that does not exist, or a value out of range, is refused at
start. Names end in their unit."""


def _default(option: settings.Option) -> str:
    if option.name == "state_dir":
        return "root: `/var/lib/novalite`; others: `~/.local/share/novalite`"
    if option.default in ("", ()):
        return "empty"
    text = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
    return f"`{text}`"


def api_routes() -> str:
    """Every operation of every API, and who may do it."""
    blocks: list[Sequence[str]] = []
    for front in fronts():
        rows = [list(_route(front, route)) for route in front.routes]
        versions = f"Microversions {front.versions.minimum} to {front.versions.maximum}." if front.versions else ""
        blocks += [[f"## {front.name}"], *([[versions]] if versions else [])]
        blocks += [table(("operation", "action", "versions", "who may", "rule"), rows)]
    text = "Paths begin at the appliance's port. Actions are the one key of the body of a POST to the path."
    return page("API operations", text, *blocks)


def _route(front: Front, route: Route) -> Iterator[str]:
    yield f"`{route.method} {front.prefix}{route.path}`"
    yield f"`{route.action}`" if route.action else ""
    yield " ".join([*([f"from {route.since}"] if route.since else []), *([f"to {route.until}"] if route.until else [])])
    yield "everyone" if route.rule == PUBLIC else _who(route.rule)
    yield "" if route.rule == PUBLIC else f"`{route.rule}`"


def _who(rule: str) -> str:
    check = policy.DEFAULTS[rule].check
    return WHO.get(check, f"`{check}`")


def server_states() -> str:
    """Which action may start in which state, and what users see."""
    known = [each for each in dict.fromkeys((states.BUILDING, *_launched_states())) if each != states.DELETED]
    rows = []
    for vm_state in known:
        found = states.allowed(vm_state, None, vm_state != states.BUILDING)
        rows.append([f"`{vm_state}`", states.status(vm_state, None), ", ".join(found)])
    actions = [
        [
            f"`{rule.action}`", ", ".join(sorted(rule.vm_states)) or "any", f"`{rule.doing}`", rule.ends,
            "any" if rule.task_states is None else ", ".join(sorted(rule.task_states)) or "none",
        ]
        for rule in states.RULES.values()
    ]  # fmt: skip
    shown = [[vm, task, text] for (vm, task), text in states._STATUS_BY_TASK.items()]
    return page(
        "Server states", _STATES,
        ["## What may be done when"], table(("vm_state", "status", "actions that may start"), rows),
        ["## The actions"],
        table(("action", "from vm_state", "task_state meanwhile", "ends in", "while another task_state"), actions),
        ["## Status while something goes on"], table(("vm_state", "task_state", "status"), shown),
    )  # fmt: skip


_STATES = """\
A server has a `vm_state` (what it is), a `task_state` (what is being done, mostly nothing) and a `power_state` (what
the hypervisor says). The status that users see follows from the first two. The one table behind this page is
`novalite/cloud/compute/states.py`: the API, the buttons of the UI, the engine and the tests read it. An action that
may not start is answered with 409."""


def _launched_states() -> Iterator[str]:
    for rule in states.RULES.values():
        yield from sorted(rule.vm_states)
        yield rule.ends


def tasks() -> str:
    """Each kind of task and its steps."""
    rows = []
    for kind, flow in registry().flows.items():
        steps = ", ".join(f"{step.name}{'*' if step.undo else ''}" for step in flow.steps)
        rows.append([f"`{kind}`", steps])
    return page("Kinds of task", _TASKS, table(("kind", "steps"), rows))


_TASKS = """\
A task is a row that says what is to be done; its flow is the list of steps below. Steps are walked in order, each is
recorded before the next begins and may be repeated. Those with a `*` have an undo; it runs when a later step fails or
the task is cancelled. [Architecture](../architecture.md#tasks) tells more."""


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "reference/api-routes.md": api_routes,
    "reference/server-states.md": server_states,
    "reference/tasks.md": tasks,
}


def stale() -> list[str]:
    """Pages that are not what the code says."""
    return [name for name, make in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != make()]


def main() -> int:
    if "--check" in sys.argv:
        for name in stale():
            print(f"docs/{name} is stale: run python docs/generate.py")
        return 1 if stale() else 0
    for name, make in PAGES.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main())
