"""The one table of server states: which action is allowed when, what it is called meanwhile, where it ends.

The API, the UI's buttons, the engine and the tests read it. Source: the state rules of the Compute API.
"""

from __future__ import annotations

from dataclasses import dataclass

BUILDING, ACTIVE, PAUSED, SUSPENDED, STOPPED = "building", "active", "paused", "suspended", "stopped"
ERROR, DELETED, SOFT_DELETED, RESCUED, RESIZED = "error", "deleted", "soft-delete", "rescued", "resized"
SHELVED, SHELVED_OFFLOADED = "shelved", "shelved_offloaded"

SCHEDULING, NETWORKING, BLOCK_DEVICE_MAPPING, SPAWNING = (
    "scheduling",
    "networking",
    "block_device_mapping",
    "spawning",
)
DELETING, SOFT_DELETING, RESTORING = "deleting", "soft-deleting", "restoring"
LEAVING = (DELETING, SOFT_DELETING)
"""The task_states that nothing but the deletion itself ends."""

NOSTATE, RUNNING, POWER_PAUSED, SHUTDOWN, CRASHED, POWER_SUSPENDED = 0, 1, 3, 4, 6, 7

ANY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """One action. Empty ``vm_states`` means any; ``task_states`` lists those besides none in which it may
    start (``None``: any). ``doing`` is the task_state meanwhile, ``ends`` the vm_state afterwards."""

    action: str
    label: str
    vm_states: frozenset[str]
    doing: str
    ends: str
    task_states: frozenset[str] | None = ANY
    needs_launch: bool = True
    obeys_lock: bool = True


def _rule(
    action: str,
    label: str,
    vm_states: set[str],
    doing: str,
    ends: str,
    task_states: frozenset[str] | None = ANY,
    **more: bool,
) -> Rule:
    return Rule(action, label, frozenset(vm_states), doing, ends, task_states, **more)


_HARD_REBOOT_FROM = frozenset(
    {
        "rebooting",
        "reboot_pending",
        "reboot_started",
        "rebooting_hard",
        "resuming",
        "pausing",
        "unpausing",
        "suspending",
    }
)

_IMAGED = {ACTIVE, STOPPED, PAUSED, SUSPENDED}
_TAKES_VOLUMES = {ACTIVE, PAUSED, STOPPED, RESIZED, SOFT_DELETED, SHELVED, SHELVED_OFFLOADED}

RULES: dict[str, Rule] = {
    rule.action: rule
    for rule in (
        _rule("start", "Start", {STOPPED}, "powering-on", ACTIVE),
        _rule("stop", "Stop", {ACTIVE, ERROR}, "powering-off", STOPPED),
        _rule("reboot", "Reboot", {ACTIVE}, "rebooting", ACTIVE),
        _rule(
            "reboot_hard",
            "Hard reboot",
            {ACTIVE, STOPPED, PAUSED, SUSPENDED, ERROR},
            "rebooting_hard",
            ACTIVE,
            _HARD_REBOOT_FROM,
        ),
        _rule("pause", "Pause", {ACTIVE}, "pausing", PAUSED),
        _rule("unpause", "Unpause", {PAUSED}, "unpausing", ACTIVE),
        _rule("suspend", "Suspend", {ACTIVE}, "suspending", SUSPENDED),
        _rule("resume", "Resume", {SUSPENDED}, "resuming", ACTIVE),
        _rule("rebuild", "Rebuild", {ACTIVE, STOPPED, ERROR}, "rebuilding", ACTIVE),
        _rule("rescue", "Rescue", {ACTIVE, STOPPED, ERROR}, "rescuing", RESCUED),
        _rule("unrescue", "Leave rescue", {RESCUED}, "unrescuing", ACTIVE),
        _rule("resize", "Resize", {ACTIVE, STOPPED}, "resize_prep", RESIZED),
        _rule("confirmResize", "Confirm resize", {RESIZED}, "resize_confirming", ACTIVE),
        _rule("revertResize", "Revert resize", {RESIZED}, "resize_reverting", ACTIVE),
        _rule("migrate", "Migrate", {ACTIVE, STOPPED}, "resize_prep", RESIZED),
        _rule("live-migration", "Live migrate", {ACTIVE, PAUSED}, "migrating", ACTIVE),
        _rule("evacuate", "Evacuate", {ACTIVE, STOPPED, ERROR}, "rebuilding", ACTIVE, None, obeys_lock=False),
        _rule("shelve", "Shelve", _IMAGED, "shelving", SHELVED),
        _rule("shelveOffload", "Offload", {SHELVED}, "shelving_offloading", SHELVED_OFFLOADED),
        _rule("unshelve", "Unshelve", {SHELVED, SHELVED_OFFLOADED}, "unshelving", ACTIVE),
        _rule("createImage", "Create image", _IMAGED, "image_snapshot_pending", ACTIVE, obeys_lock=False),
        _rule("createBackup", "Create backup", _IMAGED, "image_backup", ACTIVE, obeys_lock=False),
        _rule("changePassword", "Change password", {ACTIVE}, "updating_password", ACTIVE),
        _rule("trigger_crash_dump", "Trigger crash dump", {ACTIVE, PAUSED, RESCUED, RESIZED, ERROR}, "", ACTIVE),
        _rule("attach_interface", "Attach interface", {ACTIVE, PAUSED, STOPPED}, "", ACTIVE),
        _rule("detach_interface", "Detach interface", {ACTIVE, PAUSED, STOPPED}, "", ACTIVE),
        _rule("attach_volume", "Attach volume", _TAKES_VOLUMES, "", ACTIVE),
        _rule("detach_volume", "Detach volume", _TAKES_VOLUMES, "", ACTIVE),
        _rule("swap_volume", "Swap volume", {ACTIVE, PAUSED, RESIZED}, "", ACTIVE),
        _rule("restore", "Restore", {SOFT_DELETED}, RESTORING, ACTIVE),
        _rule("softDelete", "Delete", set(), SOFT_DELETING, SOFT_DELETED, None),
        _rule("delete", "Delete", set(), DELETING, DELETED, None, needs_launch=False),
    )
}

# vm_state -> status, and (vm_state, task_state) -> status where the task decides
_STATUS = {
    ACTIVE: "ACTIVE",
    BUILDING: "BUILD",
    PAUSED: "PAUSED",
    SUSPENDED: "SUSPENDED",
    STOPPED: "SHUTOFF",
    ERROR: "ERROR",
    DELETED: "DELETED",
    SOFT_DELETED: "SOFT_DELETED",
    RESCUED: "RESCUE",
    RESIZED: "VERIFY_RESIZE",
    SHELVED: "SHELVED",
    SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
}
_REBUILDING = ("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning")
_RESIZING = ("resize_prep", "resize_migrating", "resize_migrated", "resize_finish")
_STATUS_BY_TASK = {
    **{(ACTIVE, task): "REBOOT" for task in ("rebooting", "reboot_pending", "reboot_started")},
    **{
        (vm_state, task): "HARD_REBOOT"
        for vm_state in (ACTIVE, STOPPED, PAUSED, SUSPENDED, ERROR)
        for task in ("rebooting_hard", "reboot_pending_hard", "reboot_started_hard")
    },
    (ACTIVE, "updating_password"): "PASSWORD",
    **{(vm_state, task): "REBUILD" for vm_state in (ACTIVE, STOPPED, ERROR) for task in _REBUILDING},
    **{(vm_state, task): "RESIZE" for vm_state in (ACTIVE, STOPPED) for task in _RESIZING},
    (ACTIVE, "migrating"): "MIGRATING",
    (PAUSED, "migrating"): "MIGRATING",
    (RESIZED, "resize_reverting"): "REVERT_RESIZE",
}

PROGRESS_STATUSES = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})


def status(vm_state: str, task_state: str | None) -> str:
    """The status users see."""
    return _STATUS_BY_TASK.get((vm_state, task_state or "")) or _STATUS.get(vm_state, "UNKNOWN")


def states_of(wanted: str) -> tuple[frozenset[str], frozenset[str]]:
    """The vm_states, and task_states besides, that a status filter stands for; empty for unknown words."""
    word = wanted.upper()
    by_task = [(vm, task) for (vm, task), value in _STATUS_BY_TASK.items() if value == word]
    if by_task:
        return frozenset(vm for vm, _ in by_task), frozenset(task for _, task in by_task)
    return frozenset(vm for vm, value in _STATUS.items() if value == word), frozenset()


def refusal(rule: Rule, *, vm_state: str, task_state: str | None, launched: bool) -> str | None:
    """Why the action is not allowed now, in Nova's words after "Cannot 'x' instance ID"; None when it is."""
    if rule.vm_states and vm_state not in rule.vm_states:
        return f"while it is in vm_state {vm_state}"
    if task_state and rule.task_states is not None and task_state not in rule.task_states:
        return f"while it is in task_state {task_state}"
    if rule.needs_launch and not launched:
        return "while it is not launched"
    return None


def allowed(vm_state: str, task_state: str | None, launched: bool) -> list[str]:
    """Actions that may start now, in the order of the table."""
    return [
        name
        for name, rule in RULES.items()
        if refusal(rule, vm_state=vm_state, task_state=task_state, launched=launched) is None
    ]
