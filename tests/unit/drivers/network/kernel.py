"""A packet filter that understands the few commands that are sent to it, and refuses what nftables would."""

from __future__ import annotations

from dataclasses import dataclass, field

from novalite.errors import DriverError


@dataclass
class Tables:
    """What one namespace holds in the table of frames."""

    elements: dict[str, dict[str, str]] = field(default_factory=dict)  # set -> element -> value
    chains: dict[str, list[str]] = field(default_factory=dict)

    def run(self, line: str) -> None:
        verb, kind, rest = line.split(" ", 2)
        _, _, rest = rest.split(" ", 2)  # family and table
        name, _, more = rest.partition(" ")
        getattr(self, f"{verb}_{kind}")(name, more)

    def add_set(self, name: str, more: str) -> None:
        self.elements.setdefault(name, {})

    def delete_set(self, name: str, more: str) -> None:
        if any(f"@{name} " in rule for rules in self.chains.values() for rule in rules):
            raise AssertionError(f"{name} is in use")
        del self.elements[name]

    def add_chain(self, name: str, more: str) -> None:
        self.chains.setdefault(name, [])

    def flush_chain(self, name: str, more: str) -> None:
        self.chains[name].clear()

    def delete_chain(self, name: str, more: str) -> None:
        if self.chains.pop(name):
            raise AssertionError(f"{name} has rules")
        rules = [rule for own in self.chains.values() for rule in own]
        values = [value for own in self.elements.values() for value in own.values()]
        if any(f"goto {name}" in text for text in [*rules, *values]):
            raise AssertionError(f"{name} is in use")

    def add_rule(self, name: str, more: str) -> None:
        for word in more.split():
            if word.startswith("@") and word[1] != "t" and word[1:] not in self.elements:
                raise AssertionError(f"no set {word}")
        self.chains[name].append(more)

    def add_element(self, name: str, more: str) -> None:
        for item in more.strip("{ }").split(", "):
            key, _, value = item.partition(" : ")
            if key in self.elements[name]:
                raise AssertionError(f"{key} is in {name}")
            self.elements[name][key] = value

    def delete_element(self, name: str, more: str) -> None:
        for item in more.strip("{ }").split(", "):
            del self.elements[name][item]


class Kernel:
    """``texts`` are the transactions as they came. ``broken``: the next one is refused."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.namespaces: dict[str, Tables] = {}
        self.broken = 0

    def load(self, op: str, namespace: str, text: str) -> None:
        if not text:
            return
        if self.broken:
            self.broken -= 1
            raise DriverError(op, "the table is gone")
        self.texts.append((namespace, text))
        lines = text.splitlines()
        if lines[0].startswith("table "):
            self.namespaces[namespace] = tables = Tables()
            end = max(index for index, line in enumerate(lines) if line == "}")
            for words in (line.split() for line in lines[:end] if line.startswith(("  set ", "  map ", "  chain "))):
                if words[0] == "chain":
                    tables.chains[words[1]] = ["base"]
                else:
                    tables.elements[words[1]] = {}
            lines = lines[end + 1 :]
        for line in lines:
            self.namespaces[namespace].run(line)

    @property
    def last(self) -> str:
        return self.texts[-1][1]
