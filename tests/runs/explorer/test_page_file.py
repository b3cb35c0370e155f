"""The button that keeps the page as a file: the file of `--to`, from the server and from itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from browser import Shown, browser
from command_line import leave
from explorer_pages import page, read
from fitted import NOT_IN_THE_PAGE, sampled_by
from forked_worker import ForkedWorkers, forked_workers
from sfumato import Run
from sfumato.runs.explorer.server import Explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

__all__ = ["browser", "forked_workers"]

CLOSE = 1e-4  # as of `test_page`


@pytest.fixture(scope="module")
def moons_explorer(moons: Run, forked_workers: ForkedWorkers) -> Iterator[Explorer]:
    assert moons.folder is not None
    with Explorer(moons.folder) as explorer:
        yield explorer


@pytest.fixture(scope="module")
def tab(browser: "Browser", moons_explorer: Explorer) -> Iterator["Page"]:
    """The served page."""
    context = browser.new_context(locale="en")
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    opened.goto(moons_explorer.address)
    yield opened
    context.close()


def _kept(tab: "Page", within: "Page | Frame", to: Path) -> Path:
    """Press the button, and keep what is downloaded under the name that it has, in a folder."""
    with tab.expect_download() as found:
        within.get_by_test_id("page-file").click()
    path = to / found.value.suggested_filename
    found.value.save_as(path)
    return path


def _assert_draws_as(browser: "Browser", path: Path, run: Run) -> None:
    """A browser without a network shows the samples of `run.sample`."""
    shown = Shown(browser, path)
    codec: Any = run.model.codec
    drawn = codec.decode(torch.tensor(shown.drawn("learned")).reshape(-1, codec.dimension))
    off = (np.asarray(drawn) - np.asarray(run.sample(2000))) / np.array(codec.scale)
    assert np.abs(off).max() < CLOSE
    assert all(url.startswith(("file:", "blob:", "data:")) for url in shown.requests)
    shown.close()


def test_the_served_page_gives_the_file_that_the_command_writes(
    browser: "Browser", tab: "Page", moons: Run, tmp_path: Path
) -> None:
    assert moons.folder is not None
    path = _kept(tab, tab, tmp_path)
    assert path.name == f"{moons.folder.name}.html"
    assert leave(f"explore {moons.folder} --to {tmp_path / 'by_command.html'}") == 0
    assert path.read_bytes() == (tmp_path / "by_command.html").read_bytes()
    size = f"{path.stat().st_size / 1e6:.2f} MB"
    said = tab.get_by_test_id("page-state")
    assert said.inner_text() == f"{path.name} ({size}) needs no server and no network."
    tab.get_by_test_id("language").click()
    assert said.inner_text() == f"{path.name}（{size}），无需服务器，也无需联网。"
    assert tab.get_by_test_id("page-file").inner_text() == "本页 (.html)"
    tab.get_by_test_id("language").click()
    _assert_draws_as(browser, path, moons)


def test_a_file_keeps_itself(browser: "Browser", moons: Run, tmp_path: Path) -> None:
    moons.explore(tmp_path / "page.html")
    copies = [tmp_path / "page.html"]
    for number in ("first", "second"):
        shown = Shown(browser, copies[-1])
        (tmp_path / number).mkdir()
        copies.append(_kept(shown.page, shown.page, tmp_path / number))
        shown.close()
    assert copies[1].read_bytes() == copies[2].read_bytes()
    _assert_draws_as(browser, copies[2], moons)


def test_a_notebook_gives_the_file_too(browser: "Browser", moons: Run, tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html>{moons.explore()._repr_html_()}", encoding="utf-8")
    opened = browser.new_page()
    opened.goto(notebook.as_uri())
    path = _kept(opened, opened.frames[1], tmp_path)
    opened.close()
    _assert_draws_as(browser, path, moons)


@pytest.mark.usefixtures("forked_workers")
def test_what_the_file_does_without_is_said(
    browser: "Browser",
    of_orders: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    sampled_by(of_orders, NOT_IN_THE_PAGE).save("orders.safetensors")
    with Explorer(Path("orders.safetensors")) as explorer:
        opened = browser.new_page(locale="en")
        opened.goto(explorer.address)
        path = _kept(opened, opened, tmp_path)
        said = opened.get_by_test_id("page-state")
        why = f"the page does not have the sampler {NOT_IN_THE_PAGE}"
        assert path.name == "orders-csv.html"
        assert said.inner_text().endswith(f"It does without drawing by itself: {why}.")
        opened.get_by_test_id("language").click()
        assert f"此文件不自行生成：页面没有采样器 {NOT_IN_THE_PAGE}。" in said.inner_text()
        opened.close()
    capsys.readouterr()
    assert leave("explore orders.safetensors --to by_command.html") == 0
    assert f"It does without drawing by itself ({why})" in capsys.readouterr().out
    assert path.read_bytes() == Path("by_command.html").read_bytes()


@pytest.mark.usefixtures("forked_workers")
def test_while_a_fit_runs_it_is_refused_with_why(
    browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toy = {"type": "fit", "source": "toy", "name": "moons", "noise": None, "steps": 100_000}
    with Explorer() as explorer, page(explorer.address) as other:
        other.send({"type": "make_page", "request": 1})
        assert "no run" in other.until_error()
        other.send(toy)
        other.until_payload()
        opened = browser.new_page(locale="en")
        opened.goto(explorer.address)
        opened.get_by_test_id("page-file").click()
        said = opened.get_by_test_id("page-state")
        said.wait_for()
        opened.wait_for_function(
            "() => document.querySelector('[data-testid=page-state]').matches('.problem')"
        )
        assert said.inner_text() == "a fit is running; stop it first."
        other.send({"type": "stop"})
        other.until_state("stopped")
        opened.get_by_text("Go on", exact=True).wait_for()
        path = _kept(opened, opened, tmp_path)
        assert path.name == "moons-001.html"
        opened.close()


def test_the_answer_is_for_who_asked_and_holds_no_path_of_this_machine(
    moons_explorer: Explorer, moons: Run
) -> None:
    with page(moons_explorer.address) as one:
        one.until_payload()
        one.send({"type": "make_page", "request": 4})
        header, arrays = read(one.until_payload())
    assert (header["kind"], header["request"]) == ("answer", 4)
    assert moons.folder is not None
    html = arrays["page"].tobytes().decode()
    assert str(moons.folder.parent) not in html
    assert str(moons.folder.parent) not in str(header)
