"""Rows of Compute: servers and what hangs on them."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.versions import Version
from tests.api.contract.table import Row
from tests.api.contract.world import UNKNOWN, World

_S = "/v2.1/servers"
_ONE = _S + "/{server_id}"
_ACTION = f"POST {_ONE}/action"


def _new(world: World, version: Version) -> Any:
    more: dict[str, Any] = {"metadata": {"key": "value"}, "config_drive": True}
    if version.minor >= 19:
        more["description"] = "words"
    if version.minor >= 52:
        more["tags"] = ["tag"]
    if version.minor < 57:
        more["personality"] = [{"path": "/etc/motd", "contents": "aGVsbG8="}]
    if version.minor >= 90:
        more["hostname"] = "told"
    return {"server": world.server(**more)}


def _change(world: World, version: Version) -> Any:
    return {"server": {"name": world.name("changed"), **({"description": None} if version.minor >= 19 else {})}}


def _console(world: World, version: Version) -> Any:
    return {"remote_console": {"protocol": "vnc", "type": "novnc"}}


def _card(world: World, version: Version) -> Any:
    return {"interfaceAttachment": {"net_id": world.network_id(), **({"tag": "nic"} if version.minor >= 49 else {})}}


def _rebuild(world: World, version: Version) -> Any:
    more = {"description": "other words"} if version.minor >= 19 else {}
    return {"rebuild": {"imageRef": world.image_id(), "metadata": {"key": "value"}, **more}}


def _attachment(world: World, version: Version) -> Any:
    more: dict[str, Any] = {"tag": "disk"} if version.minor >= 49 else {}
    return {"volumeAttachment": {"volumeId": world.new_volume(), **more}}


def _reattach(world: World, version: Version) -> Any:
    if version.minor < 85:
        return {"volumeAttachment": {"volumeId": world.new_volume()}}
    return {"volumeAttachment": {"volumeId": world.its_volume(), "delete_on_termination": True}}


def _live(world: World, version: Version) -> Any:
    automatic: Any = "auto" if version.minor >= 25 else False
    more = {"disk_over_commit": False} if version.minor < 25 else {}
    return {"os-migrateLive": {"host": None, "block_migration": automatic, **more}}


def _live_status(version: Version) -> int:
    """Simulated hosts take no running guests; up to 2.33 that is told at once."""
    return 400 if version.minor < 34 else 0


def _evacuate(world: World, version: Version) -> Any:
    return {"evacuate": {"onSharedStorage": False} if version.minor < 14 else {}}


def _swap(version: Version) -> int:
    """Only the volume service swaps, and of volumes that it migrates: there is no such migration."""
    return 409 if version.minor < 85 else 0


SERVERS = [
    Row(f"GET {_S}", query="limit=1"),
    Row(f"GET {_S}/detail", query="limit=1"),
    Row(f"POST {_S}", _new),
    Row(f"GET {_ONE}"),
    Row(f"PUT {_ONE}", _change, server_id=World.new_server),
    Row(f"DELETE {_ONE}", server_id=World.new_server),
]
ACTIONS = [
    Row(f"{_ACTION} os-start", {"os-start": None}, server_id=World.stopped),
    Row(f"{_ACTION} os-stop", {"os-stop": None}, server_id=World.new_server),
    Row(f"{_ACTION} reboot", {"reboot": {"type": "HARD"}}, server_id=World.new_server),
    Row(f"{_ACTION} pause", {"pause": None}, server_id=World.new_server),
    Row(f"{_ACTION} unpause", {"unpause": None}, server_id=World.paused),
    Row(f"{_ACTION} suspend", {"suspend": None}, server_id=World.new_server),
    Row(f"{_ACTION} resume", {"resume": None}, server_id=World.suspended),
    Row(f"{_ACTION} lock", {"lock": None}, server_id=World.new_server),
    Row(f"{_ACTION} unlock", {"unlock": None}, server_id=World.locked),
    Row(f"{_ACTION} os-resetState", {"os-resetState": {"state": "active"}}, server_id=World.new_server),
    Row(f"{_ACTION} forceDelete", {"forceDelete": None}, server_id=World.new_server),
    Row(f"{_ACTION} resetNetwork", {"resetNetwork": None}),
    Row(f"{_ACTION} restore", {"restore": None}, server_id=World.soft_deleted),
    Row(f"{_ACTION} trigger_crash_dump", {"trigger_crash_dump": None}, server_id=World.new_server),
    Row(f"{_ACTION} injectNetworkInfo", {"injectNetworkInfo": None}, server_id=World.new_server),
    Row(f"{_ACTION} changePassword", {"changePassword": {"adminPass": "another"}}, server_id=World.with_agent),
    Row(f"{_ACTION} createImage", {"createImage": {"name": "picture"}}, server_id=World.new_server),
    Row(
        f"{_ACTION} createBackup",
        {"createBackup": {"name": "backup", "backup_type": "daily", "rotation": 1}},
        server_id=World.new_server,
    ),
    Row(f"{_ACTION} rebuild", _rebuild, server_id=World.new_server),
    Row(f"{_ACTION} rescue", {"rescue": None}, server_id=World.new_server),
    Row(f"{_ACTION} unrescue", {"unrescue": None}, server_id=World.rescued),
    Row(f"{_ACTION} shelve", {"shelve": None}, server_id=World.new_server),
    Row(f"{_ACTION} shelveOffload", {"shelveOffload": None}, server_id=World.shelved),
    Row(f"{_ACTION} unshelve", {"unshelve": None}, server_id=World.shelved),
    Row(
        f"{_ACTION} resize",
        lambda world, version: {"resize": {"flavorRef": "2"}},
        server_id=World.new_server,
    ),
    Row(f"{_ACTION} confirmResize", {"confirmResize": None}, server_id=World.resized),
    Row(f"{_ACTION} revertResize", {"revertResize": None}, server_id=World.resized),
    Row(f"{_ACTION} migrate", {"migrate": None}, server_id=World.new_server),
    Row(f"{_ACTION} os-migrateLive", _live, server_id=World.new_server, status=_live_status),
    Row(f"{_ACTION} evacuate", _evacuate, server_id=World.stranded),
    Row(
        f"{_ACTION} addSecurityGroup",
        lambda world, version: {"addSecurityGroup": {"name": world.group_name()}},
        server_id=World.new_server,
    ),
    Row(f"{_ACTION} removeSecurityGroup", {"removeSecurityGroup": {"name": "default"}}, server_id=World.new_server),
    Row(
        f"{_ACTION} addFixedIp",
        lambda world, version: {"addFixedIp": {"networkId": world.network_id()}},
        server_id=World.new_server,
    ),
    Row(
        f"{_ACTION} removeFixedIp",
        lambda world, version: {"removeFixedIp": {"address": world.last_address()}},
        server_id=World.with_two_addresses,
    ),
    Row(
        f"{_ACTION} addFloatingIp",
        lambda world, version: {"addFloatingIp": {"address": world.floating_address()}},
        server_id=World.new_server,
    ),
    Row(
        f"{_ACTION} removeFloatingIp",
        lambda world, version: {"removeFloatingIp": {"address": world.led_address()}},
        server_id=World.new_server,
    ),
    Row(f"{_ACTION} os-getRDPConsole", {"os-getRDPConsole": {"type": "rdp-html5"}}),
    Row(f"{_ACTION} os-getConsoleOutput", {"os-getConsoleOutput": {"length": 5}}),
    Row(f"{_ACTION} os-getVNCConsole", {"os-getVNCConsole": {"type": "novnc"}}),
    Row(f"{_ACTION} os-getSPICEConsole", {"os-getSPICEConsole": {"type": "spice-html5"}}, status=400),
    Row(f"{_ACTION} os-getSerialConsole", {"os-getSerialConsole": {"type": "serial"}}),
]
PARTS = [
    Row(f"POST {_ONE}/remote-consoles", _console),
    Row(f"GET {_ONE}/metadata"),
    Row(f"POST {_ONE}/metadata", {"metadata": {"more": "1"}}, server_id=World.new_server),
    Row(f"PUT {_ONE}/metadata", {"metadata": {"only": "1"}}, server_id=World.new_server),
    Row(f"GET {_ONE}/metadata/{{key}}"),
    Row(f"PUT {_ONE}/metadata/{{key}}", {"meta": {"key": "value"}}),
    Row(f"DELETE {_ONE}/metadata/{{key}}", server_id=lambda world: world.new_server(metadata={"key": "1"})),
    Row(f"GET {_ONE}/tags"),
    Row(f"PUT {_ONE}/tags", {"tags": ["tag"]}),
    Row(f"DELETE {_ONE}/tags", server_id=World.new_server),
    Row(f"GET {_ONE}/tags/{{tag}}"),
    Row(f"PUT {_ONE}/tags/{{tag}}", tag="new", server_id=World.new_server),
    Row(f"DELETE {_ONE}/tags/{{tag}}", server_id=lambda world: world.new_server(tags=["tag"])),
    Row(f"GET {_ONE}/ips"),
    Row(f"GET {_ONE}/ips/{{label}}"),
    Row(f"GET {_ONE}/os-instance-actions"),
    Row(f"GET {_ONE}/os-instance-actions/{{request_id}}"),
    Row(f"GET {_ONE}/os-interface"),
    Row(f"GET {_ONE}/os-interface/{{port_id}}"),
    Row(f"POST {_ONE}/os-interface", _card, server_id=World.new_server),
    Row(f"DELETE {_ONE}/os-interface/{{port_id}}", server_id=World.with_second_card, port_id=World.second_card),
    Row(f"GET {_ONE}/os-virtual-interfaces"),
    Row(f"GET {_ONE}/os-volume_attachments"),
    Row(f"GET {_ONE}/os-security-groups"),
    Row(f"GET {_ONE}/os-server-password"),
    Row(f"DELETE {_ONE}/os-server-password"),
    Row(f"GET {_ONE}/diagnostics"),
    Row(f"GET {_ONE}/topology"),
    Row(f"GET {_ONE}/migrations"),
    # Simulated guests have moved before anybody could look.
    Row(f"GET {_ONE}/migrations/{{migration_id}}", status=404, migration_id="1"),
    Row(f"DELETE {_ONE}/migrations/{{migration_id}}", status=409, migration_id="1"),
    Row(
        f"POST {_ONE}/migrations/{{migration_id}}/action force_complete",
        {"force_complete": None},
        status=409,
        migration_id="1",
    ),
    Row(f"POST {_ONE}/os-volume_attachments", _attachment, server_id=World.new_server),
    Row(f"GET {_ONE}/os-volume_attachments/{{volume_id}}", server_id=World.with_volume, volume_id=World.its_volume),
    Row(
        f"PUT {_ONE}/os-volume_attachments/{{volume_id}}",
        _reattach,
        server_id=World.with_volume,
        volume_id=World.its_volume,
        status=_swap,
    ),
    Row(f"DELETE {_ONE}/os-volume_attachments/{{volume_id}}", server_id=World.with_volume, volume_id=World.its_volume),
    Row(f"GET {_ONE}/shares"),
    Row(f"POST {_ONE}/shares", {"share": {"share_id": UNKNOWN}}, server_id=World.stopped),
    Row(f"GET {_ONE}/shares/{{share_id}}", share_id=UNKNOWN),
    Row(f"DELETE {_ONE}/shares/{{share_id}}", share_id=UNKNOWN),
]
ROWS = [*SERVERS, *ACTIONS, *PARTS]
