"""Runs guests with libvirt and QEMU on this machine."""

from novalite.drivers.compute.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
