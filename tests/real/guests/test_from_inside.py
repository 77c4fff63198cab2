"""Real guests, asked from inside: over the console and over SSH. Both live through the whole module, in order."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from novalite.drivers.network import links, namespaces
from novalite.drivers.network.base import network_namespace, router_namespace
from novalite.drivers.network.linux import RUN_DIR
from tests.contracts.waiting import until
from tests.real.appliance.process import until_or
from tests.real.guests.conftest import SSH, Cloud, Guest, Outside, kill, let_in, sh

pytestmark = pytest.mark.real

Guests = tuple[Guest, Guest]


def test_they_have_the_addresses_the_api_tells(guests: Guests) -> None:
    for guest in guests:
        assert guest.said(rf"(?:dhcp|static) \w+ {guest.address}/"), guest.console()
        assert f"inet {guest.address}/" in guest.ssh("ip -4 addr show")
    assert guests[0].address != guests[1].address


def test_they_have_their_names(guests: Guests) -> None:
    for guest in guests:
        assert guest.said(f"hostname {guest.name}")
        assert guest.ssh("hostname") == guest.name


def test_the_metadata_service_tells_each_its_own(guests: Guests) -> None:
    for guest in guests:
        told = json.loads(guest.ssh("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"))
        assert (told["uuid"], told["name"]) == (guest.id, guest.name)
    one, _ = guests
    assert one.said(rf"metadata metadata uuid={one.id} hostname=one")
    told = json.loads(one.ssh("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"))
    assert told["meta"]["colour"] == "blue"


def test_a_lease_leaves_the_link_local_address_by_which_metadata_is_asked_for_too(guests: Guests) -> None:
    for guest in guests:
        assert "scope link" in guest.ssh("ip -6 addr show dev eth0"), guest.ssh("ip -6 addr")
        told = json.loads(guest.ssh("wget -q -O - 'http://[fe80::a9fe:a9fe%eth0]/openstack/latest/meta_data.json'"))
        assert told["uuid"] == guest.id


def test_a_config_drive_tells_the_same(guests: Guests) -> None:
    _, two = guests
    assert two.said(rf"metadata configdrive uuid={two.id} hostname=two")


def test_the_key_is_installed(guests: Guests, cloud: Cloud) -> None:
    for guest in guests:
        assert guest.said("sshkeys 1")
        assert guest.ssh("cat /root/.ssh/authorized_keys") == cloud.key.with_suffix(".pub").read_text().strip()


def test_user_data_has_run(guests: Guests) -> None:
    one, two = guests
    assert one.said("userdata exit=0 user data ran as root")
    assert one.ssh("cat /root/proof") == "made by user data"
    assert not two.said("userdata")


def test_a_guest_reaches_the_outside_masqueraded(guests: Guests, outside: Outside) -> None:
    answer = guests[0].ssh(f"timeout 20 wget -q -O - http://{outside.address}:{outside.port}/")
    assert answer == outside.machine_address
    guests[0].ssh(f"ping -c 2 -W 5 {outside.address}")


def test_two_guests_reach_one_another(guests: Guests) -> None:
    one, two = guests
    for here, there in ((one, two), (two, one)):
        here.ssh(f"ping -c 2 -W 5 {there.address}")
    one.ssh(f"nc -w 5 {two.address} 22 < /dev/null | grep -q SSH")


def test_a_floating_address_leads_in_and_a_rule_taken_away_keeps_out(cloud: Cloud, guests: Guests) -> None:
    one, _ = guests
    api = cloud.appliance
    (public,) = api.get("/network/v2.0/networks?router:external=True")["networks"]
    asked = {"floating_network_id": public["id"], "port_id": one.port_id}
    floating = api.post("/network/v2.0/floatingips", {"floatingip": asked})["floatingip"]
    ssh = ("ssh", *SSH, "-i", str(cloud.key), f"root@{floating['floating_ip_address']}", "hostname")
    until(lambda: sh(*ssh, check=False).strip() == "one", "SSH to the floating address")
    assert {"fixed", "floating"} == {card["OS-EXT-IPS:type"] for card in one.server["addresses"]["private"]}
    (rule,) = api.get("/network/v2.0/security-group-rules?protocol=tcp")["security_group_rules"]
    assert api.call("DELETE", f"/network/v2.0/security-group-rules/{rule['id']}").status_code == 204
    until(lambda: sh(*ssh, check=False, seconds=60) == "", "nothing comes in any more")
    let_in(api)
    until(lambda: sh(*ssh, check=False).strip() == "one", "SSH again")
    assert api.call("DELETE", f"/network/v2.0/floatingips/{floating['id']}").status_code == 204
    assert one.answers(30)


def test_everything_agrees(cloud: Cloud, guests: Guests) -> None:
    assert cloud.appliance.doctor() == []


def test_pausing_and_suspending_keep_the_guest_as_it_is(guests: Guests) -> None:
    one, _ = guests
    one.ssh("echo kept > /tmp/memory")  # a file system in memory
    one.act("pause")
    one.wait("PAUSED")
    assert not one.answers()
    one.act("unpause")
    one.wait("ACTIVE")
    assert one.ssh("cat /tmp/memory") == "kept"
    one.act("suspend")
    one.wait("SUSPENDED")
    with pytest.raises(ValueError, match="not enough values"):
        assert one.pid
    one.act("resume")
    one.wait("ACTIVE")
    until(lambda: one.answers(10), "the guest answers again")
    assert one.ssh("cat /tmp/memory") == "kept"
    assert len(one.said("ready ")) == 1


def test_a_soft_reboot_asks_the_guest_and_a_hard_one_does_not(guests: Guests) -> None:
    one, two = guests
    one.act("reboot", {"type": "SOFT"})
    two.act("reboot", {"type": "HARD"})
    for guest in guests:
        guest.wait("ACTIVE")
    one.wait_ready(2)
    two.wait_ready(2)
    assert one.said("power button")
    assert not two.said("power button")
    assert one.ssh("cat /root/proof") == "made by user data", "the disk is the same"
    assert one.said("userdata already run")


def test_a_guest_that_powers_itself_off_is_shutoff(cloud: Cloud, guests: Guests) -> None:
    _, two = guests
    process = psutil.Process(two.pid)
    two.ssh("(usleep 300000; poweroff) > /dev/null 2>&1 &")
    process.wait(300)
    two.wait("SHUTOFF")
    assert cloud.appliance.doctor() == []
    two.act("os-start")
    two.wait("ACTIVE")


def test_a_killed_process_finds_its_guests_running(cloud: Cloud, guests: Guests) -> None:
    one, two = guests
    pids = [guest.pid for guest in guests]
    cloud.appliance.restart()
    assert [guest.pid for guest in guests] == pids
    assert {guest.server["status"] for guest in guests} == {"ACTIVE"}
    assert one.answers(20)
    assert cloud.appliance.doctor() == []
    two.wait_ready(3)


def test_stopping_asks_the_guest_first(guests: Guests) -> None:
    _, two = guests
    two.act("os-stop")
    two.wait("SHUTOFF")
    assert two.said("power button")
    two.act("os-start")
    two.wait("ACTIVE")


def test_a_killed_dhcp_server_comes_back(cloud: Cloud, guests: Guests) -> None:
    one, _ = guests
    before = cloud.dnsmasq()
    assert before is not None
    kill(before.pid)
    until(lambda: (now := cloud.dnsmasq()) is not None and now.pid != before.pid, "dnsmasq runs again")
    until(lambda: cloud.appliance.doctor() == [], "everything agrees")
    told = one.ssh("udhcpc -n -q -f -t 8 -T 1 -i eth0 -s /bin/true 2>&1")
    assert f"lease of {one.address} obtained" in told


def test_libvirtd_may_end_and_come_back_underneath(cloud: Cloud, guests: Guests) -> None:
    one, _ = guests
    pid = one.pid
    cloud.libvirtd.stop(signal.SIGKILL)
    assert one.answers(20), "guests do not need libvirtd"
    answer = cloud.appliance.act(one.id, "pause")
    assert answer.status_code == 202
    assert cloud.appliance.get("/compute/v2.1/servers")["servers"], "the API does not need it either"
    cloud.libvirtd.start()
    cloud.appliance.wait_status(one.id, "PAUSED", "ACTIVE")
    if one.server["status"] == "PAUSED":
        one.act("unpause")
    one.wait("ACTIVE")
    assert one.pid == pid
    until_or(lambda: cloud.appliance.doctor() == [], lambda: f"{cloud.appliance.doctor()}")


def test_what_a_guest_does_while_libvirtd_is_away_is_seen_when_it_is_back(cloud: Cloud, guests: Guests) -> None:
    _, two = guests
    cloud.libvirtd.stop()
    kill(two.pid)
    cloud.libvirtd.start()
    two.wait("SHUTOFF", "ERROR")
    two.act("reboot", {"type": "HARD"})
    two.wait("ACTIVE")


def test_a_guest_whose_emulator_crashes_is_in_error_and_a_hard_reboot_heals_it(cloud: Cloud, guests: Guests) -> None:
    _, two = guests
    kill(two.pid, signal.SIGSEGV)
    two.wait("ERROR")
    assert "crashed" in two.server["fault"]["message"]
    two.act("reboot", {"type": "HARD"})
    two.wait("ACTIVE")
    assert "fault" not in two.server


def test_after_a_power_cut_all_is_made_again_from_the_database(cloud: Cloud, guests: Guests, outside: Outside) -> None:
    one, two = guests
    address, network_id, boots = one.address, cloud.network_id, len(one.said("ready "))
    assert cloud.dnsmasq() is not None
    pids = [guest.pid for guest in guests]
    cloud.libvirtd.stop(signal.SIGKILL)
    cloud.appliance.kill()
    for pid in pids:
        kill(pid)
    _cut_network(cloud)
    for file in (cloud.libvirtd._directory / "run" / "qemu").glob("*"):
        if file.is_file():
            file.unlink()
    cloud.libvirtd.start()
    cloud.appliance.start()
    one.wait("ACTIVE")
    two.wait("SHUTOFF")
    assert namespaces.exists(network_namespace(network_id))
    assert cloud.dnsmasq() is not None
    one.wait_ready(boots + 1)
    assert one.address == address
    assert one.ssh(f"timeout 20 wget -q -O - http://{outside.address}:{outside.port}/") == outside.machine_address
    assert one.ssh("cat /root/proof") == "made by user data"
    assert cloud.appliance.doctor() == []


def _cut_network(cloud: Cloud) -> None:
    """Take away what a reboot takes of the machine's network: namespaces, links, rules and what is below /run."""
    appliance_id = (cloud.appliance.state_dir / "appliance-id").read_text().strip()
    directory = RUN_DIR / appliance_id
    networks = [path.parent.name for path in directory.glob("*/network.json")]
    routers = [path.parent.name for path in directory.glob("routers/*/router.json")]
    assert networks
    for process in psutil.process_iter(["cmdline"]):
        if any(str(directory) in word for word in process.info["cmdline"] or []):
            kill(process.pid)
    for name in (*map(network_namespace, networks), *map(router_namespace, routers)):
        sh("ip", "netns", "delete", name)
    for link in sorted(links.marked(links.alias(appliance_id))):
        sh("ip", "link", "delete", link, check=False)  # its other end may have taken it along
    sh("nft", "delete", "table", "inet", "novalite_" + appliance_id.replace("-", ""), check=False)
    shutil.rmtree(directory)


def test_deleting_leaves_nothing(cloud: Cloud, guests: Guests) -> None:
    taps = [guest.tap for guest in guests]
    directories = [cloud.appliance.state_dir / "guests" / guest.id for guest in guests]
    assert all(directory.exists() for directory in directories)
    for guest in guests:
        cloud.appliance.delete(guest.id)
    for guest in guests:
        cloud.appliance.wait_gone(guest.id)
    assert not any(directory.exists() for directory in directories)
    assert not any(Path(f"/sys/class/net/{tap}").exists() for tap in taps)
    listed = sh("virsh", "-q", "-c", cloud.libvirtd.uri, "list", "--all", "--name").split()
    assert not [name for name in listed if any(guest.id in name for guest in guests)]
    assert cloud.appliance.doctor() == []
