"""The documentation: every link leads somewhere, and both languages have the same pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/zh/*.md"),
        *ROOT.glob("bench/**/*.md"),
    )
)
# Made when the site is built, of other pages.
MADE = {
    *("docs/contributing.md", "docs/changelog.md", "docs/commands.md", "docs/settings.md"),
    *("docs/zh/commands.md", "docs/zh/settings.md"),
}


def _text(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page, and its own marks."""
    headings = re.findall(r"^#+ (.*)$", _text(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings)
    return {*plain, *re.findall(r'<a id="([\w-]+)">', _text(page))}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in MADE])
def test_every_link_leads_somewhere(page: str) -> None:
    here = ROOT / page
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", _text(here)):
        if re.match(r"[a-z]+:", target) or target == "gallery/index.rst":
            continue
        place = (here.parent / target).resolve() if target else here
        made = place.is_relative_to(ROOT) and place.relative_to(ROOT).as_posix() in MADE
        assert place.exists() or made or place.parent.name == "benchmarks", f"{page}: {target}"
        if anchor and place.suffix == ".md":
            assert anchor in _anchors(place), f"{page}: {target}#{anchor}"


def _comments(code: str) -> list[str]:
    """What the comments and docstrings of a page's code say in words, not in symbols."""
    found = re.findall(r'"""([^"]*)"""|(?:^|\s)# ?([^!\n].*)', code)
    return [each for pair in found for each in pair if re.search("[a-z]{3} [a-z]", each)]


@pytest.mark.parametrize("page", [page for page in PAGES if "docs/zh/" in page])
def test_comments_in_the_code_of_a_chinese_page_are_chinese(page: str) -> None:
    blocks = re.findall(
        r"```(?:python|sh|toml)\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL
    )
    comments = [each for block in blocks for each in _comments(block)]
    assert [each for each in comments if not re.search("[\u4e00-\u9fff]", each)] == []


def test_comments_are_told_from_symbols() -> None:
    code = 'x = 1  # every level\ny = 2  # (K-4)\n"""A sum of both."""\n#!/bin/bash\n'
    assert _comments(code) == ["every level", "A sum of both."]


def test_both_languages_have_the_same_pages() -> None:
    made = {Path(each).name for each in MADE}
    english = {path.name for path in ROOT.glob("docs/*.md")} - made
    chinese = {path.name for path in ROOT.glob("docs/zh/*.md")} - made
    assert chinese == english
