"""What old clients look for before they use a part of the API: the names of the parts that are served."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, Told, array, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.errors import NotFound

_EXTENSIONS = {
    "NMN": ("Multinic", "Servers with several addresses."),
    "OS-DCF": ("DiskConfig", "How disks of servers are partitioned."),
    "OS-EXT-AZ": ("ExtendedAvailabilityZone", "The zone a server is in."),
    "OS-EXT-IMG-SIZE": ("ImageSize", "The size of images."),
    "OS-EXT-IPS": ("ExtendedIps", "The type of a server's addresses."),
    "OS-EXT-IPS-MAC": ("ExtendedIpsMac", "The MAC address of a server's addresses."),
    "OS-EXT-SRV-ATTR": ("ExtendedServerAttributes", "Where a server is, for administrators."),
    "OS-EXT-STS": ("ExtendedStatus", "What is being done to a server."),
    "OS-FLV-DISABLED": ("FlavorDisabled", "Whether a flavor may be used."),
    "OS-FLV-EXT-DATA": ("FlavorExtraData", "Ephemeral disks of flavors."),
    "OS-SCH-HNT": ("SchedulerHints", "Wishes about the host of a new server."),
    "OS-SRV-USG": ("ServerUsage", "When a server was launched and ended."),
    "os-admin-actions": ("AdminActions", "What administrators may do to servers."),
    "os-aggregates": ("Aggregates", "Groups of hosts."),
    "os-attach-interfaces": ("AttachInterfaces", "Network cards of servers."),
    "os-availability-zone": ("AvailabilityZone", "Zones to put servers into."),
    "os-config-drive": ("ConfigDrive", "Drives that tell servers about themselves."),
    "os-console-auth-tokens": ("ConsoleAuthTokens", "What a console's token stands for."),
    "os-console-output": ("ConsoleOutput", "The text of a server's console."),
    "os-consoles": ("Consoles", "Addresses that open a server's console."),
    "os-deferred-delete": ("DeferredDelete", "Deleting servers at once."),
    "os-extended-services": ("ExtendedServices", "Why a service is disabled."),
    "os-extended-volumes": ("ExtendedVolumes", "The volumes of a server."),
    "os-flavor-access": ("FlavorAccess", "Which projects may use a flavor."),
    "os-flavor-extra-specs": ("FlavorExtraSpecs", "What more a flavor says."),
    "os-flavor-manage": ("FlavorManage", "Making and removing flavors."),
    "os-flavor-rxtx": ("FlavorRxtx", "The network share of flavors."),
    "os-hosts": ("Hosts", "Hosts and what is used of them."),
    "os-hypervisors": ("Hypervisors", "Hypervisors and what is used of them."),
    "os-instance-actions": ("InstanceActions", "What has been done to servers."),
    "os-instance-usage-audit-log": ("OSInstanceUsageAuditLog", "Audits of use."),
    "os-keypairs": ("Keypairs", "Keys for servers."),
    "os-lock-server": ("LockServer", "Locking servers."),
    "os-migrations": ("Migrations", "Moves of servers."),
    "os-multiple-create": ("MultipleCreate", "Several servers at once."),
    "os-pause-server": ("PauseServer", "Pausing servers."),
    "os-personality": ("Personality", "Files put into new servers."),
    "os-quota-class-sets": ("QuotaClasses", "Default quotas."),
    "os-quota-sets": ("Quotas", "Quotas of projects."),
    "os-remote-consoles": ("Consoles", "Addresses that open a server's console."),
    "os-security-groups": ("SecurityGroups", "Security groups."),
    "os-server-diagnostics": ("ServerDiagnostics", "Live figures of servers."),
    "os-server-external-events": ("ServerExternalEvents", "What other services tell."),
    "os-server-groups": ("ServerGroups", "Servers that share hosts or do not."),
    "os-server-password": ("ServerPassword", "Passwords that guests tell."),
    "os-services": ("Services", "Services and whether they take servers."),
    "os-simple-tenant-usage": ("SimpleTenantUsage", "What projects have used."),
    "os-suspend-server": ("SuspendServer", "Suspending servers."),
    "os-tenant-networks": ("OSTenantNetworks", "Networks of projects."),
    "os-used-limits": ("UsedLimits", "What is used of limits."),
    "os-user-data": ("UserData", "Data for a server's first boot."),
    "os-virtual-interfaces": ("VirtualInterfaces", "Network cards of servers, as they once were told."),
}


def _shown(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    return {
        "alias": alias, "name": name, "description": description, "links": [], "updated": "2014-12-03T00:00:00Z",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
    }  # fmt: skip


def list_all(call: Call) -> dict[str, Any]:
    return {"extensions": [_shown(alias) for alias in sorted(_EXTENSIONS)]}


def show(call: Call) -> dict[str, Any]:
    alias = call.path["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound("extension", alias, message="The resource could not be found.")
    return {"extension": _shown(alias)}


_TOLD = record({**dict.fromkeys(("alias", "name", "description", "updated", "namespace"), TEXT), "links": array({})})
ROUTES = [
    Route("GET", f"{ROOT}/extensions", list_all, rule=RULE + "extensions", view=Told("extensions", whole=array(_TOLD))),
    Route("GET", f"{ROOT}/extensions/{{alias}}", show, rule=RULE + "extensions", view=Told("extension", whole=_TOLD)),
]
