"""Answers kept are bounded, and never outlive what they were made from."""

from __future__ import annotations

from msgspec import Raw

from novalite.api.kit.rendered import Rendered


def test_a_change_on_the_network_makes_every_text_stale() -> None:
    rendered = Rendered()
    rendered.put("key", Raw(b"{}"), rendered.epoch)
    assert rendered.get("key") is not None
    rendered.on_change("port", "id", "project")
    assert rendered.get("key") is None


def test_a_text_made_while_something_changed_is_not_kept() -> None:
    rendered = Rendered()
    began = rendered.epoch
    rendered.on_change("network", "id", "project")
    rendered.put("key", Raw(b"{}"), began)
    assert rendered.get("key") is None


def test_memory_is_bounded_whatever_the_keys() -> None:
    rendered = Rendered(most_bytes=1000)
    for number in range(100):
        rendered.put(number, Raw(b"x" * 100), rendered.epoch)
    assert sum(rendered.get(number) is not None for number in range(100)) <= 11
