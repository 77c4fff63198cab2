"""Scheduled protection of servers and volumes, and the way back. Nova and Cinder have nothing like it."""

from __future__ import annotations

from typing import Any

from novalite.api.admin.shapes import PAGING
from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, nova_links, page_of
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_seconds
from novalite.cloud.compute import protection, protection_restore, protection_tests
from novalite.cloud.compute.protection import Shown
from novalite.cloud.compute.protection_language import FREQUENCIES
from novalite.cloud.compute.protection_records import Protection, ProtectionRun, ProtectionTest
from novalite.cloud.compute.protection_tests import Wish
from novalite.cloud.identity import policy
from novalite.db.paging import Page as Window
from novalite.db.work import Work
from novalite.errors import Forbidden

_RULE = "novalite:admin:protections"
_ALL, _ONE = "/protections", "/protections/{resource_id}"
_RUN = answers.record(
    {
        "id": answers.UUID, "frequencies": answers.TEXTS, "result": answers.TEXT, "problem": answers.TEXT,
        "started_at": answers.MOMENT, "ended_at": answers.MOMENT_OR_NULL, "size_bytes": answers.WHOLE_OR_NULL,
        "copy_id": answers.nullable(answers.UUID), "backup_ids": answers.TEXTS,
    }
)  # fmt: skip
_TEST = answers.record(
    {
        "id": answers.UUID, "run_id": answers.UUID, "result": answers.TEXT, "reason": answers.TEXT,
        "console": answers.TEXT, "started_at": answers.MOMENT, "ended_at": answers.MOMENT_OR_NULL,
    }
)  # fmt: skip
_WISH = answers.record({"every": answers.TEXT, "expect": answers.TEXT, "seconds": answers.WHOLE})
_PROTECTION = answers.record(
    {
        "resource_id": answers.UUID, "resource_type": answers.TEXT, "resource_name": answers.TEXT,
        "project_id": answers.TEXT, "schedule": answers.TEXT, "next_run_at": answers.MOMENT_OR_NULL,
        "running": answers.FLAG, "copies": answers.WHOLE, "size_bytes": answers.WHOLE,
        "last_run": answers.nullable(_RUN), "test": answers.nullable(_WISH), "next_test_at": answers.MOMENT_OR_NULL,
        "testing": answers.FLAG, "last_test": answers.nullable(_TEST),
    }
)  # fmt: skip
_LIST = Told(whole=answers.record({"protections": answers.array(_PROTECTION), "protections_links": answers.LINKS},
                                  optional=["protections_links"]))  # fmt: skip
_RESTORED = answers.record({"resource_type": answers.TEXT, "id": answers.UUID, "name": answers.TEXT})
_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?\Z"}
_TEST_WISH = {
    "type": ["object", "null"], "additionalProperties": False, "required": ["every"],
    "properties": {
        "every": {"type": "string", "enum": list(FREQUENCIES)},
        "expect": {"type": "string", "maxLength": 255, "pattern": "^[^\\0]*\\Z"},
        "seconds": {"type": "integer", "minimum": protection_tests.LEAST_SECONDS,
                    "maximum": protection_tests.MOST_SECONDS},
    },
}  # fmt: skip
_NEW = Body("protection", Item("schedule", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),
            Item("test", _TEST_WISH))  # fmt: skip
_RUN_ID = {"type": "string", "format": "uuid"}
_TEST_NOW = Body("test", whole={"type": ["object", "null"], "additionalProperties": False,
                                "properties": {"run_id": _RUN_ID}})  # fmt: skip
_RESTORE = Body("restore", Item("name", _NAME, required=True), Item("run_id", _RUN_ID))


def _run(run: ProtectionRun, copies: set[str] | None = None) -> dict[str, Any]:
    has_copy = copies is None or run.copy_id in copies
    return {
        "id": run.id, "frequencies": run.frequencies, "result": run.result, "problem": run.problem,
        "started_at": utc_seconds(run.started_at), "ended_at": utc_seconds(run.ended_at),
        "size_bytes": run.size_bytes, "copy_id": run.copy_id if has_copy else None,
        "backup_ids": run.backup_ids if has_copy else [],
    }  # fmt: skip


def _test(test: ProtectionTest) -> dict[str, Any]:
    return {
        "id": test.id, "run_id": test.run_id, "result": test.result, "reason": test.reason, "console": test.console,
        "started_at": utc_seconds(test.started_at), "ended_at": utc_seconds(test.ended_at),
    }  # fmt: skip


def _told(shown: Shown, tested: ProtectionTest | None) -> dict[str, Any]:
    each = shown.protection
    return {
        "resource_id": each.resource_id, "resource_type": each.resource_type, "resource_name": each.resource_name,
        "project_id": each.project_id, "schedule": each.schedule, "next_run_at": utc_seconds(each.next_at),
        "running": each.run_id is not None, "copies": shown.copies, "size_bytes": shown.size_bytes,
        "last_run": _run(shown.last) if shown.last else None, "test": each.test,
        "next_test_at": utc_seconds(each.next_test_at), "testing": each.test_id is not None,
        "last_test": _test(tested) if tested else None,
    }  # fmt: skip


def _all_told(w: Work, found: list[Protection]) -> list[dict[str, Any]]:
    tested = protection_tests.newest(w, found)
    return [_told(each, tested.get(each.protection.resource_id)) for each in protection.shown(w, found)]


def index(call: Call) -> Any:
    most = limit(call)
    found = protection.list_visible(call.w, Window(most, call.query.get("marker", "")))
    page = page_of(found, most, "resource_id")
    return {"protections": _all_told(call.w, found), **nova_links(call, "protections", page)}


def _resource_id(call: Call) -> str:
    return str(call.path["resource_id"])


def show(call: Call) -> Any:
    [told] = _all_told(call.w, [protection.get(call.w, _resource_id(call))])
    return {"protection": told}


def protect(call: Call) -> Any:
    made = protection.protect(call.w, _resource_id(call), call.body["schedule"])
    if "test" in call.body:
        wanted = call.body["test"]
        protection_tests.wish(call.w, made.resource_id, Wish(**wanted) if wanted else None)
    [told] = _all_told(call.w, [made])
    return {"protection": told}


def end(call: Call) -> None:
    protection.end(call.w, _resource_id(call))


def list_runs(call: Call) -> Any:
    found = protection.runs(call.w, _resource_id(call))
    copies = protection.there(call.w, found)
    return {"runs": [_run(each, copies) for each in found]}


def run_now(call: Call) -> Any:
    return {"run": _run(protection.run_now(call.w, _resource_id(call)))}


def list_tests(call: Call) -> Any:
    return {"tests": [_test(each) for each in protection_tests.of(call.w, _resource_id(call))]}


def test_now(call: Call) -> Any:
    run_id = (call.body or {}).get("run_id", "")
    most = call.parts.settings.protection.tests
    return {"test": _test(protection_tests.run_now(call.w, _resource_id(call), most=most, run_id=run_id))}


def restore(call: Call) -> Any:
    found = protection.get(call.w, _resource_id(call))
    rules = {"server": "os_compute_api:servers:create", "volume": "backup:restore"}
    policy.require(rules[found.resource_type], call.ctx)
    if found.project_id != call.ctx.project_id:  # what is made belongs to the caller's project
        raise Forbidden(f"The protection of {found.resource_id} is another project's.", hint="Act in that project.")
    made = protection_restore.restore(
        call.w, found.resource_id, call.body["name"], run_id=call.body.get("run_id", ""),
        boot_seconds=call.parts.settings.compute.boot_timeout_seconds,
    )  # fmt: skip
    return {"restored": {"resource_type": made.resource_type, "id": made.resource_id, "name": made.name}}


ROUTES = [
    Route("GET", _ALL, index, rule=_RULE, unit="read", query=PAGING, view=_LIST, summary="What is protected"),
    Route("GET", _ONE, show, rule=_RULE, unit="read", view=Told("protection", whole=_PROTECTION),
          summary="How a server or volume is protected"),
    Route("PUT", _ONE, protect, rule=_RULE, body=_NEW, unit="write", view=Told("protection", whole=_PROTECTION),
          summary="Copy a server or volume by the clock"),
    Route("DELETE", _ONE, end, rule=_RULE, success=204, unit="write", summary="Make no more copies"),
    Route("GET", f"{_ONE}/runs", list_runs, rule=_RULE, unit="read", view=Told("runs", whole=answers.array(_RUN)),
          summary="Copies that were made, or could not be"),
    Route("POST", f"{_ONE}/runs", run_now, rule=_RULE, success=202, unit="write", view=Told("run", whole=_RUN),
          summary="Make a copy now"),
    Route("GET", f"{_ONE}/tests", list_tests, rule=_RULE, unit="read", view=Told("tests", whole=answers.array(_TEST)),
          summary="Boots of copies, and what came of them"),
    Route("POST", f"{_ONE}/tests", test_now, rule=_RULE, body=_TEST_NOW, success=202, unit="write",
          view=Told("test", whole=_TEST), summary="Boot a copy now, out of sight, and see whether it comes up"),
    Route("POST", f"{_ONE}/restore", restore, rule=_RULE, body=_RESTORE, success=202, unit="write",
          view=Told("restored", whole=_RESTORED), summary="Make a new server or volume of a copy"),
]  # fmt: skip
