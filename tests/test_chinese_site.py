"""The Chinese half of the site: nothing of the English one is missing, stale or left in English."""

import ast
import importlib
import inspect
import io
import json
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import sfumato
from sfumato.plots.style import new_figure

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "docs/examples", ROOT / "docs/zh/examples"
EXAMPLES = sorted(path.name for path in ENGLISH.glob("plot_*.py"))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module


@pytest.fixture
def gallery(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("chinese_gallery")


@pytest.fixture
def chinese_words(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("chinese_words")


@pytest.fixture
def chinese_docstrings(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("chinese_docstrings")


@pytest.fixture
def reference(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("reference")


def _docstrings(tree: ast.Module) -> list[ast.Expr]:
    """The statements that are docstrings of the module, its classes and its functions."""
    parts = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [
        each.body[0]
        for each in ast.walk(tree)
        if isinstance(each, parts)
        and ast.get_docstring(each) is not None
        and isinstance(each.body[0], ast.Expr)
    ]


def _code(path: Path) -> str:
    """The code of an example without its comments and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for each in _docstrings(tree):
        each.value = ast.Constant("")
    return ast.unparse(tree)


def test_every_example_has_its_chinese_twin() -> None:
    assert sorted(path.name for path in CHINESE.glob("*.py")) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_chinese_examples_have_the_code_of_the_english_ones(name: str, gallery: ModuleType) -> None:
    assert _code(CHINESE / name) == _code(ENGLISH / name)
    english, chinese = (gallery.blocks(folder / name) for folder in (ENGLISH, CHINESE))
    assert [kind for kind, *_ in chinese] == [kind for kind, *_ in english]


@pytest.mark.parametrize("name", EXAMPLES)
def test_texts_and_comments_of_chinese_examples_are_chinese(name: str, gallery: ModuleType) -> None:
    text = (CHINESE / name).read_text("utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    said = [token.string for token in tokens if token.type == tokenize.COMMENT]
    said = [each for each in said if each != "# %%" and not re.fullmatch("# -+", each)]
    said += [ast.unparse(each) for each in _docstrings(ast.parse(text))]
    said += [content for kind, content, _ in gallery.blocks(CHINESE / name) if kind == "text"]
    assert [each for each in said if not re.search(r"[\u4e00-\u9fff]", each)] == []


_PAGE = """\
:ref:`Go to the end <sphx_glr_download_plot.py>`
        to download the full example code.

Add
===

Two numbers.

.. code-block:: Python


    print(1 + 1)  # their sum

.. code-block:: none

    2

**Total running time of the script:** (0 minutes 5.274 seconds)
:download:`Download Jupyter notebook: plot.ipynb <plot.ipynb>`
:download:`Download Python source code: plot.py <plot.py>`
:download:`Download zipped: plot.zip <plot.zip>`
"""
_ENGLISH = '"""\nAdd\n===\n\nTwo numbers.\n"""\n\nprint(1 + 1)  # their sum\n'
_CHINESE = '"""\n相加\n====\n\n两个数，\n它们之和。\n"""\n\nprint(1 + 1)  # 两者之和\n'


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    english, chinese = tmp_path / "plot.py", tmp_path / "zh.py"
    english.write_text(_ENGLISH, "utf-8")
    chinese.write_text(_CHINESE, "utf-8")
    return english, chinese


def test_a_page_has_chinese_words_beside_the_english_outputs(
    twins: tuple[Path, Path], gallery: ModuleType
) -> None:
    page = gallery.page(_PAGE, *twins)
    assert "相加\n====\n\n两个数，\n它们之和。" in page
    assert "    print(1 + 1)  # 两者之和\n\n.. code-block:: none\n\n    2\n" in page
    assert not re.search("[A-Z][a-z]+ [a-z]+", page), page


def test_a_page_of_another_version_of_the_example_is_refused(
    twins: tuple[Path, Path], gallery: ModuleType
) -> None:
    with pytest.raises(ValueError, match="0 times, not once"):
        gallery.page(_PAGE.replace("1 + 1", "1 + 2"), *twins)
    with pytest.raises(ValueError, match="Total running time"):
        gallery.page(_PAGE.replace("Total", "Whole"), *twins)


def test_a_notebook_has_the_chinese_cells(twins: tuple[Path, Path], gallery: ModuleType) -> None:
    cells = [{"cell_type": "markdown", "source": ["# Add"]}, {"cell_type": "code", "source": [""]}]
    made = json.loads(gallery.notebook(json.dumps({"cells": cells, "nbformat": 4}), twins[1]))
    assert [each["source"] for each in made["cells"]] == [
        ["# 相加\n\n两个数，它们之和。"],
        ["print(1 + 1)  # 两者之和"],
    ]
    assert made["nbformat"] == 4


def test_without_the_english_gallery_it_says_to_build_it(
    tmp_path: Path, gallery: ModuleType
) -> None:
    with pytest.raises(FileNotFoundError, match="build the English site first"):
        gallery.write(tmp_path / "gallery", tmp_path / "zh")


API = (ROOT / "docs/api.md").read_text("utf-8")


def _api() -> Iterator[tuple[object, bool]]:
    """What the page of the API shows, and whether a class shows what it has inherited."""
    for name in re.findall(r"^   (\w+)$", API, re.MULTILINE):
        yield getattr(sfumato, name), True
    hidden = re.findall(r":exclude-members: (.*)", API)[0].split(", ")
    for name in re.findall(r"automodule:: (\S+)", API):
        module = importlib.import_module(name)
        yield module, False
        for member in getattr(module, "__all__", vars(module)):
            value = getattr(module, member)
            here = hasattr(module, "__all__") or getattr(value, "__module__", "") == name
            is_code = inspect.isclass(value) or inspect.isroutine(value)
            if here and is_code and member not in hidden and member[0] != "_":
                yield value, False


def _said(shown: object, inherited: bool) -> Iterator[str]:
    """The docstrings of an object and of its public members."""
    yield inspect.getdoc(shown) or ""
    if not inspect.isclass(shown):
        return
    for owner in shown.__mro__ if inherited else (shown,):
        for name, member in vars(owner).items():
            home = getattr(getattr(member, "fget", member), "__module__", None) or ""
            if (name[0] != "_" or name == "__call__") and home.startswith("sfumato"):
                yield inspect.getdoc(member) or ""


def test_the_chinese_page_of_the_api_shows_the_same_names() -> None:
    chinese = (ROOT / "docs/zh/api.md").read_text("utf-8")
    english, shown = (re.findall("```{eval-rst}.*?```", each, re.DOTALL) for each in (API, chinese))
    assert len(english) == 7
    assert shown == english


def test_all_that_the_code_says_is_in_chinese_and_no_translation_is_stale(
    chinese_words: ModuleType, chinese_docstrings: ModuleType, reference: ModuleType
) -> None:
    words = chinese_words.ChineseWords()
    english, chinese = reference.settings() + reference.commands(), reference.settings(words)
    chinese += reference.commands(words)  # a text without its Chinese is refused, by its name
    for marks in (r"^\| (`\S+`) \|", r"^(\* `.*?`)[:：]", r"^#+ (`.*`)$", r"^\$ .*$"):
        found = re.findall(marks, english, re.MULTILINE)
        assert len(found) > 10
        assert re.findall(marks, chinese, re.MULTILINE) == found
    said = [text for shown, inherited in _api() for text in _said(shown, inherited)]
    assert len(said) > 100
    chinese += "\n".join(chinese_docstrings.chinese(text, words) for text in said)
    assert words.unused == set()
    prose = re.sub(r"```.*?```|`[^`]*`|\[[^\]]*\]", "", chinese, flags=re.DOTALL)
    assert re.findall(r"\b(?:the|of|is|are|with|for|from|what) ", prose) == []


@pytest.fixture
def upper() -> Callable[[str], str]:
    return lambda text: " ".join(text.split()).upper()


def test_the_frame_of_a_docstring_stays(
    chinese_docstrings: ModuleType, upper: Callable[[str], str]
) -> None:
    docstring = """Two\nlines::

    a = b

Args:
    x: one,
        two.
    **more: three.

Returns:
    A number.

Raises:
    ValueError: if not."""
    assert (
        chinese_docstrings.chinese(docstring, upper)
        == """TWO LINES::

    A = B

Args:
    x: ONE, TWO.
    **more: THREE.

Returns:
    A NUMBER.

Raises:
    ValueError: IF NOT."""
    )
    with pytest.raises(ValueError, match="no `name: text` in:     nothing"):
        chinese_docstrings.chinese("Args:\n    nothing", upper)


def test_code_between_chinese_words_is_apart_from_them(chinese_docstrings: ModuleType) -> None:
    said = chinese_docstrings.chinese("x", lambda _: "若 `a` 与`b`（或`c`）。")
    assert said == r"若 `a` 与\ `b`\ （或\ `c`\ ）。"


def test_words_without_a_translation_are_named(chinese_words: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text('[[text]]\nen = "decides every draw"\nzh = "决定每一次抽取"\n', "utf-8")
    words = chinese_words.ChineseWords(file)
    assert words.unused == {"decides every draw"}
    assert words("decides\n    every draw") == "决定每一次抽取"
    assert words.unused == set()
    with pytest.raises(
        ValueError, match=r"words\.toml has no Chinese of: decides every other draw"
    ):
        words("decides every other draw")


def test_a_text_may_be_translated_once_only(chinese_words: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text('[[text]]\nen = "a"\nzh = "甲"\n' * 2, "utf-8")
    with pytest.raises(ValueError, match="has twice: a"):
        chinese_words.ChineseWords(file)


def test_words_of_a_picture_are_replaced_and_one_without_chinese_is_named(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = module("both_languages")
    monkeypatch.setattr(pictures, "_family", lambda: "DejaVu Sans")
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.set(title=r"reverse variance $\beta_t$", xlabel="$x_0$")
    monkeypatch.setattr(figure.canvas, "draw", lambda: None)  # this font lacks the signs
    pictures.translate(figure)
    assert axes.get_title() == r"反向方差 $\beta_t$"
    assert axes.get_xlabel() == "$x_0$"
    axes.set_ylabel("a word")
    with pytest.raises(ValueError, match="no Chinese of: a word"):
        pictures.translate(figure)
