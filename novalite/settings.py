"""The one typed settings object: command line over environment over TOML file over default."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from novalite.errors import Invalid

ENVIRONMENT_PREFIX = "NOVALITE_"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"^({_LABEL}(\.{_LABEL})*\.?)?$"


class Secret(str):
    """A text that never shows itself in logs or listings."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _doc(text: str, **bounds: Any) -> Meta:
    return Meta(description=text, **bounds)


class Http(Struct, frozen=True, kw_only=True):
    host: Annotated[str, _doc("Address the API and the UI listen on; 0.0.0.0 opens them to the network.")] = "127.0.0.1"
    port: Annotated[int, _doc("TCP port of all APIs and the UI.", ge=0, le=65535)] = 8774
    public_url: Annotated[str, _doc("Base URL that clients are told; empty: http://HOST:PORT of the listener.")] = ""
    threads: Annotated[int, _doc("Threads that answer requests.", ge=2, le=256)] = 16
    console_port: Annotated[
        int,
        _doc("Second port that serves consoles, classically 6080; 0: only the main port.", ge=0, le=65535),
    ] = 0
    drain_seconds: Annotated[int, _doc("Seconds that running requests may take to end after SIGTERM.", ge=1)] = 30
    secure_cookies: Annotated[
        bool, _doc("Mark the UI's cookies Secure; set it when a TLS proxy stands before NovaLite.")
    ] = False


class DatabaseOptions(Struct, frozen=True, kw_only=True):
    url: Annotated[str, _doc("SQLAlchemy URL; empty: SQLite at STATE_DIR/novalite.db.")] = ""
    busy_timeout_seconds: Annotated[
        float, _doc("Seconds to wait for another process's lock on the SQLite file.", ge=0)
    ] = 10.0


class Compute(Struct, frozen=True, kw_only=True):
    driver: Annotated[
        Literal["libvirt", "fake"],
        _doc("How the local host runs guests: libvirt, or fake for API tests and simulation."),
    ] = "libvirt"
    host_name: Annotated[str, _doc("Name of the local compute host; empty: the machine's host name.")] = ""
    libvirt_uri: Annotated[str, _doc("Connection to libvirt.")] = "qemu:///system"
    virt_type: Annotated[
        Literal["auto", "kvm", "qemu"],
        _doc("Acceleration; auto proves KVM by a tiny boot and falls back to emulation."),
    ] = "auto"
    cpu_model: Annotated[
        str,
        _doc("CPU model of emulated guests; empty: the model that boots fastest. KVM guests get the host's CPU."),
    ] = ""
    availability_zone: Annotated[str, _doc("Availability zone of the local host.")] = "nova"
    agents: Annotated[tuple[str, ...], _doc("Remote hosts as NAME=URL, each served by 'novalite agent'.")] = ()
    agent_secret_file: Annotated[
        str, _doc("File with the secret shared with the agents; empty: STATE_DIR/agent-secret.")
    ] = ""
    fake_hosts: Annotated[int, _doc("Number of simulated hosts the fake driver offers.", ge=1, le=10000)] = 1
    fake_vcpus: Annotated[int, _doc("vCPUs of a simulated host.", ge=1)] = 64
    fake_memory_mib: Annotated[int, _doc("Memory of a simulated host, in MiB.", ge=64)] = 262144
    fake_disk_gib: Annotated[int, _doc("Disk of a simulated host, in GiB.", ge=1)] = 10000
    stop_timeout_seconds: Annotated[int, _doc("Seconds a guest gets to shut down before it is powered off.", ge=0)] = 60
    boot_timeout_seconds: Annotated[
        int, _doc("Seconds a boot may take before it is undone and the server set to ERROR.", ge=10)
    ] = 900
    reclaim_instance_interval_seconds: Annotated[
        int,
        _doc("Seconds that deleted servers can be restored before they are gone for good; 0: they go at once.", ge=0),
    ] = 0
    guest_user: Annotated[
        str, _doc("User that guests run as when they have a group of their own; empty: the one of libvirt's settings.")
    ] = ""
    guest_group: Annotated[
        str,
        _doc(
            "Group that guests run with and that their disks are lent to; empty: none for root, where libvirt hands "
            "disks over, and novalite-guest for other users, who need it."
        ),
    ] = ""
    images_type: Annotated[
        Literal["qcow2", "raw", "lvm"],
        _doc("What servers' own disks are: qcow2, overlays on the image that grow; raw, copies of it; lvm, copies in thin "
             "logical volumes. Files stay what they were made as."),
    ] = "qcow2"  # fmt: skip
    images_volume_group: Annotated[
        str, _doc("Where servers' disks are made with images_type lvm, as GROUP/POOL: a thin pool of LVM.")
    ] = ""
    image_unused_hours: Annotated[
        float, _doc("Hours after which a host forgets a cached image that no disk stands on; 0: never.", ge=0)
    ] = 24.0
    image_check_hours: Annotated[
        float, _doc("Hours after which a host checks a cached image against its checksum again; 0: never.", ge=0)
    ] = 168.0
    nbd_tls_directory: Annotated[
        str,
        _doc("Where libvirt looks for the key with which guests of this host open volumes of other machines "
             "(nbd_tls_x509_cert_dir of its qemu.conf)."),
    ] = "/etc/pki/libvirt-nbd"  # fmt: skip
    rescue_image: Annotated[
        str, _doc("Id of the image servers are rescued from unless a request names one; empty: their own image.")
    ] = ""
    resize_on_same_host: Annotated[
        bool, _doc("Whether a resize may leave a server on its host; with one host nothing else is possible.")
    ] = True
    resize_confirm_seconds: Annotated[
        int, _doc("Seconds after which a resize counts as confirmed; 0: only when somebody confirms it.", ge=0)
    ] = 0
    start_delay_seconds: Annotated[int, _doc("Pause between servers that start with the machine.", ge=0)] = 0
    shelved_offload_seconds: Annotated[
        int, _doc("Seconds after which a shelved server gives its host's room back; 0: at once, -1: never.", ge=-1)
    ] = 0


class Scheduler(Struct, frozen=True, kw_only=True):
    filters: Annotated[
        tuple[str, ...], _doc("Filters in order; empty: all that are installed, in their own order.")
    ] = ()
    cpu_allocation_ratio: Annotated[float, _doc("vCPUs that may be promised for each CPU of a host.", gt=0)] = 16.0
    ram_allocation_ratio: Annotated[float, _doc("Memory that may be promised for each MiB of a host.", gt=0)] = 1.0
    disk_allocation_ratio: Annotated[float, _doc("Disk that may be promised for each GiB of a host.", gt=0)] = 1.0
    reserved_memory_mib: Annotated[int, _doc("Memory of the local host kept for itself, in MiB.", ge=0)] = 512
    reserved_disk_gib: Annotated[
        int,
        _doc("Disk of the local host kept free for what runs, in GiB: no server is placed and no copy made that would "
             "need it.", ge=0),
    ] = 1  # fmt: skip
    host_down_seconds: Annotated[int, _doc("Seconds without a report after which a host counts as down.", ge=5)] = 60
    max_attempts: Annotated[int, _doc("Hosts tried for one boot.", ge=1)] = 3


class Network(Struct, frozen=True, kw_only=True):
    driver: Annotated[
        Literal["auto", "linux", "fake"],
        _doc("How networks are made; auto: linux with libvirt, fake with the fake driver."),
    ] = "auto"
    privileged_socket: Annotated[
        str,
        _doc("Socket of 'novalite privileged', which makes networks for a process without root; not used by root."),
    ] = "/run/novalite-privileged/socket"
    cidr: Annotated[str, _doc("Range of the network made at first start; 'auto' takes a free private /24.")] = "auto"
    name: Annotated[str, _doc("Name of the network made at first start.")] = "private"
    public_cidr: Annotated[
        str,
        _doc("Range of floating addresses made at first start; 'auto' takes a free private /24, 'none' makes none."),
    ] = "auto"
    public_name: Annotated[str, _doc("Name of the external network that floating addresses come from.")] = "public"
    mtu: Annotated[int, _doc("MTU of the network made at first start, in bytes.", ge=576, le=65535)] = 1500
    dns_servers: Annotated[
        tuple[str, ...],
        _doc("Name servers that the networks' own ones ask; empty: those of the machine that are not on loopback."),
    ] = ()
    dns_domain: Annotated[
        str, _doc("Domain of guests on networks that say none; empty: they have none.", pattern=_DOMAIN)
    ] = "openstacklocal"
    physical_networks: Annotated[
        tuple[str, ...],
        _doc("Interfaces of the machine that flat and VLAN networks may use, each as NAME=INTERFACE."),
    ] = ()
    conntrack: Annotated[
        Literal["netfilter", "bridge"],
        _doc(
            "What tracks guests' connections; netfilter: br_netfilter; bridge: nf_conntrack_bridge, for kernels that have it."
        ),
    ] = "netfilter"


class Images(Struct, frozen=True, kw_only=True):
    max_size_gib: Annotated[int, _doc("Largest image upload, in GiB.", ge=1)] = 100
    max_virtual_size_gib: Annotated[int, _doc("Largest virtual size an image may claim, in GiB.", ge=1)] = 1024
    reserve_gib: Annotated[
        float, _doc("Free disk kept back: uploads that would go below are refused, in GiB.", ge=0)
    ] = 1.0
    convert_to: Annotated[
        Literal["qcow2", "raw", "none"],
        _doc(
            "What imported VMDK, VDI, VHD and VHDX images become, since no guest runs well from those; none: they stay."
        ),
    ] = "qcow2"
    web_download: Annotated[bool, _doc("Whether images can be imported from the web.")] = True
    web_download_schemes: Annotated[tuple[str, ...], _doc("Schemes that imports from the web may use.")] = (
        "http",
        "https",
    )
    web_download_ports: Annotated[tuple[int, ...], _doc("TCP ports that imports from the web may use.")] = (80, 443)
    web_download_hosts: Annotated[
        tuple[str, ...],
        _doc("Hosts that images may be imported from; .NAME: all below NAME; empty: every one that is not forbidden."),
    ] = ()
    web_download_forbidden_hosts: Annotated[tuple[str, ...], _doc("Hosts that images are never imported from.")] = ()
    web_download_networks: Annotated[
        tuple[str, ...],
        _doc(
            "Networks as CIDR that images may be imported from although their addresses are not public ones; without it"
            " nothing leads to this machine, its neighbours and the metadata address."
        ),
    ] = ()


class Volumes(Struct, frozen=True, kw_only=True):
    backends: Annotated[
        tuple[str, ...],
        _doc("Where volumes are kept, as NAME=DRIVER?option=value&option=value; the first is the default. Empty: files "
             "of this machine, below STATE_DIR/volumes."),
    ] = ()  # fmt: skip
    reserve_gib: Annotated[
        float, _doc("Free room kept back on each backend: volumes that would go below are refused, in GiB.", ge=0)
    ] = 1.0
    oversubscription: Annotated[
        float, _doc("Sizes that may be promised for each GiB of a backend that is thin.", gt=0)
    ] = 20.0
    export_address: Annotated[
        str,
        _doc("Address of this machine at which other compute hosts open volumes that only this machine keeps; empty: "
             "they cannot."),
    ] = ""  # fmt: skip
    export_port: Annotated[
        int,
        _doc("First TCP port of exported volumes: each compute host has one, from here on; 0: any.", ge=0, le=65535),
    ] = 10809
    swap_directly: Annotated[
        bool,
        _doc("Let administrators put another volume in place of one that a server has (PUT os-volume_attachments), as "
             "Nova did until 2025. Without it that is a 409, as Nova has it by now."),
    ] = False  # fmt: skip


class Backups(Struct, frozen=True, kw_only=True):
    directory: Annotated[
        str, _doc("Where backups of volumes are kept, best on another disk or a share; empty: STATE_DIR/backups.")
    ] = ""
    s3_bucket: Annotated[str, _doc("Bucket in which they are kept instead; it must be there already.")] = ""
    s3_endpoint: Annotated[
        str, _doc("URL of the server that has the bucket, https:// or http:// (unprotected); empty: Amazon's.")
    ] = ""
    s3_region: Annotated[str, _doc("Region of the bucket.")] = "us-east-1"
    s3_prefix: Annotated[str, _doc("What the names of all objects begin with, as a directory; empty: nothing.")] = ""
    s3_credentials_file: Annotated[
        str,
        _doc("File with aws_access_key_id and aws_secret_access_key below [default]; empty: AWS_ACCESS_KEY_ID and "
             "AWS_SECRET_ACCESS_KEY of the environment."),
    ] = ""  # fmt: skip
    s3_ca_file: Annotated[str, _doc("PEM file of authorities to trust besides the machine's; empty: none.")] = ""
    key_file: Annotated[
        str, _doc("File with a secret of 32 bytes or more that backups are encrypted with; empty: they are not.")
    ] = ""


class Protection(Struct, frozen=True, kw_only=True):
    tests: Annotated[
        int, _doc("Copies that are booted at once to see whether they come up; 0: none.", ge=0, le=100)
    ] = 1
    test_memory_mib: Annotated[int, _doc("Most memory of such a guest, in MiB; its image may ask for more.", ge=64)] = (
        2048
    )


class Identity(Struct, frozen=True, kw_only=True):
    token_seconds: Annotated[int, _doc("Life of a token, in seconds.", ge=60)] = 86400
    region: Annotated[str, _doc("Region name in the catalogue.")] = "RegionOne"
    lockout_failures: Annotated[int, _doc("Failed logins of one name after which it waits.", ge=1)] = 10
    lockout_seconds: Annotated[int, _doc("Seconds it waits.", ge=1)] = 60


class PolicyOptions(Struct, frozen=True, kw_only=True):
    file: Annotated[
        str, _doc("YAML or JSON file of policy rules that take the place of the defaults; empty: none. Read at start.")
    ] = ""


class Console(Struct, frozen=True, kw_only=True):
    token_seconds: Annotated[int, _doc("Life of a console token, in seconds.", ge=10)] = 600


class Quota(Struct, frozen=True, kw_only=True):
    instances: Annotated[int, _doc("Servers per project; -1: no limit.", ge=-1)] = 10
    cores: Annotated[int, _doc("vCPUs per project; -1: no limit.", ge=-1)] = 20
    ram_mib: Annotated[int, _doc("Memory per project, in MiB; -1: no limit.", ge=-1)] = 51200
    key_pairs: Annotated[int, _doc("Key pairs per user; -1: no limit.", ge=-1)] = 100
    metadata_items: Annotated[int, _doc("Metadata items per server; -1: no limit.", ge=-1)] = 128
    server_groups: Annotated[int, _doc("Server groups per project; -1: no limit.", ge=-1)] = 10
    server_group_members: Annotated[int, _doc("Servers per group; -1: no limit.", ge=-1)] = 10
    injected_files: Annotated[int, _doc("Files injected into a server; -1: no limit.", ge=-1)] = 5
    injected_file_content_bytes: Annotated[int, _doc("Size of an injected file, in bytes.", ge=-1)] = 10240
    injected_file_path_bytes: Annotated[int, _doc("Length of an injected file's path, in bytes.", ge=-1)] = 255
    networks: Annotated[int, _doc("Networks per project; -1: no limit.", ge=-1)] = 100
    subnets: Annotated[int, _doc("Subnets per project; -1: no limit.", ge=-1)] = 100
    ports: Annotated[int, _doc("Ports per project; -1: no limit.", ge=-1)] = 500
    routers: Annotated[int, _doc("Routers per project; -1: no limit.", ge=-1)] = 10
    floating_ips: Annotated[int, _doc("Floating addresses per project; -1: no limit.", ge=-1)] = 50
    security_groups: Annotated[int, _doc("Security groups per project; -1: no limit.", ge=-1)] = 10
    security_group_rules: Annotated[int, _doc("Rules of security groups per project; -1: no limit.", ge=-1)] = 100
    subnet_pools: Annotated[int, _doc("Subnet pools per project; -1: no limit.", ge=-1)] = -1
    rbac_policies: Annotated[int, _doc("RBAC policies of networks per project; -1: no limit.", ge=-1)] = 10
    images: Annotated[int, _doc("Images per project; -1: no limit.", ge=-1)] = -1
    image_size_mib: Annotated[int, _doc("Data of images per project, in MiB; -1: no limit.", ge=-1)] = -1
    image_stage_mib: Annotated[
        int, _doc("Data per project that wait to be imported as images, in MiB; -1: no limit.", ge=-1)
    ] = -1
    images_uploading: Annotated[
        int, _doc("Images per project that are uploaded, staged or imported at once; -1: no limit.", ge=-1)
    ] = -1
    volumes: Annotated[int, _doc("Volumes per project; -1: no limit.", ge=-1)] = 10
    snapshots: Annotated[int, _doc("Snapshots of volumes per project; -1: no limit.", ge=-1)] = 10
    gigabytes: Annotated[int, _doc("Volumes and their snapshots per project, in GiB; -1: no limit.", ge=-1)] = 1000
    per_volume_gigabytes: Annotated[int, _doc("Largest volume, in GiB; -1: no limit.", ge=-1)] = -1
    backups: Annotated[int, _doc("Backups of volumes per project; -1: no limit.", ge=-1)] = 10
    backup_gigabytes: Annotated[int, _doc("Backups of volumes per project, in GiB; -1: no limit.", ge=-1)] = 1000
    volume_groups: Annotated[int, _doc("Groups of volumes per project; -1: no limit.", ge=-1)] = 10


class Tasks(Struct, frozen=True, kw_only=True):
    workers: Annotated[int, _doc("Threads that run tasks.", ge=1, le=256)] = 8
    sweep_seconds: Annotated[int, _doc("Seconds between sweeps for tasks whose wake-up was lost.", ge=1)] = 10
    keep_days: Annotated[int, _doc("Days that finished tasks are kept.", ge=1)] = 30


class Logging(Struct, frozen=True, kw_only=True):
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _doc("Least level that is logged.")] = "INFO"
    json: Annotated[bool, _doc("One JSON object per line instead of text.")] = False


def default_state_dir() -> str:
    """root: /var/lib/novalite; others: the user's data directory."""
    if os.geteuid() == 0:
        return "/var/lib/novalite"
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(base) / "novalite")


class Settings(Struct, frozen=True, kw_only=True):
    state_dir: Annotated[str, _doc("Directory of the database, images, disks, credentials and run-time files.")] = (
        msgspec.field(default_factory=default_state_dir)
    )
    http: Http = Http()
    database: DatabaseOptions = DatabaseOptions()
    compute: Compute = Compute()
    scheduler: Scheduler = Scheduler()
    network: Network = Network()
    images: Images = Images()
    volumes: Volumes = Volumes()
    backups: Backups = Backups()
    protection: Protection = Protection()
    identity: Identity = Identity()
    policy: PolicyOptions = PolicyOptions()
    console: Console = Console()
    quota: Quota = Quota()
    tasks: Tasks = Tasks()
    logging: Logging = Logging()

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir)

    @property
    def local_host(self) -> str:
        """Name of the host that is this machine."""
        return self.compute.host_name or socket.gethostname()

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.state_path / 'novalite.db'}"

    @property
    def public_url(self) -> str:
        return self.http.public_url.rstrip("/") or f"http://{_reachable(self.http.host)}:{self.http.port}"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104


class Option(Struct, frozen=True):
    """One documented option: dotted ``name``, ``default``, ``value`` and its ``origin``."""

    name: str
    description: str
    default: Any
    value: Any
    origin: str


def _leaves(struct: type[Struct], prefix: str = "") -> Iterator[tuple[str, Any, str, Any]]:
    hints = get_type_hints(struct, include_extras=True)
    for item in msgspec.structs.fields(struct):
        hint = hints[item.name]
        name = prefix + item.name
        if isinstance(hint, type) and issubclass(hint, Struct):
            yield from _leaves(hint, name + ".")
            continue
        meta = next((m for m in get_args(hint)[1:] if isinstance(m, Meta)), None)
        plain = get_args(hint)[0] if meta else hint
        default = item.default_factory() if item.default is msgspec.NODEFAULT else item.default
        yield name, plain, (meta.description or "") if meta else "", default


def _from_text(kind: Any, text: str) -> Any:
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def environment_name(option: str) -> str:
    """``http.port`` is read from ``NOVALITE_HTTP_PORT``."""
    return ENVIRONMENT_PREFIX + option.upper().replace(".", "_")


def load(
    *,
    arguments: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> tuple[Settings, list[Option]]:
    """Settings and where each value came from. ``arguments`` holds dotted names; ``None`` values are not given.

    Raises ``Invalid`` naming the option that is unknown or out of range.
    """
    environment = os.environ if environment is None else environment
    known = {name: (kind, description, default) for name, kind, description, default in _leaves(Settings)}
    given: dict[str, tuple[Any, str]] = {}
    if file is None and environment.get("NOVALITE_CONFIG"):
        file = Path(environment["NOVALITE_CONFIG"])
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise Invalid(f"The settings file {file} cannot be read: {error}", field=str(file)) from error
        given.update({name: (value, str(file)) for name, value in _flatten(tree)})
    for name, (kind, _, _) in known.items():
        text = environment.get(environment_name(name))
        if text is not None:
            given[name] = (_from_text(kind, text), environment_name(name))
    for name, value in (arguments or {}).items():
        if value is not None:
            written = isinstance(value, str) and name in known
            given[name] = (_from_text(known[name][0], value) if written else value, "command line")
    values: dict[str, Any] = {}
    for name, (value, origin) in given.items():
        if name not in known:
            raise Invalid(
                f"There is no option {name} ({origin}).", field=name, hint="'novalite config' lists them all."
            )
        _put(values, name, value)
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The settings are not valid: {error}", field=str(error).rpartition("`$.")[2].rstrip("`")
        ) from error
    options = []
    for name, (_, description, default) in known.items():
        current: Any = settings
        for part in name.split("."):
            current = getattr(current, part)
        options.append(Option(name, description, default, current, given[name][1] if name in given else "default"))
    return settings, options
