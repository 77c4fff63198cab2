"""The lists of the Compute API with 10, 1,000 and 100,000 servers in the table: SQL statements, time, and a floor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from benchmarks import populate, table
from benchmarks.detail import Bench, Figures, grow
from benchmarks.processes import appliance
from novalite.appliance.build import Built
from novalite.cloud.compute.servers import Server
from novalite.context import internal

SIZES = (10, 1000, 100_000)
AIM_GROWTH = 2.0
"""How much slower the same page may be in the largest table than in one of 1,000."""
_TIMES = 12
_V = "/compute/v2.1"


@dataclass(frozen=True)
class _Lists:
    """What is asked for; ``{middle}`` is a server in the middle of the table, ``{now}`` the present moment."""

    name: str
    path: str


LISTS = (
    _Lists("servers", "/servers?limit=100"),
    _Lists("servers in detail", "/servers/detail?limit=100"),
    _Lists("servers from the middle on", "/servers/detail?limit=100&marker={middle}"),
    _Lists("servers by status", "/servers/detail?limit=100&status=ACTIVE"),
    _Lists("servers by name", "/servers/detail?limit=100&name=many"),
    _Lists("servers by address", "/servers/detail?limit=100&ip=10.128"),
    _Lists("servers by flavor and image", "/servers/detail?limit=100&flavor=1&image={image}"),
    _Lists("servers sorted by name", "/servers/detail?limit=100&sort_key=display_name&sort_dir=asc"),
    _Lists("servers of all projects", "/servers/detail?limit=100&all_tenants=1"),
    _Lists("servers changed since now", "/servers/detail?limit=100&changes-since={now}"),
    _Lists("actions of a server", "/servers/{middle}/os-instance-actions"),
    _Lists("flavors", "/flavors/detail?limit=100"),
    _Lists("key pairs", "/os-keypairs?limit=100"),
    _Lists("server groups", "/os-server-groups?limit=100"),
    _Lists("migrations", "/os-migrations?limit=100"),
    _Lists("hypervisors", "/os-hypervisors/detail?limit=100"),
    _Lists("services", "/os-services"),
    _Lists("aggregates", "/os-aggregates"),
    _Lists("availability zones", "/os-availability-zone/detail"),
)
COLUMNS = ("list", "servers", "SQL", "kB", "inside ms", "HTTP ms", "bare Flask ms", "ratio")


def run(directory: Path, *, with_libvirt: bool) -> None:
    table.heading(
        "Lists of the Compute API",
        "The same page in tables of different sizes. Inside: the whole answer made in one process, no socket.\n"
        "Bare Flask: a route that encodes the same JSON under the same gunicorn worker; the ratio is HTTP over it.",
    )
    state_dir = directory / "state"
    built = populate.build(state_dir)
    ctx, there = populate.admin(built), 0
    image_id = populate.add_image(built, ctx)
    found: dict[str, list[Figures]] = {each.name: [] for each in LISTS}
    bench = Bench(directory, state_dir, built)
    for size in SIZES:
        grow(built, ctx, image_id, there, size)
        there = size
        words = {**_words(built), "image": image_id}
        with appliance(state_dir, options=populate.SETTINGS) as program:
            program.await_ready().close()
            for each in LISTS:
                path = _V + each.path.format_map(words)
                found[each.name].append(bench.measure(program.port, path, times=_TIMES))
    built.database.close()
    table.show(COLUMNS, [_row(name, size, each) for name, all_of_it in found.items()
                         for size, each in zip(SIZES, all_of_it, strict=True)])  # fmt: skip
    _judge(found)


def _words(built: Built) -> dict[str, str]:
    with built.database.read(internal()) as w:
        number = w.session.scalar(sa.select(sa.func.count()).select_from(Server)) or 0
        query = sa.select(Server.id).order_by(Server.created_at.desc(), Server.id.desc())
        middle = w.session.scalar(query.offset(number // 2).limit(1)) or ""
        return {"middle": middle, "now": w.now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _row(name: str, size: int, each: Figures) -> list[str]:
    return [
        name, f"{size:,}", str(each.queries), f"{each.size / 1000:.0f}", each.inside.told(1000, 2),
        each.http.told(1000, 2), f"{each.bare.median * 1000:.2f}", f"{each.http.over(each.bare):.1f}",
    ]  # fmt: skip


def _judge(found: dict[str, list[Figures]]) -> None:
    more = {name: [each.queries for each in figures] for name, figures in found.items()}
    uneven = [f"{name}: {counts}" for name, counts in more.items() if len(set(counts[1:])) > 1]
    told = "; ".join(uneven)
    table.verdict(f"Lists whose SQL statements grow with the table ({told or 'none'})", len(uneven), 0)
    for name, figures in found.items():
        growth = figures[-1].inside.over(figures[1].inside)
        if growth > AIM_GROWTH:
            table.verdict(f"{name}: time among {SIZES[-1]:,} over that among {SIZES[1]:,}", growth, AIM_GROWTH)
