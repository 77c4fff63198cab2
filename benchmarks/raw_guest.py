"""The floor of a boot: libvirt alone starts the domain that NovaLite made, on a fresh overlay."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import libvirt

from benchmarks import waiting
from benchmarks.leftovers import remove_domain
from novalite.drivers.compute.libvirt.guest import Names

PROMPT = b" login:"


class RawLibvirt:
    """Starts domains of the appliance with this state directory, once its servers are off."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._names = Names((state_dir / "appliance-id").read_text().strip())
        self._libvirt = libvirt.open("qemu:///system")

    def console_log(self, server_id: str) -> Path:
        return self._state_dir / "guests" / server_id / "console.log"

    def start(self, server_id: str, *, until_login: bool = False, with_overlay: bool = False) -> float:
        """Seconds that libvirt needs to define and start it, or until its login prompt. ``with_overlay`` counts the
        making of its disk too. The domain is defined and off afterwards."""
        domain = self._libvirt.lookupByName(self._names.domain(server_id))
        definition, log = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), self.console_log(server_id)
        remove_domain(domain)
        log.write_bytes(b"")
        making = time.perf_counter()
        renew(Path(_source(definition)))
        began = making if with_overlay else time.perf_counter()
        domain = self._libvirt.defineXML(definition)
        domain.create()
        if until_login:
            waiting.until(lambda: PROMPT in content(log), 0.02)
        taken = time.perf_counter() - began
        domain.destroy()
        return taken


def content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _source(definition: str) -> str:
    source = ElementTree.fromstring(definition).find("./devices/disk[@device='disk']/source")
    assert source is not None, "the domain has no disk"
    return source.attrib["file"]


def renew(overlay: Path) -> None:
    """The same overlay as it was before the first boot."""
    argv = ["qemu-img", "info", "--output=json", "-f", "qcow2", str(overlay)]
    facts = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout)
    overlay.unlink()
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", facts["backing-filename"]]
    argv += ["-F", facts["backing-filename-format"], str(overlay), str(facts["virtual-size"])]
    subprocess.run(argv, check=True, timeout=30)
