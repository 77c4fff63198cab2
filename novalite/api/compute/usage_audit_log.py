"""Audits of use, month by month. Hosts send none, and none are expected: Nova's own answer since it has cells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, TEXTS, WHOLE, Told, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.errors import Invalid


def _month_before(moment: datetime) -> datetime:
    """The beginning of the month that ended when the month of ``moment`` began."""
    return (moment.replace(day=1) - timedelta(days=1)).replace(day=1)


def _period(before: datetime) -> tuple[datetime, datetime]:
    """The last whole month that ended before ``before``."""
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = end if end < before else _month_before(end)
    return _month_before(end), end


def _log(before: datetime) -> dict[str, Any]:
    begin, end = _period(before)
    return {
        "period_beginning": str(begin), "period_ending": str(end), "num_hosts": 0, "num_hosts_done": 0,
        "num_hosts_running": 0, "num_hosts_not_run": 0, "hosts_not_run": [], "total_instances": 0,
        "total_errors": 0, "log": {},
        "overall_status": "ALL hosts done. 0 errors.",
    }  # fmt: skip


def show_latest(call: Call) -> dict[str, Any]:
    return {"instance_usage_audit_logs": _log(call.w.now.replace(tzinfo=None))}


def show_before(call: Call) -> dict[str, Any]:
    text = call.path["before"]
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    try:
        return {"instance_usage_audit_log": _log(datetime.strptime(text, form))}  # noqa: DTZ007  always UTC
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Invalid timestamp for date {text[:100]}", field="before") from error


_LOG = record({
    **dict.fromkeys(("period_beginning", "period_ending", "overall_status"), TEXT),
    **dict.fromkeys(("num_hosts", "num_hosts_done", "num_hosts_running", "num_hosts_not_run", "total_instances",
                     "total_errors"), WHOLE),
    "hosts_not_run": TEXTS, "log": {"type": "object"},
})  # fmt: skip
_ALL = f"{ROOT}/os-instance_usage_audit_log"
_RULE = RULE + "os-instance-usage-audit-log:"
ROUTES = [
    Route(
        "GET", _ALL, show_latest, rule=_RULE + "list", unit="read", view=Told("instance_usage_audit_logs", whole=_LOG)
    ),
    Route(
        "GET",
        f"{_ALL}/{{before}}",
        show_before,
        rule=_RULE + "show",
        unit="read",
        view=Told("instance_usage_audit_log", whole=_LOG),
    ),
]
