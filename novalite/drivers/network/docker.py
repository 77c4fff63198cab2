"""Other firewalls on the machine: finds policies that would swallow guests' packets, and asks Docker's
chain for users to let them through."""

from __future__ import annotations

from typing import Any

from novalite.drivers.network.commands import run, run_json

_USER_CHAIN = "DOCKER-USER"


def _chains() -> list[dict[str, Any]]:
    listing = run_json("check", ["nft", "-j", "list", "chains"])["nftables"]
    return [item["chain"] for item in listing if "chain" in item]


def _drops(chains: list[dict[str, Any]], hook: str) -> list[dict[str, Any]]:
    return [
        c
        for c in chains
        if c.get("hook") == hook
        and c.get("policy") == "drop"
        and c["family"] in ("ip", "inet")
        and not c["table"].startswith("novalite_")
    ]


def _has_user_chain(chains: list[dict[str, Any]]) -> bool:
    return any(c["family"] == "ip" and c["table"] == "filter" and c["name"] == _USER_CHAIN for c in chains)


def _accepted(bridge: str) -> dict[tuple[str, str], int]:
    """(direction, bridge) -> handle of our rules in Docker's chain for users."""
    listing = run_json("check", ["nft", "-j", "list", "chain", "ip", "filter", _USER_CHAIN])["nftables"]
    found = {}
    for rule in (item["rule"] for item in listing if "rule" in item):
        matches = [part["match"] for part in rule["expr"] if "match" in part]
        if len(matches) != 1 or not any("accept" in part for part in rule["expr"]):
            continue
        key, value = matches[0]["left"].get("meta", {}).get("key"), matches[0]["right"]
        if value == bridge and key in ("iifname", "oifname"):
            found[key, bridge] = rule["handle"]
    return found


def let_through(bridge: str) -> None:
    """With Docker on the machine, forwarded packets of ``bridge`` are accepted in its chain for users."""
    if not _has_user_chain(_chains()):
        return
    present = _accepted(bridge)
    for key in ("iifname", "oifname"):
        if (key, bridge) not in present:
            run(
                "ensure_network",
                ["nft", "insert", "rule", "ip", "filter", _USER_CHAIN, key, bridge, "counter", "accept"],
            )


def forget(bridge: str) -> None:
    """Take the accept rules out again."""
    if not _has_user_chain(_chains()):
        return
    for handle in _accepted(bridge).values():
        run("remove_network", ["nft", "delete", "rule", "ip", "filter", _USER_CHAIN, "handle", str(handle)])


def problems() -> list[str]:
    """Sentences about policies of other firewalls that may stop guests, which are not ours to change."""
    chains = _chains()
    found = []
    for chain in _drops(chains, "forward"):
        if chain["table"] == "filter" and _has_user_chain(chains):
            continue
        found.append(
            f"The firewall table '{chain['family']} {chain['table']}' drops forwarded packets by default: "
            "guests may not reach one another or the outside. Allow forwarding for interfaces nlb*."
        )
    found += [
        f"The firewall table '{chain['family']} {chain['table']}' drops incoming packets by default: guests "
        "may get no address. Allow UDP port 67 and TCP port 16925 from interfaces nlb*."
        for chain in _drops(chains, "input")
    ]
    return found
