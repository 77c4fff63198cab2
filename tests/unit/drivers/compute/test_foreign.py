"""Definitions as the usual programs write them, and what is made of each."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.drivers.compute.base import ForeignCard, ForeignDisk, ForeignGuest, Power
from novalite.drivers.compute.libvirt import foreign

_GIB = 1 << 30
_UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"

# virt-install --name web --memory 2048 --vcpus 2 --disk size=20 --os-variant debian12 --boot uefi
VIRT_INSTALL = f"""
<domain type='kvm'>
  <name>web</name>
  <uuid>{_UUID}</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <firmware><feature enabled='no' name='enrolled-keys'/><feature enabled='no' name='secure-boot'/></firmware>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/var/lib/libvirt/images/web.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <controller type='usb' index='0' model='qemu-xhci' ports='15'/>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/></controller>
    <controller type='virtio-serial' index='0'/>
    <interface type='network'>
      <mac address='52:54:00:71:B1:B6'/>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <input type='tablet' bus='usb'/><input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes'><listen type='address'/></graphics>
    <audio id='1' type='none'/>
    <video><model type='virtio' heads='1' primary='yes'/></video>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""

# virt-manager's wizard for Windows 11
VIRT_MANAGER = f"""
<domain type='kvm'>
  <name>win11</name>
  <uuid>{_UUID}</uuid>
  <memory unit='GiB'>8</memory>
  <vcpu placement='static'>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-8.2'>hvm</type>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/var/lib/libvirt/qemu/nvram/win11_VARS.fd</nvram>
    <bootmenu enable='no'/>
  </os>
  <features><acpi/><apic/>
    <hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><spinlocks state='on' retries='8191'/></hyperv>
    <vmport state='off'/><smm state='on'/>
  </features>
  <cpu mode='host-model' check='partial'><topology sockets='1' dies='1' cores='4' threads='1'/></cpu>
  <clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='writeback'/>
      <source file='/srv/vms/win11.qcow2'/>
      <target dev='sda' bus='sata'/>
      <boot order='2'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <source file='/srv/iso/Win11.iso'/>
      <target dev='sdb' bus='sata'/>
      <readonly/>
      <boot order='1'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='/srv/vms/data.img'/>
      <target dev='sdc' bus='sata'/>
      <serial>DATA0001</serial>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:ab:cd:ef'/>
      <source bridge='br0'/>
      <model type='e1000e'/>
    </interface>
    <input type='tablet' bus='usb'/>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
    <graphics type='spice' autoport='yes'><listen type='address'/><image compression='off'/></graphics>
    <sound model='ich9'/>
    <video><model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='1' primary='yes'/></video>
    <redirdev bus='usb' type='spicevmc'/><redirdev bus='usb' type='spicevmc'/>
    <watchdog model='itco' action='reset'/>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""

# Cockpit (cockpit-machines), with a second disk of LVM and a card straight on the machine's
COCKPIT = f"""
<domain type='qemu'>
  <name>db</name>
  <uuid>{_UUID}</uuid>
  <memory unit='KiB'>1048000</memory>
  <vcpu placement='static' current='1'>4</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-6.2'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>Nehalem</model>
    <feature policy='require' name='rdrand'/><feature policy='disable' name='svm'/>
  </cpu>
  <clock offset='utc'/>
  <devices>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native'/>
      <source dev='/dev/vg0/data'/>
      <target dev='vdb' bus='virtio'/>
      <boot order='2'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/db.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <boot order='1'/>
    </disk>
    <interface type='direct'>
      <mac address='52:54:00:00:00:01'/>
      <source dev='eno1' mode='bridge'/>
      <model type='virtio'/>
    </interface>
    <interface type='network'>
      <mac address='52:54:00:00:00:02'/>
      <source network='internal'/>
      <model type='virtio'/>
    </interface>
    <graphics type='vnc' port='5901' autoport='no' passwd='secret'/>
    <video><model type='cirrus'/></video>
  </devices>
</domain>
"""


def _read(definition: str, **sizes: int) -> ForeignGuest:
    return foreign.read(definition, Power.OFF, lambda path, form: sizes.get(path, 20 * _GIB), architecture="x86_64")


def test_of_virt_install() -> None:
    found = _read(VIRT_INSTALL)
    assert found.refusals == ()
    assert (found.name, found.id, found.vcpus, found.memory_mib) == ("web", _UUID, 2, 2048)
    assert found.disks == (ForeignDisk("/var/lib/libvirt/images/web.qcow2", "qcow2", "vda", "virtio", 20 * _GIB),)
    assert found.cards == (ForeignCard("52:54:00:71:b1:b6", "virtio", "network default"),)
    assert found.properties == {
        "hw_machine_type": "pc-q35-7.2", "hw_firmware_type": "uefi", "hw_disk_bus": "virtio",
        "hw_vif_model": "virtio", "hw_video_model": "virtio", "hw_pointer_model": "usbtablet",
    }  # fmt: skip
    assert found.left_out == ("the drive sda",)
    assert found.definition == VIRT_INSTALL


def test_of_virt_manager() -> None:
    found = _read(VIRT_MANAGER)
    assert found.refusals == ()
    assert (found.vcpus, found.memory_mib) == (4, 8192)
    assert [(disk.path, disk.format, disk.device, disk.bus, disk.boot_order) for disk in found.disks] == [
        ("/srv/vms/win11.qcow2", "qcow2", "sda", "sata", 2), ("/srv/vms/data.img", "raw", "sdc", "sata", 0)
    ]  # fmt: skip
    assert [disk.serial for disk in found.disks] == ["", "DATA0001"]
    assert found.cards == (ForeignCard("52:54:00:ab:cd:ef", "e1000e", "bridge br0"),)
    assert found.properties == {
        "hw_machine_type": "pc-q35-8.2", "hw_firmware_type": "uefi", "os_secure_boot": "required",
        "hw_cpu_mode": "host-model", "hw_cpu_sockets": "1", "hw_cpu_cores": "4", "hw_cpu_threads": "1",
        "hw_disk_bus": "sata", "hw_vif_model": "e1000e", "hw_video_model": "qxl", "hw_pointer_model": "usbtablet",
        "hw_tpm_version": "2.0", "hw_tpm_model": "tpm-crb", "hw_watchdog_action": "reset",
    }  # fmt: skip
    assert found.left_out == (
        "the drive sdb with /srv/iso/Win11.iso",
        "its clock (localtime), which shows UTC then", "Hyper-V enlightenments", "the sound card", "USB redirection",
        "its spice screen; it has one of VNC then",
    )  # fmt: skip


def test_of_cockpit() -> None:
    found = _read(COCKPIT, **{"/dev/vg0/data": 5 * _GIB + 1})
    assert found.refusals == ()
    assert (found.vcpus, found.memory_mib) == (1, 1024)
    assert [(disk.path, disk.size) for disk in found.disks] == [
        ("/dev/vg0/data", 5 * _GIB + 1), ("/var/lib/libvirt/images/db.qcow2", 20 * _GIB)
    ]  # fmt: skip
    assert [card.place for card in found.cards] == ["direct eno1", "network internal"]
    assert found.properties == {
        "hw_machine_type": "pc-i440fx-6.2", "hw_cpu_mode": "custom", "hw_cpu_model": "Nehalem",
        "hw_cpu_model_extra_flags": "rdrand,-svm", "hw_disk_bus": "virtio", "hw_vif_model": "virtio",
        "hw_video_model": "cirrus",
    }  # fmt: skip
    assert found.left_out == (
        "room for 3 more processors while it runs", "a piece of a MiB of memory, which becomes 1024 MiB",
        "the port or password of its screen",
    )  # fmt: skip


_DISK = "<source file='/var/lib/libvirt/images/web.qcow2'/>"
_HEAD = "<devices>\n    <emulator>"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("type='kvm'", "type='xen'", "run by xen"),
        ("arch='x86_64'", "arch='aarch64'", "machine of aarch64"),
        (">hvm<", ">linux<", "fully virtual"),
        ("<boot dev='hd'/>", "<kernel>/boot/vmlinuz</kernel>", "boots a kernel"),
        ("<features><acpi/>", "<launchSecurity type='sev'/><features><acpi/>", "encrypted"),
        ("<domain type='kvm'>", "<domain type='kvm'><q:commandline "
         "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>", "options of its own"),
        ("<metadata>", "<metadata><n:server xmlns:n='urn:novalite:server:1'/>", "NovaLite appliance"),
        (_HEAD, "<devices><hostdev mode='subsystem' type='pci'/><emulator>", "passed through"),
        (_HEAD, "<devices><filesystem type='mount'/><emulator>", "mounts a directory"),
        (_HEAD, "<devices><shmem name='x'/><emulator>", "shares memory"),
        (_HEAD, "<devices><tpm model='tpm-tis'><backend type='passthrough'/></tpm><emulator>", "TPM"),
        (_HEAD, "<devices><interface type='hostdev'><mac address='52:54:00:00:00:09'/></interface><emulator>",
         "52:54:00:00:00:09 is a device of the machine"),
        ("<model type='virtio'/>\n    </interface>", "<model type='ne2k_isa'/></interface>", "ne2k_isa"),
        ("type='file' device='disk'", "type='network' device='disk'", "kind network"),
        ("type='file' device='disk'", "type='volume' device='disk'", "kind volume"),
        ("type='file' device='disk'", "type='block' device='lun'", "is a lun"),
        ("bus='virtio'/>", "bus='xen'/>", "bus xen"),
        ("type='qcow2' discard", "type='vmdk' discard", "format vmdk"),
        (_DISK, _DISK + "<encryption format='luks'/>", "encrypted"),
        (_DISK, _DISK + "<shareable/>", "shared"),
        (_DISK, _DISK + "<transient/>", "transient"),
        (_DISK, "<source file='relative'/>", "no place"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_told(old: str, new: str, why: str) -> None:
    assert old in VIRT_INSTALL
    found = _read(VIRT_INSTALL.replace(old, new, 1))
    assert any(why in refusal for refusal in found.refusals), found.refusals


def test_everything_is_told_at_once() -> None:
    broken = VIRT_MANAGER.replace("type='raw'/>\n      <source file='/srv/vms", "type='vdi'/>\n<source file='/srv/vms")
    broken = broken.replace("<sound", "<hostdev mode='subsystem' type='usb'/><sound")
    assert len(_read(broken).refusals) == 2


def test_a_disk_that_cannot_be_read() -> None:
    def gone(path: str, form: str) -> Any:
        raise ValueError(f"{path} is not there")

    found = foreign.read(VIRT_INSTALL, Power.OFF, gone, architecture="x86_64")
    assert found.refusals == ("the disk vda: /var/lib/libvirt/images/web.qcow2 is not there",)


def test_one_disk_twice() -> None:
    twice = VIRT_MANAGER.replace("/srv/vms/data.img", "/srv/vms/win11.qcow2")
    assert _read(twice).refusals == ("two of its disks are /srv/vms/win11.qcow2",)
