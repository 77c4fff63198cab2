"""Plain text tables on standard output, and the aims beside the figures."""

from __future__ import annotations

from collections.abc import Sequence


def heading(title: str, explanation: str = "") -> None:
    """A section's title and what it measures."""
    print(f"\n{title}\n{'-' * len(title)}", flush=True)
    if explanation:
        print(explanation, flush=True)


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows below their column titles; the first column is a name, the others are figures."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    for row in (columns, ["-" * width for width in widths], *rows):
        first, *others = (text for text in row)
        cells = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells).rstrip(), flush=True)


def verdict(what: str, value: float, aim: float, unit: str = "") -> None:
    """One line: the figure, its aim, and whether it is met (less is better)."""
    met = "met" if value <= aim else "MISSED"
    print(f"{what}: {value:.2f}{unit}, aim at most {aim:g}{unit}: {met}", flush=True)
