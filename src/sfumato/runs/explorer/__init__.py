"""The explorer: a run as a page that draws with the run's own network, in the browser."""

from sfumato.runs.explorer.page import Page, explore, write_page

__all__ = ["Page", "explore", "write_page"]
