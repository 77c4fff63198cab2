"""Two real guests of one real process on a libvirtd of their own, and a namespace that plays the world outside."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from novalite.drivers.network.base import tap_name
from tests.contracts.waiting import PATIENCE, until
from tests.real.appliance.images import bundled_guest_image
from tests.real.appliance.process import RealAppliance, running, until_or
from tests.real.compute.private_libvirtd import PrivateLibvirtd

SSH = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    "-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5",
)  # fmt: skip
BOOT_SECONDS = PATIENCE


def sh(*argv: str, seconds: float = PATIENCE, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Cloud:
    """The appliance, its libvirtd, and the key its guests know."""

    appliance: RealAppliance
    libvirtd: PrivateLibvirtd
    key: Path
    image_id: str
    flavor_id: str

    def create(self, name: str, **more: Any) -> Guest:
        return Guest(self, name, self.appliance.create(name, self.image_id, self.flavor_id, key_name="mine", **more))

    @property
    def network_id(self) -> str:
        return str(self.appliance.get("/network/v2.0/networks?name=private")["networks"][0]["id"])

    def dnsmasq(self) -> psutil.Process | None:
        """The DHCP server of the network, if it runs."""
        for process in psutil.process_iter(["name", "cmdline"]):
            command = process.info["cmdline"] or []
            if process.info["name"] == "dnsmasq" and any(
                f"/{self.network_id}/dnsmasq.conf" in word for word in command
            ):
                return process
        return None


@dataclass
class Guest:
    cloud: Cloud
    name: str
    id: str

    @property
    def server(self) -> dict[str, Any]:
        found = self.cloud.appliance.server(self.id)
        assert found is not None
        return found

    @property
    def address(self) -> str:
        [card] = self.server["addresses"]["private"]
        return str(card["addr"])

    @property
    def port_id(self) -> str:
        ports = self.cloud.appliance.get(f"/network/v2.0/ports?device_id={self.id}")["ports"]
        return str(ports[0]["id"])

    @property
    def tap(self) -> str:
        return tap_name(self.port_id)

    @property
    def pid(self) -> int:
        return self.cloud.libvirtd.guest_pid(self.id)

    def console(self) -> str:
        answer = self.cloud.appliance.act(self.id, "os-getConsoleOutput", {"length": None})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["output"])

    def said(self, pattern: str) -> list[str]:
        """What the guest's own lines on the console say that match."""
        return re.findall(rf"GUEST: ({pattern})", self.console())

    def wait(self, *statuses: str, seconds: float = PATIENCE) -> None:
        self.cloud.appliance.wait_status(self.id, *statuses, seconds=seconds)

    def wait_said(self, pattern: str, times: int = 1, seconds: float = BOOT_SECONDS) -> None:
        def words() -> str:
            return f"{self.name} says {pattern} {times} times\n{self.console()[-2500:]}"

        until_or(lambda: len(self.said(pattern)) >= times, words, seconds)

    def wait_ready(self, boots: int) -> None:
        """Wait until the guest has come up that many times."""
        self.wait_said("ready ", boots)

    def act(self, action: str, value: Any = None) -> None:
        answer = self.cloud.appliance.act(self.id, action, value)
        assert answer.status_code == 202, answer.text

    def ssh(self, command: str, *, seconds: float = PATIENCE) -> str:
        """What a command prints inside the guest."""
        return sh("ssh", *SSH, "-i", str(self.cloud.key), f"root@{self.address}", command, seconds=seconds).strip()

    def answers(self, seconds: float = 3) -> bool:
        """Whether the guest answers SSH in that time."""
        try:
            return self.ssh("echo here", seconds=seconds) == "here"
        except (AssertionError, subprocess.TimeoutExpired):
            return False


@dataclass
class Outside:
    """A host beyond the machine: it knows no way to the guests' network, so only masqueraded traffic returns."""

    namespace: str
    machine_address: str
    address: str
    port: int = 8080


_TELL_WHO_ASKS = """
import http.server
class Tell(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("", 8080), Tell).serve_forever()
"""


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    mark = uuid4().hex[:6]
    first = 4 * secrets.randbelow(64)
    here = Outside(f"nlout-{mark}", f"203.0.113.{first + 1}", f"203.0.113.{first + 2}")
    card, other = f"nlo{mark}", f"nlp{mark}"
    sh("ip", "netns", "add", here.namespace)
    server = None
    try:
        sh("ip", "link", "add", card, "type", "veth", "peer", "name", other, "netns", here.namespace)
        sh("ip", "addr", "add", f"{here.machine_address}/30", "dev", card)
        sh("ip", "link", "set", card, "up")
        inside = ("ip", "-n", here.namespace)
        sh(*inside, "addr", "add", f"{here.address}/30", "dev", other)
        sh(*inside, "link", "set", other, "up")
        command = ["ip", "netns", "exec", here.namespace, sys.executable, "-c", _TELL_WHO_ASKS]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield here
    finally:
        if server is not None:
            server.kill()
            server.wait(300)
        if Path(f"/sys/class/net/{card}").exists():
            sh("ip", "link", "delete", card)  # and its peer with it
        sh("ip", "netns", "delete", here.namespace)


def let_in(appliance: RealAppliance) -> None:
    """The default group lets in SSH and ping from anywhere, which it does not by itself."""
    (group,) = appliance.get("/network/v2.0/security-groups?name=default")["security_groups"]
    present = {rule["protocol"] for rule in group["security_group_rules"]}
    for rule in ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "icmp"}):
        if rule["protocol"] in present:
            continue
        asked = {"security_group_id": group["id"], "direction": "ingress", **rule}
        appliance.post("/network/v2.0/security-group-rules", {"security_group_rule": asked})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with new_cloud(tmp_path_factory.mktemp("real-guests")) as cloud:
        yield cloud


@contextmanager
def new_cloud(directory: Path, **options: Any) -> Iterator[Cloud]:
    """``options`` are settings, with ``__`` for the dot in their names."""
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o711)
    libvirtd = PrivateLibvirtd(directory / "libvirt")
    try:
        libvirtd.start()
        given = {"compute.libvirt_uri": libvirtd.uri, "compute.stop_timeout_seconds": 90}
        given |= {name.replace("__", "."): value for name, value in options.items()}
        with running(directory / "state", driver="libvirt", given=given) as appliance:
            key = directory / "key"
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
            public = key.with_suffix(".pub").read_text()
            appliance.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "mine", "public_key": public}})
            let_in(appliance)
            image_id = appliance.image(bundled_guest_image(), name="guest", disk_format="qcow2")
            yield Cloud(appliance, libvirtd, key, image_id, appliance.flavor("guest", ram=256, disk=1))
    finally:
        libvirtd.close()


USER_DATA = "#!/bin/sh\necho user data ran as $(id -un)\necho made by user data > /root/proof\n"


@pytest.fixture(scope="module")
def guests(cloud: Cloud) -> tuple[Guest, Guest]:
    """Two guests, asked for at once; the first is to start with the machine."""
    from base64 import b64encode

    one = cloud.create(
        "one", user_data=b64encode(USER_DATA.encode()).decode(), metadata={"colour": "blue", "autostart": "true"}
    )
    two = cloud.create("two", config_drive=True)
    for guest in (one, two):
        guest.wait("ACTIVE")
    for guest in (one, two):
        guest.wait_ready(1)
    return one, two


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """End a process that this module's appliance has started, and wait for its end."""
    process = psutil.Process(pid)
    process.send_signal(how)
    until(lambda: not psutil.pid_exists(pid) or process.status() == psutil.STATUS_ZOMBIE, f"process {pid} ends")
