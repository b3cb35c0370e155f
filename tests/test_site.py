"""The site that `make docs` has built, where it is there: it fits a phone and needs no network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser import browser  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SITE = Path(__file__).parent.parent / "site"
WIDTH = 390  # of a phone


@pytest.fixture(scope="module")
def phone(browser: "Browser") -> Iterator["Page"]:  # noqa: F811 - the fixture
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built (make docs): its pages are not looked at")
    context = browser.new_context(viewport={"width": WIDTH, "height": 844})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_fit_a_phone_and_ask_nothing_of_the_network(phone: "Page", language: str) -> None:
    folder = SITE / language
    pages = [
        *folder.glob("*.html"),
        *folder.glob("gallery/*.html"),
        folder / "api/sfumato.Run.html",
    ]
    assert len(pages) > 50
    wrong: list[str] = []
    phone.on("pageerror", lambda error: wrong.append(f"{phone.url}: {error}"))
    phone.on("requestfailed", lambda asked: wrong.append(f"{phone.url} lacks {asked.url}"))
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    for path in sorted(pages):
        phone.goto(path.as_uri())
        phone.evaluate("async () => { await window.MathJax?.startup?.promise }")
        width = phone.evaluate("() => document.documentElement.scrollWidth")
        if width > WIDTH:
            wrong.append(f"{path.relative_to(SITE)} is {width} pixels wide")
    assert wrong == []
    assert [url for url in asked if url.startswith("http")] == []
