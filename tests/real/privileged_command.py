"""``novalite privileged`` as systemd would run it: with a filter file, and the capabilities that the unit leaves."""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from tests.contracts.waiting import until
from tests.real.appliance.process import NOVALITE

FILTER = """
user = "{user}"
appliances = ["*"]
run_dir = "/run/{run_dir}"
ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "192.0.2.0/24"]
operations = [
    "used_ranges", "check", "watch", "metadata_sockets", "ensure_network", "remove_network", "ensure_port",
    "remove_port", "ensure_groups", "remove_group", "ensure_routers", "ensure_forwards", "attach_lan", "detach_lan",
]
interfaces = ["uplink0"]
forward_ports = [1024, 65535]
"""


def unit_capabilities() -> str:
    """Those of the unit, as setpriv takes them."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(Path(__file__).parents[2] / "packaging/novalite-privileged.service")
    names = parser["Service"]["CapabilityBoundingSet"].split()
    return ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names)])


@contextmanager
def privileged_command(directory: Path, capabilities: str, user: str = "nobody") -> Iterator[tuple[Path, Path]]:
    """The socket, and the directory below /run where it remembers what it has made."""
    filter_file, path, run_dir = directory / "privileged.toml", directory / "socket", f"novalite-test-{uuid4().hex[:8]}"
    filter_file.write_text(FILTER.format(user=user, run_dir=run_dir))
    filter_file.chmod(0o644)
    log = directory / "privileged.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["setpriv", "--bounding-set", capabilities, "--no-new-privs", NOVALITE, "privileged", "--rules",
             str(filter_file), "--socket", str(path)],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, f"it ended: {log.read_text()}"
        return "privileged_ready" in log.read_text()

    try:
        until(answers, "the privileged process answers")
        yield path, Path("/run") / run_dir
    finally:
        process.terminate()
        process.wait(300)
        subprocess.run(["rm", "-rf", f"/run/{run_dir}"], check=True)
    assert process.returncode == 0


def take_away(client: PrivilegedNetworkDriver) -> None:
    """What a test may have left."""
    client.ensure_routers((), only=True)
    for network_id in client.check().networks:
        client.remove_network(network_id)
