"""What guests have written is there, bit for bit, whatever is done to them; and what a writer was told is on its disk
is in a copy that is made meanwhile. With disks that are overlays, and with raw ones."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, SSH, Cloud, Guest, new_cloud
from tests.real.guests.test_resized import until_ssh

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
_RECORD, _DIGEST = 4096, 64
_WRITER = f"""
n=0
while :; do
  head -c {_RECORD - _DIGEST} /dev/urandom > /run/record
  {{ cat /run/record; sha256sum /run/record | cut -c-{_DIGEST} | tr -d '\\n'; }} > /run/whole
  dd if=/run/whole of=/root/records bs={_RECORD} seek=$n conv=notrunc,fsync 2>/dev/null || exit 1
  n=$((n + 1))
  echo $n
done
"""


BOTH = pytest.mark.parametrize("cloud", ["qcow2", "raw"], indirect=True, scope="module")
OVERLAYS = pytest.mark.parametrize("cloud", ["qcow2"], indirect=True, scope="module")
"""What is the same for both kinds of disks, and takes long."""


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with new_cloud(tmp_path_factory.mktemp(request.param), compute__images_type=request.param) as cloud:
        yield cloud


@dataclass
class Writer:
    """Writes records in a guest, each with its checksum; ``acknowledged`` counts those that its file system has called
    safely written."""

    guest: Guest
    acknowledged: int = 0
    _process: subprocess.Popen[str] = field(init=False)
    _listener: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        words = ["ssh", *SSH, "-i", str(self.guest.cloud.key), f"root@{self.guest.address}", _WRITER]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.acknowledged = int(line)

    def until_further(self, by: int) -> int:
        wanted = self.acknowledged + by
        until(lambda: self.acknowledged >= wanted, f"the writer gets to {wanted}; it is at {self.acknowledged}")
        return self.acknowledged

    @property
    def writes(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(300)
        self._listener.join(10)


def _records(guest: Guest) -> list[bool]:
    """Whether each record that the guest has is what was written."""
    words = ["ssh", *SSH, "-i", str(guest.cloud.key), f"root@{guest.address}", "cat /root/records"]
    data = subprocess.run(words, check=True, capture_output=True, timeout=300).stdout
    records = [data[at : at + _RECORD] for at in range(0, len(data), _RECORD)]
    return [hashlib.sha256(one[:-_DIGEST]).hexdigest().encode() == one[-_DIGEST:] for one in records]


def _image(cloud: Cloud, name: str) -> dict[str, Any]:
    [image] = cloud.appliance.get(f"/image/v2/images?name={name}")["images"]
    return dict(image)


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Guest:
    guest = cloud.create("writer")
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    until_ssh(guest)
    return guest


@BOTH
def test_disks_are_what_the_setting_says(cloud: Cloud, guest: Guest) -> None:
    kind = cloud.appliance.settings.compute.images_type
    files = sorted(path.name for path in (cloud.appliance.state_dir / "guests" / guest.id).glob("root.*"))
    assert files == [f"root.{kind}"]


@BOTH
def test_a_copy_made_under_writes_holds_all_that_was_acknowledged(cloud: Cloud, guest: Guest) -> None:
    writer = Writer(guest)
    try:
        before = writer.until_further(20)
        guest.act("createImage", {"name": "under-writes"})
        until(lambda: _image(cloud, "under-writes")["status"] == "active", "the image is active", 300)
        assert writer.writes
        writer.until_further(5)
    finally:
        writer.stop()
    guest.wait("ACTIVE")
    image_id = str(_image(cloud, "under-writes")["id"])
    copy = Guest(cloud, "copy", cloud.appliance.create("copy", image_id, cloud.flavor_id, key_name="mine"))
    copy.wait("ACTIVE", seconds=BOOT_SECONDS)
    until_ssh(copy)
    copied = _records(copy)
    whole = copied.index(False) if False in copied else len(copied)
    assert before <= whole, f"{before} records were acknowledged before the copy, {whole} are whole in it"
    assert len(copied) - whole <= 1, "nothing after the record that was being written"
    assert whole < writer.acknowledged, "the copy is of a moment in between"
    assert all(_records(guest)[: writer.acknowledged])
    cloud.appliance.delete(copy.id)
    cloud.appliance.wait_gone(copy.id)


class Story:
    """A guest with 16 MiB of its own."""

    def __init__(self, cloud: Cloud, guest: Guest) -> None:
        self.cloud, self.guest = cloud, guest
        guest.ssh("head -c 16777216 /dev/urandom > /root/blob; sync")
        self.sum = self.look()

    def look(self) -> str:
        return self.guest.ssh("sha256sum /root/blob").split()[0]

    def require_same(self, *status: str) -> None:
        self.guest.wait(*(status or ("ACTIVE",)), seconds=BOOT_SECONDS)
        until_ssh(self.guest)
        assert self.look() == self.sum


@pytest.fixture(scope="module")
def story(cloud: Cloud, guest: Guest) -> Story:
    return Story(cloud, guest)


@OVERLAYS
def test_after_a_stop(story: Story) -> None:
    story.guest.act("os-stop")
    story.guest.wait("SHUTOFF")
    story.guest.act("os-start")
    story.require_same()


@OVERLAYS
def test_after_a_hard_reboot(story: Story) -> None:
    story.guest.ssh("sync")
    story.guest.act("reboot", {"type": "HARD"})
    story.require_same()


@BOTH
def test_resized_and_back(story: Story) -> None:
    larger = story.cloud.appliance.flavor("larger", ram=288, disk=2)
    story.guest.act("resize", {"flavorRef": larger})
    story.require_same("VERIFY_RESIZE")
    story.guest.ssh("echo lost > /root/blob; sync")
    story.guest.act("revertResize")
    story.require_same()


@OVERLAYS
def test_resized_for_good(story: Story) -> None:
    story.guest.act("resize", {"flavorRef": "larger"})
    story.require_same("VERIFY_RESIZE")
    answer = story.cloud.appliance.act(story.guest.id, "confirmResize")
    assert answer.status_code == 204
    story.require_same()
    assert int(story.guest.ssh("cat /sys/block/vda/size")) == 2 << 21


@OVERLAYS
def test_rescued_and_back(story: Story) -> None:
    assert story.cloud.appliance.act(story.guest.id, "rescue", {}).status_code == 200
    story.guest.wait("RESCUE")
    story.guest.act("unrescue")
    story.require_same()


@BOTH
def test_put_away_and_brought_back(story: Story) -> None:
    story.guest.act("shelve")
    story.guest.wait("SHELVED_OFFLOADED")
    story.guest.act("unshelve")
    story.require_same()


@BOTH
def test_nothing_is_left_over(cloud: Cloud, story: Story) -> None:
    assert cloud.appliance.doctor() == []
    kind = cloud.appliance.settings.compute.images_type
    files = {path.name for path in (cloud.appliance.state_dir / "guests" / story.guest.id).iterdir() if path.is_file()}
    assert {name for name in files if not name.startswith(("console", "config"))} == {f"root.{kind}"}
    cloud.appliance.delete(story.guest.id)
    cloud.appliance.wait_gone(story.guest.id)
