"""Runs guests with libvirt and QEMU on this machine."""

from novalite.drivers.compute.libvirt.driver import LibvirtDriver, LocalStorage

__all__ = ["LibvirtDriver", "LocalStorage"]
