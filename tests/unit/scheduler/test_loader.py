"""Filters and weighers are found by entry point, by name."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from novalite.engine.scheduler.loader import FILTERS, WEIGHERS, load_filters, load_weighers
from novalite.errors import Invalid


def test_without_names_all_filters_come_cheap_ones_first() -> None:
    filters = load_filters()
    assert [each.order for each in filters] == sorted(each.order for each in filters)
    assert {each.name for each in filters} >= {"alive", "cpu", "ram", "disk", "anti_affinity"}


def test_named_filters_come_in_the_order_they_are_named() -> None:
    assert [each.name for each in load_filters(("ram", "alive"))] == ["ram", "alive"]


@pytest.mark.parametrize("load", [load_filters, load_weighers])
def test_an_unknown_name_is_refused_by_name(load) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Invalid, match="warp_drive"):
        load(("ram", "warp_drive"))


def test_each_goes_by_the_name_of_its_entry_point() -> None:
    for group in (FILTERS, WEIGHERS):
        for point in entry_points(group=group):
            assert point.load().name == point.name
