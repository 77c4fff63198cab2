"""Work on several pieces at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from novalite.drivers.storage.side_by_side import in_order


def test_results_come_in_order() -> None:
    second_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(60)
        if number == 1:
            second_done.set()
        return number * number

    assert list(in_order(work, range(50), at_once=3)) == [number * number for number in range(50)]


def test_few_are_held() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda number: number, items(), at_once=3)
    assert [next(results), next(results)] == [0, 1]
    assert len(taken) <= 4
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 4


def test_a_failure_ends_it() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    got: list[int] = []
    with pytest.raises(ValueError, match="two"):
        got.extend(in_order(work, range(100), at_once=3))


def test_a_failure_of_the_stream_ends_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        list(in_order(lambda number: number, items(), at_once=3))
