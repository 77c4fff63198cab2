"""Pages that fail when the code moves on."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from novalite import settings
from tests.unit.docs_generator import DOCS, GENERATOR, ROOT

PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def test_generated_pages_are_current() -> None:
    assert GENERATOR.stale() == [], "run python docs/generate.py"


def test_every_option_is_described_and_stands_in_the_docs() -> None:
    options = settings.load(environment={})[1]
    assert [option.name for option in options if not option.description.endswith(".")] == []
    text = (DOCS / "configuration.md").read_text()
    assert [option.name for option in options if f"`{option.name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The names GitHub gives to headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    missing = [
        str(page.relative_to(DOCS))
        for page in PAGES
        if page.is_relative_to(DOCS)
        and page.name != "index.md"
        and f"({page.relative_to(DOCS).as_posix()})" not in index
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_exist(page: Path) -> None:
    """Paths of the source tree in backticks; those with a placeholder or a star are left out."""
    wrong = []
    for text in re.findall(r"`([^`\s]+)`", page.read_text()):
        if re.fullmatch(
            r"(novalite|tests|docs|benchmarks|conformance|templates|migrations|packaging|requirements)/[\w./-]+", text
        ):
            found = ROOT / text.partition(":")[0]
            if not (found.exists() or found.with_suffix(".py").exists()):
                wrong.append(text)
    assert wrong == []


def test_every_filter_and_weigher_stands_in_the_docs() -> None:
    text = (DOCS / "scheduler.md").read_text()
    groups = ("novalite.scheduler.filters", "novalite.scheduler.weighers")
    names = [point.name for group in groups for point in entry_points(group=group)]
    assert names
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_readme_leads_with_the_two_commands() -> None:
    beginning = (ROOT / "README.md").read_text()[:900]
    assert "sudo ./run demo" in beginning
    assert "sudo ./run test" in beginning


def test_every_heading_level_follows_the_one_above() -> None:
    for page in PAGES:
        level = 0
        for marks in re.findall(r"^(#+) ", FENCE.sub("", page.read_text()), re.MULTILINE):
            assert len(marks) <= level + 1, page
            level = len(marks)
