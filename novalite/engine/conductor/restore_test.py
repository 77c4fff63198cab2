"""The flow that tests a copy: boot it without network, look whether it comes up, take everything away again.

The guest has the test's id, and no server: reconciliation leaves it alone while the task lasts, and removes it
afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from novalite import logs
from novalite.clock import now
from novalite.cloud.compute import boot_image, passwords, protection, protection_runs, protection_tests
from novalite.cloud.compute.protection_records import FAILED, PASSED, UNKNOWN, ProtectionRun, ProtectionTest
from novalite.cloud.compute.protection_tasks import BootCopy
from novalite.cloud.hosts import hosts
from novalite.cloud.image import made
from novalite.cloud.volume import backups, keys, placing
from novalite.cloud.volume.records import Backup
from novalite.context import internal
from novalite.drivers.compute.base import DiskKey, DiskSpec, FullDriver, GuestSpec, Power
from novalite.drivers.storage.base import OfStream, VolumeKey
from novalite.engine.conductor import boot_signs, guests, outcome, placement
from novalite.engine.flow import Flow, Run, Step, Wait
from novalite.engine.scheduler.snapshot import Request
from novalite.errors import Conflict, Failed, HostUnreachable, NovaLiteError

_log = logs.get("conductor")
_LOOK_SECONDS = 1.0
_CONSOLE_BYTES = 64 << 10
_GIB = 1 << 30
_LEAST_READ_BYTES = 4 << 20
"""Who has read less of its disks has not loaded a system from them."""
_DAMAGED = ("backup.corrupt", "image.corrupt", "backup.not_found", "image.missing")


@dataclass(frozen=True)
class _Copy:
    """What is booted: an image as servers keep it (None: the root disk is a volume), and backups of volumes with what
    is known of each."""

    test: ProtectionTest
    run: ProtectionRun
    project_id: str
    image: dict[str, Any] | None
    virtual_size: int
    volumes: tuple[tuple[Backup, dict[str, Any]], ...]

    @property
    def properties(self) -> dict[str, str]:
        told = self.image["properties"] if self.image else self.volumes[0][0].volume_facts.get("image_metadata") or {}
        return {str(name): str(value) for name, value in told.items()}

    @property
    def min_ram(self) -> int:
        return int(self.image["min_ram"]) if self.image else int(self.properties.get("min_ram") or 0)


def _test_id(run: Run) -> str:
    return str(run.args["test_id"])


def _read(run: Run) -> _Copy:
    """Raises ``Failed`` with code ``protection.no_copy`` when the copy has been deleted meanwhile."""
    with run.parts.database.read(internal()) as w:
        test = protection_tests.get(w, _test_id(run))
        record = protection_runs.get(w, test.run_id)
        found = [(backups.find(w, str(each["backup_id"])), each) for each in record.volumes]
        image = made.find(w, record.image_id) if record.image_id else None
        owner = protection.find(w, record.resource_id)
    kept = [(one, told) for one, told in found if one is not None and one.status not in ("deleting", "error_deleting")]
    if len(kept) < len(found) or (record.image_id and image is None):
        raise Failed("The copy was deleted meanwhile.", code="protection.no_copy")
    project_id = owner.project_id if owner else ""
    copied = boot_image.copy(image) if image else None
    virtual_size = (image.virtual_size or 0) if image else 0
    return _Copy(test, record, project_id, copied, virtual_size, tuple(kept))


def _memory_mib(run: Run, copy: _Copy) -> int:
    """As little as the settings say, but what the image asks for, and no more than its server had."""
    wanted = max(run.parts.settings.protection.test_memory_mib, copy.min_ram)
    had = int(copy.run.facts.get("memory_mib") or wanted)
    return min(wanted, max(had, copy.min_ram))


def _place(run: Run) -> None:
    copy = _read(run)
    if copy.test.host:
        return
    request = Request(
        server_id=copy.test.id, vcpus=1, memory_mib=_memory_mib(run, copy), disk_gib=-(-copy.virtual_size // _GIB),
        architecture=copy.properties.get("hw_architecture") or copy.properties.get("architecture", ""),
        forced_host=run.parts.settings.local_host if copy.volumes else "", image_properties=copy.properties,
    )  # fmt: skip
    placement.hold(run, request, lambda w, host: protection_tests.held_at(w, copy.test.id, host))


def _unplace(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        protection_tests.give_back(w, _test_id(run))


def _bring(run: Run) -> None:
    copy = _read(run)
    if copy.image is not None:
        guests.bring(run, _host(copy), guests.image_spec(copy.image))
    for backup, _ in copy.volumes:
        _fill(run, copy, backup)


def _host(copy: _Copy) -> str:
    if not copy.test.host:
        raise Failed("No room is held for the test.", code="protection.not_placed")
    return copy.test.host


def _fill(run: Run, copy: _Copy, backup: Backup) -> None:
    """A volume of the backup, which nobody deletes meanwhile."""
    with run.parts.database.write(internal()) as w:
        begun = {"status": "restoring", "restore_to": copy.test.id}
        if not backups.change(w, backup.id, begun, Backup.status == "available"):
            found = backups.find(w, backup.id)
            if found is None or (found.status, found.restore_to) != ("restoring", copy.test.id):
                raise Conflict(f"Backup {backup.id} is in use.", code="backup.state")
    chosen = run.memo.setdefault("backends", {})
    if backup.id not in chosen:
        chosen[backup.id] = _backend(run, backup)
    driver = run.parts.volumes.of(chosen[backup.id])
    passphrase, sealed = _passphrase(run, backup), backups.sealed(backup)
    key = VolumeKey(passphrase) if passphrase else None
    content = OfStream(run.parts.backups.read(backups.data_id(backup)), sealed.format if sealed else "raw", key)
    driver.ensure_volume(protection_tests.volume_id(copy.test.id, backup.id), backup.size_gib, content, key=key)
    with run.parts.database.write(internal()) as w:
        backups.restored(w, backup.id)


def _passphrase(run: Run, backup: Backup) -> str:
    """Of the backup of an encrypted volume; empty for others."""
    sealed = backups.sealed(backup)
    return keys.opened(run.parts.settings.state_path, sealed.key_id, sealed.sealed_key) if sealed else ""


def _backend(run: Run, backup: Backup) -> str:
    pools, options = run.parts.volumes.pools(), run.parts.settings.volumes
    with run.parts.database.read(internal()) as w:
        rooms = placing.rooms(w, pools)
    encrypted = backups.sealed(backup) is not None
    wish = placing.Wish(backup.size_gib, {}, needs_gib=backup.size_gib, encrypted=encrypted)
    return placing.choose(wish, rooms, reserve_gib=options.reserve_gib, oversubscription=options.oversubscription)


def _drop(run: Run) -> None:
    """What was brought, wherever it may have got to."""
    with run.parts.database.read(internal()) as w:
        test = protection_tests.get(w, _test_id(run))
        record = protection_runs.find(w, test.run_id)
        image_id, backup_ids = (record.image_id, record.backup_ids) if record else (None, [])
    for backup_id in backup_ids:
        volume_id = protection_tests.volume_id(test.id, backup_id)
        for driver in run.parts.volumes.drivers.values():
            driver.delete_volume(volume_id)
        with run.parts.database.write(internal()) as w:
            backups.change(w, backup_id, {"status": "available", "restore_to": None},
                           Backup.status == "restoring", Backup.restore_to == test.id)  # fmt: skip
    if image_id and test.host:
        _at_host(run, test.host, lambda driver: driver.remove_image(image_id))


def _at_host(run: Run, host: str, act: Callable[[FullDriver], object]) -> None:
    """A host that is away is put in order when it is back."""
    try:
        act(run.parts.links.driver(host))
    except HostUnreachable as error:
        _log.warning("host unreachable, what a test left there goes when it is back", host=host, why=str(error))


def _spec(run: Run, copy: _Copy) -> GuestSpec:
    properties = copy.properties
    return GuestSpec(
        id=copy.test.id, name=f"restore-test-{copy.test.id[:8]}", project_id=copy.project_id, vcpus=1,
        memory_mib=_memory_mib(run, copy), disks=tuple(_disks(run, copy)),
        firmware="uefi" if properties.get("hw_firmware_type") == "uefi" else "bios",
        machine=properties.get("hw_machine_type", ""), properties=properties, consoles=(),
    )  # fmt: skip


def _disks(run: Run, copy: _Copy) -> list[DiskSpec]:
    bus = copy.properties.get("hw_disk_bus", "virtio")
    device = {"virtio": "vd", "ide": "hd"}.get(bus, "sd")
    found = []
    if copy.image is not None:
        found.append(DiskSpec("root", f"{device}a", 0, guests.image_spec(copy.image), bus, boot_index=0))
    for number, (backup, facts) in enumerate(copy.volumes, start=len(found)):
        volume_id = protection_tests.volume_id(copy.test.id, backup.id)
        place = run.parts.volumes.of(run.memo["backends"][backup.id]).place(volume_id)
        if place is None:
            raise Failed("The volume that was made for the test is gone.", code="protection.gone")
        found.append(
            DiskSpec(
                f"volume-{volume_id}", _device(facts, f"{device}{chr(ord('a') + number)}"),
                backup.size_gib, bus=bus, serial=volume_id[:20], path=place.path, format=place.format,
                boot_index=-1 if facts.get("boot_index") is None else int(facts["boot_index"]),
                key=_disk_key(run, backup, volume_id),
            )
        )  # fmt: skip
    return found


def _device(facts: Mapping[str, Any], otherwise: str) -> str:
    return str(facts.get("device_name") or otherwise).removeprefix("/dev/")


def _disk_key(run: Run, backup: Backup, volume_id: str) -> DiskKey | None:
    """Under a name of its own: the volume itself may be in use on the same host."""
    passphrase = _passphrase(run, backup)
    return DiskKey(volume_id, passphrase) if passphrase else None


def _boot(run: Run) -> None:
    copy = _read(run)
    host = _host(copy)
    run.parts.links.driver(host).ensure_guest(_spec(run, copy))
    if "booted_at" not in run.memo:
        run.memo["booted_at"], run.memo["machine"] = now().isoformat(), _machine(run, host)


def _machine(run: Run, host: str) -> str:
    with run.parts.database.read(internal()) as w:
        return hosts.by_name(w, host).boot_id


def _unboot(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        host = protection_tests.get(w, _test_id(run)).host
    if host:
        _at_host(run, host, lambda driver: driver.delete_guest(_test_id(run)))


def _watch(run: Run) -> Wait | None:
    with run.parts.database.read(internal()) as w:
        test = protection_tests.get(w, _test_id(run))
    if test.ended_at is not None:
        return None
    driver = run.parts.links.driver(test.host or "")
    text = boot_signs.readable(driver.console_text(test.id, _CONSOLE_BYTES))
    verdict = _verdict(run, driver, test, text)
    if verdict is None:
        return Wait(f"protection-test:{test.id}", _LOOK_SECONDS)
    with run.parts.database.write(internal()) as w:
        protection_tests.judged(w, test.id, *verdict, text)
    return None


def _verdict(run: Run, driver: FullDriver, test: ProtectionTest, text: str) -> tuple[str, str] | None:
    """None while nothing can be said yet."""
    up = boot_signs.came_up(text, test.expect)
    if up:
        return PASSED, up
    why_not = boot_signs.will_not(text)
    if why_not:
        return FAILED, why_not
    guest = driver.guest(test.id)
    if guest.power is not Power.RUNNING:
        if guest.power in (Power.OFF, Power.CRASHED) and run.memo["machine"] == _machine(run, test.host or ""):
            return FAILED, f"The guest is {guest.power.value}. {guest.detail}".strip()
        return UNKNOWN, f"The guest is {guest.power.value}: it was disturbed. {guest.detail}".strip()
    if not test.expect and _promises_agent(run) and driver.has_agent(test.id):
        return PASSED, "Its guest agent answers."
    waited = (now() - datetime.fromisoformat(run.memo["booted_at"])).total_seconds()
    return _late(driver, test, text) if waited > test.seconds else None


def _promises_agent(run: Run) -> bool:
    if "agent" not in run.memo:
        run.memo["agent"] = passwords.is_yes(_read(run).properties.get("hw_qemu_guest_agent", ""))
    return bool(run.memo["agent"])


def _late(driver: FullDriver, test: ProtectionTest, text: str) -> tuple[str, str]:
    """The time is up. A silent guest may have booted all the same, if it has read its disks."""
    if test.expect:
        return FAILED, f"It did not say '{test.expect}' within {test.seconds} seconds."
    if text.strip():
        return FAILED, f"It did not come up within {test.seconds} seconds."
    read = sum(int(disk.get("read_bytes", 0)) for disk in driver.diagnostics(test.id).disks)
    if read < _LEAST_READ_BYTES:
        return FAILED, f"Nothing boots: only {read // 1024} KiB were read from its disks in {test.seconds} seconds."
    return UNKNOWN, "It says nothing on its serial console, and has no guest agent: whether it came up cannot be told."


def _remove(run: Run) -> None:
    _unboot(run)
    _drop(run)
    _unplace(run)


def _finish(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        protection_tests.end(w, _test_id(run))


def _failed(run: Run, error: Exception) -> None:
    """A copy that cannot be read has failed; otherwise it is the test that has, and nothing is known of the copy."""
    is_damaged = isinstance(error, NovaLiteError) and error.code in _DAMAGED
    _over(run, FAILED if is_damaged else UNKNOWN, outcome.message_of(error))


def _cancelled(run: Run) -> None:
    _over(run, UNKNOWN, "It was called off.")


def _over(run: Run, result: str, why: str) -> None:
    with run.parts.database.write(internal()) as w:
        protection_tests.judged(w, _test_id(run), result, why)
        protection_tests.end(w, _test_id(run))


FLOWS = (
    Flow(BootCopy.kind, (Step("place", _place, _unplace), Step("data", _bring, _drop), Step("boot", _boot, _unboot),
                         Step("watch", _watch), Step("remove", _remove), Step("finish", _finish)),
         failed=_failed, cancelled=_cancelled),
)  # fmt: skip
