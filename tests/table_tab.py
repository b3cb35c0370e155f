"""The explorer's page of a table in a tab of a real browser."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

IDLE = """() => {
  const { table, drawing } = window.sfumato.tables;
  return table.value !== null && !drawing.value;
}"""


class Tab:
    """One tab, with what it asked of the network and what went wrong."""

    def __init__(self, browser: "Browser", address: str) -> None:
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, accept_downloads=True
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.open(address)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.wait()

    def wait(self) -> None:
        """Until what was asked for has been answered."""
        self.page.wait_for_function(IDLE)

    def rows(self, name: str, column: int) -> list[float | None]:
        """A column of `begun`, or of the rows of `drawn` or `filled`; null where missing."""
        rows = "begun.value" if name == "begun" else f"{name}.value.rows"
        found: list[float | None] = self.page.evaluate(
            f"() => Array.from(window.sfumato.tables.{rows}.columns[{column}],"
            " (value) => Number.isNaN(value) ? null : value)"
        )
        return found

    def condition(self, column: int) -> "Locator":
        return self.page.get_by_test_id(f"condition-{column}")

    def said(self, name: str) -> str:
        return self.page.get_by_test_id(name).inner_text()

    def download(self, button: str, to: Path) -> Path:
        with self.page.expect_download() as begun:
            self.page.get_by_test_id(button).click()
        begun.value.save_as(to / begun.value.suggested_filename)
        return to / begun.value.suggested_filename

    def mode(self, name: str) -> None:
        self.page.get_by_label(name, exact=True).check()
        self.wait()

    def close(self) -> None:
        self.context.close()
        assert not self.errors, self.errors
