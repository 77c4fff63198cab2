"""Other firewalls on the machine: finds policies that would swallow packets between the machine's uplinks and ours,
and asks Docker's chain for users to let them through."""

from __future__ import annotations

from typing import Any

from novalite.drivers.network.commands import run, run_json

_USER_CHAIN = "DOCKER-USER"
Matches = frozenset[tuple[str, str]]


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


def _wanted(link: str, *, bridged: bool) -> list[Matches]:
    """A link we route for: all that comes in and goes out; a bridge: only what it bridges."""
    if bridged:
        return [frozenset({("iifname", link), ("oifname", link)})]
    return [frozenset({("iifname", link)}), frozenset({("oifname", link)})]


def _accepted(link: str) -> dict[Matches, int]:
    """Accept rules that match nothing but the link -> handle."""
    listing = run_json("check", ["nft", "-j", "list", "chain", "ip", "filter", _USER_CHAIN])["nftables"]
    found = {}
    for rule in (item["rule"] for item in listing if "rule" in item):
        matches = [part["match"] for part in rule["expr"] if "match" in part]
        keys = frozenset((m["left"].get("meta", {}).get("key", ""), str(m["right"])) for m in matches)
        if any("accept" in part for part in rule["expr"]) and keys <= {("iifname", link), ("oifname", link)} and keys:
            found[keys] = int(rule["handle"])
    return found


def let_through(link: str, *, bridged: bool = False) -> None:
    """With Docker on the machine, forwarded packets of ``link`` are accepted in its chain for users."""
    if not _has_user_chain(_chains()):
        return
    present = _accepted(link)
    for matches in _wanted(link, bridged=bridged):
        if matches not in present:
            words = [word for match in sorted(matches) for word in match]
            run(
                "ensure_network",
                ["nft", "insert", "rule", "ip", "filter", _USER_CHAIN, *words, "counter", "accept"],
            )


def lets_through(links: dict[str, bool]) -> bool:
    """Whether nothing is left to do for these links (name -> bridged)."""
    if not links or not _has_user_chain(_chains()):
        return True
    return all(set(_wanted(link, bridged=bridged)) <= set(_accepted(link)) for link, bridged in links.items())


def forget(link: str) -> None:
    """Take the accept rules out again."""
    if not _has_user_chain(_chains()):
        return
    for handle in _accepted(link).values():
        run("remove_network", ["nft", "delete", "rule", "ip", "filter", _USER_CHAIN, "handle", str(handle)])


def problems() -> list[str]:
    """Sentences about policies of other firewalls that may stop guests, which are not ours to change."""
    chains = _chains()
    return [
        f"The firewall table '{chain['family']} {chain['table']}' drops forwarded packets by default: "
        "guests may not reach the outside. Allow forwarding for interfaces nlu*."
        for chain in _drops(chains, "forward")
        if chain["table"] != "filter" or not _has_user_chain(chains)
    ]
