"""What is done to volumes while a real guest writes to them: copies of one moment, a move to another backend, another
volume in the place of one. A writer stamps both disks in turn; what it wrote before is there bit for bit."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, SSH, Cloud, Guest, new_cloud

pytestmark = pytest.mark.real
V, C = "/volume/v3", "/compute/v2.1"
_WRITER = (
    "n=1; while [ ! -e /root/stop ]; do for d in {first} {second}; do "
    "printf %08d $n | dd of=/dev/$d bs=512 conv=fsync 2>/root/said || exit 1; done; n=$((n+1)); done"
)
"""The first disk is stamped, then the second: at any moment they are alike, or the first is one ahead."""


class Bench:
    """A guest with two volumes, and a group of both."""

    writing: subprocess.Popen[bytes] | None = None

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.call = cloud, cloud.appliance
        volume_type = {"volume_type": {"name": "plain"}}
        self.type_id = self.call.post(f"{V}/types", volume_type)["volume_type"]["id"]
        specs = {"group_type": {"name": "together", "group_specs": {"consistent_group_snapshot_enabled": "<is> True"}}}
        kind = self._volume("POST", "/group_types", specs)["group_type"]["id"]
        group = {"group_type": kind, "volume_types": [self.type_id], "name": "g"}
        self.group_id = self._volume("POST", "/groups", {"group": group})["group"]["id"]
        self.guest = cloud.create("writer", networks=[{"uuid": cloud.network_id}])
        self.guest.wait("ACTIVE")
        self.guest.wait_ready(1)
        until(self.guest.answers, "the guest answers", BOOT_SECONDS)

    def _volume(self, method: str, path: str, body: Any = None) -> Any:
        more = {} if body is None else {"json": body}
        answer = self.call.call(method, V + path, headers={"OpenStack-API-Version": "volume 3.70"}, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def new(self, **fields: Any) -> str:
        body = {"volume": {"size": 1, "volume_type": self.type_id, **fields}}
        made = str(self._volume("POST", "/volumes", body)["volume"]["id"])
        self.until(made, "available")
        return made

    def shown(self, volume_id: str) -> Any:
        return self._volume("GET", f"/volumes/{volume_id}")["volume"]

    def until(self, volume_id: str, status: str) -> None:
        until(lambda: self.shown(volume_id)["status"] == status, f"it is {status}\n{self.call.log[-3000:]}")

    def attach(self, volume_id: str) -> str:
        """The device in the guest."""
        body = {"volumeAttachment": {"volumeId": volume_id}}
        self.call.post(f"{C}/servers/{self.guest.id}/os-volume_attachments", body)
        self.until(volume_id, "in-use")
        until(lambda: bool(self.disk(volume_id)), "the guest sees it")
        return self.disk(volume_id)

    def disk(self, serial: str) -> str:
        shown = "for d in /sys/block/vd*; do echo $(cat $d/serial) ${d##*/}; done"
        known = dict(line.split() for line in self.guest.ssh(shown).splitlines() if len(line.split()) == 2)
        return known.get(serial[:20], "")

    def detach(self, volume_id: str) -> None:
        path = f"{C}/servers/{self.guest.id}/os-volume_attachments/{volume_id}"
        assert self.call.call("DELETE", path).status_code == 202
        self.until(volume_id, "available")

    def snapshots(self) -> dict[str, str]:
        """Volume -> file of its part of a new snapshot of the group."""
        body = {"group_snapshot": {"group_id": self.group_id}}
        made = self._volume("POST", "/group_snapshots", body)["group_snapshot"]["id"]

        def is_made() -> bool:
            status = self._volume("GET", f"/group_snapshots/{made}")["group_snapshot"]["status"]
            assert status != "error", self.call.log[-3000:]
            return bool(status == "available")

        until(is_made, "the snapshot is made")
        parts = self._volume("GET", "/snapshots/detail")["snapshots"]
        return {
            one["volume_id"]: str(self.call.state_dir / "volume-backends" / "one" / "snapshots" / one["id"])
            for one in parts if one["group_snapshot_id"] == made
        }  # fmt: skip

    def stamp(self, device: str) -> int:
        """0 before the first."""
        return int(self.guest.ssh(f"head -c 8 /dev/{device} | tr -d '\\000'") or 0)

    def goes_on(self, device: str) -> None:
        now = self.stamp(device)
        until(lambda: self.stamp(device) > now, "the writer goes on")

    def begin(self, command: str) -> subprocess.Popen[bytes]:
        """What goes on in the guest meanwhile."""
        guest = self.guest
        self.writing = subprocess.Popen(["ssh", *SSH, "-i", str(self.cloud.key), f"root@{guest.address}", command],
                                        stdin=subprocess.DEVNULL)  # fmt: skip
        return self.writing


def _begins_with(file: str, size: int) -> bytes:
    raw = Path(file).with_suffix(".look")
    subprocess.run(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", file, str(raw)], check=True)
    with raw.open("rb") as opened:
        found = opened.read(size)
    raw.unlink()
    return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("operations")
    with new_cloud(directory, volumes__backends="one=files,two=files", volumes__swap_directly=True) as cloud:
        made = Bench(cloud)
        yield made
        if made.writing is not None and made.writing.poll() is None:
            made.writing.kill()
            made.writing.wait(300)


def test_all_goes_on_under_a_writer(bench: Bench) -> None:
    first, second, third = bench.new(group_id=bench.group_id), bench.new(group_id=bench.group_id), bench.new(size=2)
    devices = {volume_id: bench.attach(volume_id) for volume_id in (first, second)}
    guest: Guest = bench.guest
    for device in devices.values():
        guest.ssh(f"dd if=/dev/urandom of=/dev/{device} bs=1M seek=1 count=16 conv=fsync 2>/dev/null")
    sums = {volume_id: guest.ssh(_sum(device)) for volume_id, device in devices.items()}
    writer = _WRITER.format(first=devices[first], second=devices[second])
    writing = bench.begin(writer)
    bench.goes_on(devices[second])

    for _ in range(3):  # of one moment, while both change
        files = bench.snapshots()
        one, two = (int(_begins_with(files[volume_id], 8)) for volume_id in (first, second))
        assert 0 <= one - two <= 1, f"the first was stamped {one}, the second {two}"
        bench.goes_on(devices[second])
    for volume_id in (first, second):
        _in_file(files[volume_id], sums[volume_id])

    before = bench.shown(second)["os-vol-host-attr:host"]
    for snapshot in bench._volume("GET", "/group_snapshots")["group_snapshots"]:
        bench._volume("DELETE", f"/group_snapshots/{snapshot['id']}")
    until(lambda: not bench._volume("GET", "/snapshots")["snapshots"], "the snapshots go")
    body = {"group": {"remove_volumes": f"{first},{second}"}}
    bench._volume("PUT", f"/groups/{bench.group_id}", body)
    target = before.replace("@one#one", "@two#two")
    bench._volume("POST", f"/volumes/{second}/action", {"os-migrate_volume": {"host": target}})
    bench.until(second, "in-use")
    assert bench.shown(second)["migration_status"] == "success", bench.call.log[-3000:]
    assert bench.shown(second)["os-vol-host-attr:host"] == target
    bench.goes_on(devices[second])

    path = f"{C}/servers/{guest.id}/os-volume_attachments/{first}"
    assert bench.call.call("PUT", path, json={"volumeAttachment": {"volumeId": third}}).status_code == 202
    bench.until(third, "in-use")
    bench.until(first, "available")
    bench.goes_on(devices[first])
    assert writing.poll() is None, "a write failed"
    guest.ssh("touch /root/stop")
    assert writing.wait(300) == 0
    stamps = [bench.stamp(device) for device in devices.values()]
    assert stamps[0] == stamps[1]
    assert {guest.ssh(_sum(device)) for device in devices.values()} == set(sums.values())
    assert bench.disk(first) == devices[first], "the guest knows the disk as before"

    guest.act("reboot", {"type": "HARD"})
    guest.wait("ACTIVE")
    guest.wait_ready(2)
    until(guest.answers, "the guest answers again", BOOT_SECONDS)
    assert [bench.stamp(bench.disk(volume_id)) for volume_id in (first, second)] == stamps
    assert guest.ssh(f"cat /sys/block/{bench.disk(first)}/size") == str(2 << 21), "as large as the new volume"
    for volume_id in (second, third):
        bench.detach(volume_id)
    for volume_id, backend, origin in ((second, "two", second), (third, "one", first)):
        file = str(bench.call.state_dir / "volume-backends" / backend / volume_id)
        assert int(_begins_with(file, 8)) == stamps[0]
        _in_file(file, sums[origin])
    assert bench.call.doctor() == []


def _sum(device: str) -> str:
    return f"dd if=/dev/{device} bs=1M skip=1 count=16 2>/dev/null | sha256sum | cut -d' ' -f1"


def _in_file(file: str, wanted: str) -> None:
    content = _begins_with(file, 17 << 20)[1 << 20 :]
    assert hashlib.sha256(content).hexdigest() == wanted, f"{file} does not hold what was written"
