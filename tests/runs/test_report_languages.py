"""A comparison in Chinese: no English is left on the page or in the figure, no text is stale."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from matplotlib.text import Text

from sfumato.errors import ArgumentError
from sfumato.metrics.evaluation import Verdict
from sfumato.plots import fonts
from sfumato.runs import compare_models as module
from sfumato.runs.compare_models import ModelComparison, compare_models, facts, figure_of, prepare
from sfumato.runs.families import FAMILIES
from sfumato.runs.report.languages import ENGLISH, Language, language
from sfumato.runs.report.models import figure_in, write_comparison

ZH = language("zh")
# Names, and letters of formulas.
NAMES = {
    "GAN", "VAE", "AUC", "log", "eps", "moons", "Wasserstein", "Adam", "AdamW", "sigma", "zuko",
    "EDM", "DPM", "Solver", "SDE", "Sfumato", "sfumato", "comparison", "json", "pip", "install",
    "compare", "Muon",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def few_rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, rows in {"_MEASURED": 150, "_SCORED": 50, "_DRAWN": 200, "_SHOWN": 50}.items():
            patch.setattr(module, name, rows)
        yield


@pytest.fixture(scope="module")
def every() -> ModelComparison:
    """All families, and all notes that there are."""
    rows = np.column_stack([np.random.default_rng(0).permutation(400), np.full(400, 2.5)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "zuko", None)
        notes = prepare(rows).notes
    assert len(notes) == 3
    return replace(compare_models("moons", steps=dict.fromkeys(FAMILIES, 2)), notes=notes)


@pytest.fixture(scope="module")
def without_truth() -> list[ModelComparison]:
    """Of one and of three columns, by a mixture of one component."""
    rows = np.random.default_rng(0).normal(size=(600, 3))
    return [
        compare_models(rows[:, :count], models=["mixture"], steps={"mixture": 1})
        for count in (1, 3)
    ]


@pytest.fixture(scope="module")
def chinese(every: ModelComparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Chinese page of all families, and what is written beside it."""
    return write_comparison(every, tmp_path_factory.mktemp("zh"), ZH)


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]{2,}", text))


def texts(comparison: ModelComparison, say: Language) -> list[str]:
    """All that is written in the figure."""
    figure = figure_of(comparison)
    say.translate(figure)
    return [each.get_text() for each in figure.findobj(Text) if isinstance(each, Text)]


def test_no_english_is_left_on_the_page(chinese: Path) -> None:
    page = chinese.read_text("utf-8")
    assert '<html lang="zh">' in page
    page = re.sub(r"<style>.*</style>|data:[^\"]*", "", page, flags=re.DOTALL)
    alt = " ".join(re.findall(r'alt="(.*?)"', page))
    assert words(re.sub("<[^>]*>", " ", page) + alt) - words(chinese.parent.name) <= NAMES
    for each in ("列 &#39;x0&#39; 只是行的编号，从 0 到 399", "略去归一化流", "扩散模型"):
        assert each in page


def test_no_english_is_left_in_the_figure(
    every: ModelComparison, without_truth: list[ModelComparison]
) -> None:
    assert words(" ".join(texts(every, ZH))) <= NAMES
    far = replace(every, source=f"/home/{'folder/' * 12}点.csv", seconds=1)
    assert "点.csv：每类模型训练 1 个处理器秒" in texts(far, ZH)
    one, three = (" ".join(texts(each, ZH)) for each in without_truth)
    assert "（只有一列：高度没有含义）" in one
    assert "（x0 与 x1 两列）" in three
    assert words(one + three) <= NAMES | {"array"}
    assert {"生成对抗网络 GAN", "按权重\n选一个", "第 2 层后（共 4 层）"} <= set(texts(every, ZH))


def test_no_text_is_stale(
    every: ModelComparison, without_truth: list[ModelComparison], tmp_path: Path
) -> None:
    marks = {each: f"«{k}»" for k, each in enumerate(ZH.words)}
    marked = Language("zh", {each: said + marks[each] for each, said in ZH.words.items()})
    shown = [write_comparison(every, tmp_path, marked).read_text("utf-8")]
    for each in (every, *without_truth):
        shown += texts(each, marked)
    unknown = replace(every, truth=None)
    shown += [marked(line) for each in every.entries for line in facts(unknown, each)]
    shown += [marked(each) for each in get_args(Verdict)]
    assert [each for each, mark in marks.items() if mark not in " ".join(shown)] == []


def test_the_numbers_are_the_same_in_every_language(
    every: ModelComparison, chinese: Path, tmp_path: Path
) -> None:
    english = write_comparison(every, tmp_path, ENGLISH)
    one, other = (page.with_name("comparison.json").read_bytes() for page in (english, chinese))
    assert one == other


def test_without_a_font_the_figure_is_english(
    every: ModelComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "chinese", lambda: None)
    figure = figure_in(every, ZH)
    assert figure.axes[0].get_ylabel() == "GAN"
    assert figure.axes[0].get_title("center") == "noise z"


def test_with_a_font_the_figure_is_chinese_and_has_every_sign(
    every: ModelComparison, request: pytest.FixtureRequest
) -> None:
    if fonts.chinese() is None:
        pytest.skip("this machine has no font with Chinese characters")
    assert figure_in(every, ZH).axes[0].get_title("center") == "噪声 z"
    # It is drawn: a missing sign would be a warning, and so an error.
    assert request.getfixturevalue("chinese").is_file()


@pytest.mark.parametrize("say", [ENGLISH, ZH], ids=lambda each: str(each.name))
def test_names_with_braces_are_kept(say: Language) -> None:
    note = "the column '{x} {0}' is 7 in every row; each family draws that."
    assert "'{x} {0}'" in say(note)
    assert "a{b}" in say("{name} · Sfumato report", name="a{b}")


def test_a_text_without_chinese_stays_as_it_is() -> None:
    assert ZH("t = 0.5") == "t = 0.5"
    assert ZH("more {count}", count=3) == "more 3"
    assert ZH("noise z\nmine") == "噪声 z\nmine"


def test_another_language_is_refused() -> None:
    with pytest.raises(ArgumentError, match="unknown language 'fr'"):
        language("fr")
