"""Tempest: Nova's and Neutron's tests and the smoke tests of all services, configured from what the running cloud says
of itself.

A feature is off only when one host cannot have it, or when a deployment has one of two: ``LEFT_OUT`` says why.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from conformance import formats
from conformance.cloud import Cloud
from conformance.environment import Environment
from conformance.suite import Suite

_ON = "True"
_OFF = "False"

_HAD = (
    "change_password", "resize", "vnc_console", "serial_console", "stable_rescue", "personality", "swap_volume",
    "volume_multiattach", "hostname_fqdn_sanitization",
)  # fmt: skip
_VOLUME_HAD = (
    "backup", "snapshot", "clone", "extend_attached_volume", "extend_volume_with_snapshot", "multi_backend",
    "enable_volume_image_dep_tests", "manage_volume", "manage_snapshot", "extend_attached_encrypted_volume",
)  # fmt: skip
_IMAGE_HAD = ("import_image", "os_glance_reserved", "image_format_enforcement", "image_conversion")
_ONE_HOST = "There is one host: nothing to migrate to."
LEFT_OUT = {
    "shelve_migrate": _ONE_HOST,
    "block_migration_for_live_migration": _ONE_HOST,
    "live_migrate_back_and_forth": _ONE_HOST,
    "volume_backed_live_migration": _ONE_HOST,
    "vtpm_live_migration": _ONE_HOST,
    "unified_limits": "Quotas are set in Keystone and in Nova here; Tempest takes Nova's for fixed then.",
    "spice_console": "A guest has one screen, and it speaks VNC: a deployment has one or the other.",
}
"""Features of Compute that are off, and why."""
_COMPUTE_FEATURES = {
    **dict.fromkeys(_HAD, _ON),
    **dict.fromkeys(LEFT_OUT, _OFF),
    "scheduler_enabled_filters": "all",
}


def prepare(_: Environment, cloud: Cloud, directory: Path) -> dict[str, str]:
    """Write tempest.conf, readable for its owner only: it holds the administrator's password."""
    file = directory / "tempest.conf"
    parser = configparser.RawConfigParser()
    parser.read_dict(sections(cloud, directory))
    file.touch(mode=0o600)
    with file.open("w") as out:
        parser.write(out)
    for name in ("logs", "locks"):
        (directory / name).mkdir()
    return {"TEMPEST_CONFIG_DIR": str(directory), "TEMPEST_CONFIG": file.name}


def sections(cloud: Cloud, directory: Path) -> dict[str, dict[str, str]]:
    """All that differs from Tempest's own defaults. Makes the images that are tested beside it."""
    given = cloud.credentials
    shared, extensions = cloud.first_network(external=False), cloud.network_extensions()
    return {
        "DEFAULT": {"log_dir": str(directory / "logs"), "log_file": "tempest.log", "debug": _ON},
        "oslo_concurrency": {"lock_path": str(directory / "locks")},
        "auth": {
            "admin_username": given["OS_USERNAME"],
            "admin_password": given["OS_PASSWORD"],
            "admin_project_name": given["OS_PROJECT_NAME"],
            "admin_domain_name": given["OS_USER_DOMAIN_NAME"],
            "admin_system": "all",
            "tempest_roles": "member",
            "use_dynamic_credentials": _ON,
            "create_isolated_networks": str("router" in extensions),
        },
        "identity": {
            "uri_v3": given["OS_AUTH_URL"],
            "auth_version": "v3",
            "region": given["OS_REGION_NAME"],
        },
        "enforce_scope": dict.fromkeys(("nova", "neutron", "glance", "cinder", "keystone"), _ON),
        "compute": {
            "image_ref": cloud.image_ids[0],
            "image_ref_alt": cloud.image_ids[1],
            "flavor_ref": cloud.flavor_ids[0],
            "flavor_ref_alt": cloud.flavor_ids[1],
            "fixed_network_name": shared["name"] if shared else "",
            "min_compute_nodes": "1",
            "min_microversion": "2.1",
            "max_microversion": "latest",
            # What simulated guests have not done in a minute they never do.
            "build_timeout": "60" if cloud.driver == "fake" else "300",
        },
        "compute-feature-enabled": _COMPUTE_FEATURES,
        "network": _network(cloud),
        "network-feature-enabled": {
            "api_extensions": ",".join(_tested(extensions)), "ipv6_subnet_attributes": _ON, "port_security": _ON,
        },
        "service_available": {
            "nova": _ON, "glance": _ON, "neutron": _ON, "cinder": _ON, "swift": _OFF, "horizon": _OFF,
        },
        "volume": {
            "min_microversion": "3.0", "max_microversion": "latest",
            "volume_type_multiattach": cloud.shared_volume_type,
            "backup_driver": "posix", "backend_names": ",".join(cloud.backends),
            "manage_volume_ref": "source-name,volume-%s", "manage_snapshot_ref": "source-name,snapshot-%s",
            "vendor_name": "NovaLite", "storage_protocol": "fake" if cloud.driver == "fake" else "file",
        },
        "volume-feature-enabled": dict.fromkeys(_VOLUME_HAD, _ON),
        "image": {
            "http_image": cloud.web_url, "http_qcow2_image": cloud.web_url,
            "images_manifest_file": str(formats.write(directory / "formats")),
        },
        "image-feature-enabled": dict.fromkeys(_IMAGE_HAD, _ON),
        "scenario": {"img_file": str(cloud.qcow2), "img_disk_format": "qcow2"},
        "validation": _validation(cloud),
    }  # fmt: skip


def _tested(extensions: list[str]) -> list[str]:
    """With the names that Tempest still knows them by: Neutron has put one extension in place of two for tags."""
    return [*extensions, "tag", "tag-ext"] if "standard-attr-tag" in extensions else extensions


def _network(cloud: Cloud) -> dict[str, str]:
    outside = cloud.first_network(external=True)
    if outside is None:
        return {}
    return {"public_network_id": outside["id"], "floating_network_name": outside["name"]}


def _validation(cloud: Cloud) -> dict[str, str]:
    """Nobody can log in to a simulated guest: tests that try nevertheless need not wait for it."""
    if cloud.driver == "fake":
        return {"run_validation": _OFF, **dict.fromkeys(("ssh_timeout", "connect_timeout", "ping_timeout"), "1")}
    login = {
        "run_validation": _ON, "image_ssh_user": "root", "image_alt_ssh_user": "root", "ssh_shell_prologue": "",
    }  # fmt: skip
    if cloud.first_network(external=True) is not None:
        return {**login, "connect_method": "floating"}
    shared = cloud.first_network(external=False)
    return {**login, "connect_method": "fixed", "network_for_ssh": shared["name"] if shared else ""}


_PART = r"^tempest\.api\.(?:" + "|".join((
    r"compute\.flavors\.", r"compute\.keypairs\.", r"compute\.images\.test_image_metadata",
    r"compute\.servers\.test_create_server\.ServersTestJSON",
    r"compute\.servers\.test_server_actions\.ServerActionsTestJSON",
    r"compute\.servers\.test_server_rescue\.ServerRescueTestJSON\.", r"compute\.servers\.test_servers_negative",
    r"compute\.servers\.test_attach_interfaces\.AttachInterfacesTestJSON",
    r"compute\.volumes\.test_attach_volume\.AttachVolumeTestJSON", r"compute\.admin\.test_quotas\.QuotasAdminTestJSON",
    r"image\.v2\.test_images\.(?:BasicOperations|ImportImages)", r"image\.v2\.test_images_member\.",
    r"volume\.test_volumes_extend\.VolumesExtendTest\.", r"volume\.test_volumes_backup\..*incremental",
    r"volume\.test_volumes_snapshots\..*snapshot_create_get_list", r"volume\.test_volumes_list\.",
    r"network\.test_routers\.", r"network\.test_ports\.", r"network\.test_security_groups\.",
)) + ")"  # fmt: skip
_WHOLE = (
    r"^tempest\.api\.(?:compute|network|image|volume)\."
    r"|^tempest\.scenario\.test_(?:volume_boot_pattern|snapshot_pattern|stamp_pattern|shelve_instance"
    r"|volume_migrate_attached|encrypted_cinder_volumes|minimum_basic|instances_with_cinder_volumes"
    r"|server_volume_attachment|volume_backup_restore|snapshots_with_add_location|server_advanced_ops)\."
    r"|\[.*\bsmoke\b.*\]"
)
TEMPEST = Suite(
    name="tempest",
    packages=("tempest",),
    tests="tempest/test_discover",
    group=r"([^\.]*\.)*",
    whole=_WHOLE,
    smoke=r"\[.*\bsmoke\b.*\]",
    part=_PART,
    most_workers=64,
    prepare=prepare,
)
