"""A real browser for the tests of the explorer; without one they are skipped, in a line."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Software rendering, of the figures alone and not of the page around them; and none of the
# browser's own errands.
_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window; not for longer, as asyncio.run does not run beside Playwright."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: the page is not tested")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield opened
        opened.close()


class Shown:
    """The page of a file, with what it asked of the network and what went wrong."""

    def __init__(self, browser: "Browser", path: Path, **context: Any) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(**context)
        self.context.set_offline(True)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("request", lambda asked: self.requests.append(asked.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.open(path)

    def open(self, path: Path) -> None:
        """Load a page in the place of this one, of which nothing stays."""
        self.page.goto(path.as_uri())
        self.wait()

    def wait(self) -> None:
        """Until both sides are drawn, whole."""
        self.page.wait_for_function(
            """() => {
              const { payload, frames, count, drawing } = window.sfumato;
              const run = payload.value;
              const sides = run.header.exact === null ? ["learned"] : ["learned", "exact"];
              return sides.every((side) => !drawing[side].value
                && frames[side].value?.rows === count.value);
            }"""
        )

    def value(self, expression: str) -> Any:
        """A JavaScript expression over what the page lays open."""
        return self.page.evaluate(f"() => {{ const s = window.sfumato; return {expression}; }}")

    def drawn(self, side: str) -> list[float]:
        """The last state of a side's samples, row after row, as the network sees them."""
        found: list[float] = self.value(
            f"Array.from(s.stateAt(s.frames.{side}.value, s.frames.{side}.value.levels.length - 1))"
        )
        return found

    def choose(self, label: str, value: str) -> None:
        """Pick from a menu, as its user does, and wait for what it changes."""
        self.page.get_by_label(label, exact=True).select_option(value)
        self.wait()

    def check(self, label: str) -> None:
        """Tick a box."""
        self.page.get_by_label(label).check()
        self.wait()

    def close(self) -> None:
        """And everything that was fine until now."""
        self.context.close()
        assert not self.errors, self.errors
