"""The rules of docs/architecture.md that a machine can check, beyond the import contracts in pyproject.toml."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import novalite
from novalite.api.kit.routes import PUBLIC
from novalite.cloud.compute import states
from novalite.cloud.identity import policy
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.compute.fake import FakeDriver
from novalite.engine.conductor import registry
from novalite.engine.links import Links, guarded
from tests.unit.docs_generator import GENERATOR

PACKAGE = Path(novalite.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def name_of(path: Path) -> str:
    return ".".join(("novalite", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module and every name of a module that the file imports, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# The port and the values that cross it: what a guest's properties mean and how a copy is read is the same for
# every driver.
PORT_MODULES = {"base", "needs", "properties", "snapshots", "wishes"}


@pytest.mark.parametrize("room", ["cloud", "api", "engine"])
def test_above_the_drivers_only_their_ports_are_known(room: str) -> None:
    wrong = [
        f"{name_of(path)} imports {found}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for found in imports(path)
        if found.startswith("novalite.drivers.") and found.split(".")[3] not in PORT_MODULES
    ]
    assert wrong == []


def test_only_the_composition_root_names_the_engine_and_the_fronts_together() -> None:
    both = []
    for path in MODULES:
        roots = {".".join(found.split(".")[:2]) for found in imports(path)}
        if {"novalite.api", "novalite.engine"} <= roots:
            both.append(name_of(path))
    assert [name for name in both if not name.startswith("novalite.appliance")] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    wrong = [name_of(path) for path in MODULES if set(path.stem.strip("_").split("_")) & FORBIDDEN_WORDS]
    assert wrong == []


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        if tree.body and not ast.get_docstring(tree):
            silent.append(name_of(path))
    assert silent == []


def test_no_command_goes_through_a_shell() -> None:
    wrong = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                wrong.append(f"{name_of(path)}:{node.value.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
                wrong.append(f"{name_of(path)}:{node.lineno}")
    assert wrong == []


def kinds_of_task() -> dict[str, Any]:
    found = {}
    for path in sorted((PACKAGE / "cloud").glob("*/*tasks.py")):
        for each in vars(import_module(name_of(path))).values():
            if isinstance(each, type) and is_dataclass(each) and "kind" in vars(each):
                found[vars(each)["kind"]] = each
    return found


def test_every_kind_of_task_has_a_flow_and_every_flow_a_kind() -> None:
    kinds = kinds_of_task()
    assert kinds
    registry().complete(list(kinds))
    assert set(registry().flows) == set(kinds)


def test_a_kind_without_a_flow_is_found_out() -> None:
    with pytest.raises(ValueError, match=r"server\.fly"):
        registry().complete(["server.boot", "server.fly"])


def test_no_two_steps_of_a_flow_share_a_name() -> None:
    for flow in registry().flows.values():
        names = [step.name for step in flow.steps]
        assert len(set(names)) == len(names), flow.kind


def test_every_action_on_servers_has_a_task_of_its_name() -> None:
    actions = {action.removesuffix("_hard") for action in states.RULES}
    acting = {each.action for kind, each in kinds_of_task().items() if kind.startswith("server.") and each.action}
    assert acting - {"create", "extend_volume"} <= actions


def test_every_operation_has_a_rule_that_somebody_wrote_down() -> None:
    routes = [(front.name, route) for front in GENERATOR.fronts() for route in front.routes]
    assert len(routes) > 100
    ruleless = [
        f"{name}: {route.method} {route.path} {route.action}: {route.rule}"
        for name, route in routes
        if route.rule != PUBLIC and not policy.known(route.rule)
    ]
    assert ruleless == []


def test_only_logging_in_and_telling_versions_is_open_to_everyone() -> None:
    public = {
        (front.name, route.method, route.path)
        for front in GENERATOR.fronts()
        for route in front.routes
        if route.rule == PUBLIC
    }
    changing = {each for each in public if each[1] not in ("GET", "HEAD")}
    assert changing == {
        ("identity", "POST", "/v3/auth/tokens"),
        ("identity", "POST", "/v3/users/{user_id}/password"),
    }


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database("sqlite://")
    yield made
    made.close()


@pytest.mark.parametrize("mode", ["read", "write"])
def test_no_host_is_called_while_a_unit_of_work_is_open(database: Database, mode: str) -> None:
    links = Links()
    links.add("here", FakeDriver("here"))
    driver = links.driver("here")
    with getattr(database, mode)(internal()), pytest.raises(RuntimeError, match="host_report"):
        driver.host_report()
    assert driver.host_report().host == "here"
    links.close()


def test_the_network_driver_is_guarded_alike(database: Database) -> None:
    from novalite.drivers.network.fake import FakeNetworkDriver

    network = guarded(FakeNetworkDriver(), "network driver")
    with database.read(internal()), pytest.raises(RuntimeError, match="network driver"):
        network.check()


def test_units_of_work_are_not_nested(database: Database) -> None:
    with database.read(internal()), pytest.raises(RuntimeError, match="already open"), database.write(internal()):
        pass
