"""What libvirt's errors mean in the families of the port."""

from __future__ import annotations

import libvirt

from novalite.errors import DriverError, HostUnreachable, NovaLiteError

_LOST = {
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_AUTH_FAILED,
    libvirt.VIR_ERR_AUTH_CANCELLED,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE,
}
_RETRYABLE = {libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_RESOURCE_BUSY, libvirt.VIR_ERR_AGENT_UNRESPONSIVE}
_CODES = {
    libvirt.VIR_ERR_NO_DOMAIN: "guest.not_found",
    libvirt.VIR_ERR_OPERATION_INVALID: "guest.state",
    libvirt.VIR_ERR_OPERATION_TIMEOUT: "driver.timeout",
    libvirt.VIR_ERR_RESOURCE_BUSY: "driver.busy",
}


def is_lost(error: libvirt.libvirtError) -> bool:
    """Does the error say that libvirtd itself did not answer?"""
    code, domain = error.get_error_code(), error.get_error_domain()
    if code in _LOST:
        return True
    text = (error.get_error_message() or "").lower()
    hung_up = "client socket is closed" in text or "connection closed" in text or "end of file" in text
    transport = domain in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
    return hung_up or (transport and code in (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR))


def translated(op: str, error: libvirt.libvirtError, code: str = "") -> NovaLiteError:
    """The error to raise for ``error``; ``code`` overrides what would be chosen."""
    text = error.get_error_message() or str(error)
    if is_lost(error):
        return HostUnreachable(f"libvirt does not answer: {text}", hint="Is libvirtd running?")
    number = error.get_error_code()
    if "no space left" in text.lower():
        return DriverError(op, text, code="disk.full", retryable=True)
    if "unable to access credentials" in text.lower():
        hint = (
            "libvirt decides at its start where it looks: restart libvirtd once (guests go on), or see docs/volumes.md."
        )
        return DriverError(op, text, code=code or "guest.refused", hint=hint)
    return DriverError(op, text, code=code or _CODES.get(number, "driver.failed"), retryable=number in _RETRYABLE)
