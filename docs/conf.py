"""The site, of docs/ in English and docs/zh/ in Chinese: `make docs` builds both.

The same pages are read in a repository, where their links lead to files. Here links to code lead to
pages that show it, and the benchmarks' pages come from where the benchmarks write them.
"""

import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import chinese_docstrings  # noqa: E402
import chinese_gallery  # noqa: E402
import reference  # noqa: E402  (what the package knows of itself)
from chinese_words import FILE, ChineseWords  # noqa: E402

import sfumato  # noqa: E402

CHINESE = tags.has("zh")  # type: ignore[name-defined]
_SAY = ChineseWords() if CHINESE else str  # what the code says of itself

project = "Sfumato"
author = copyright = "The Sfumato authors"  # noqa: A001
version = release = metadata.version("sfumato")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    # The Chinese gallery shows what the English one has computed.
    "sphinx_gallery.load_style" if CHINESE else "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_templates", "node_modules", "examples"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# From a Chinese page to one that is in English only.
myst_url_schemes = {"http": None, "https": None, "mailto": None, "en": "../en/{{path}}"}
default_role = "code"  # one backtick in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "mixed"
napoleon_use_rtype = False

html_theme = "furo"
html_title = "Sfumato"
html_static_path = [str(ROOT / "docs/_static")]
html_css_files = ["site.css"]
# Sphinx 9.0 names a ChineseStemmer that it does not define, and its search never ends:
# https://github.com/sphinx-doc/sphinx/issues/14229
html_js_files = [("chinese-search.js", {"priority": 100})] if CHINESE else []
mathjax_path = "tex-svg.js"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    # An example ends in a figure, and what its last call returns is of no use.
    "ignore_repr_types": "matplotlib",
}

exclude_patterns += [] if CHINESE else ["zh"]
language = "zh_CN" if CHINESE else "en"
locale_dirs = [str(ROOT / "docs/locale")]  # the theme's words
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {
    "in_chinese": CHINESE,
    "chinese": {path.stem for path in (ROOT / "docs/zh").glob("*.md")}
    | {f"gallery/{path.stem}" for path in (ROOT / "docs/zh/examples").glob("*.py")}
    | {f"api/sfumato.{name}" for name in sfumato.__all__}
    | {"gallery/index", "commands", "settings"},
}
templates_path = [str(ROOT / "docs/_templates")]

# The pages that are other files of the repository.
_MIRRORED = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks/index.md": "bench/README.md",
    **{
        f"benchmarks/{path.name}": f"bench/results/{path.name}"
        for path in sorted((ROOT / "bench/results").glob("*.md"))
    },
}
_PAGE_OF = {ROOT / path: page for page, path in _MIRRORED.items()} | {
    ROOT / "README.md": "index.md",
    ROOT / "README.zh-CN.md": "index.md",
    ROOT / "examples": "gallery/index.rst",
    **{
        path: f"gallery/{path.stem}.rst"
        for folder in ("docs/examples", "docs/zh/examples")
        for path in (ROOT / folder).glob("plot_*.py")
    },
}
_LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".ts": "typescript"}
# The site has a switch for it on every page.
_OTHER_LANGUAGE = re.compile(r"^\*\[(?:中文|English)\]\(.*\)\*$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!\w+:|#|/)([^)#\s]+)(#[^)]*)?\)")


def _linked(text: str, here: Path, pages: Path, name: str) -> tuple[str, set[Path]]:
    """A text of a folder as that of a page, its links too, and the code that they lead to."""
    code = set()

    def page(found: re.Match[str]) -> str:
        target = (here / found[1]).resolve()
        if CHINESE and target == ROOT / "CONTRIBUTING.md":
            return "](en:contributing.html)"
        if target in _PAGE_OF:
            return f"](/{_PAGE_OF[target]}{found[2] or ''})"
        if target.suffix in _LANGUAGES and target.is_file():
            code.add(target)
            return f"](/code/{target.relative_to(ROOT)}.md)"
        if target.suffix == ".png":
            return f"]({os.path.relpath(target, (pages / name).parent)})"
        if target.is_dir() and target.is_relative_to(ROOT / "src"):
            return "](/contributing.md)"
        if target.suffix == ".md" and target.is_relative_to(ROOT / "docs"):
            return f"](/{target.name}{found[2] or ''})"
        return found[0]

    return _LINK.sub(page, text), code


def _write_pages(app: Sphinx) -> None:
    """The pages that are other files, and those that show the code that a page leads to."""
    pages = Path(app.srcdir)
    if CHINESE:
        chinese_gallery.write(ROOT / "docs/gallery", pages / "gallery")
    _write(pages / "commands.md", reference.commands(_SAY))
    _write(pages / "settings.md", reference.settings(_SAY))
    sources = [
        path
        for path in pages.rglob("*.md")
        if not {"code", "zh"} & {*path.relative_to(pages).parts}
    ]
    code = set().union(
        *(
            _linked(each.read_text("utf-8"), each.parent, pages, str(each.relative_to(pages)))[1]
            for each in sources
        )
    )
    for page, path in _MIRRORED.items():
        if CHINESE and not page.startswith("benchmarks"):
            continue
        text, shown = _linked((ROOT / path).read_text("utf-8"), (ROOT / path).parent, pages, page)
        if page == "benchmarks/index.md":
            names = [
                each.removeprefix("benchmarks/")
                for each in _MIRRORED
                if each.startswith("benchmarks/")
            ]
            text += "\n```{toctree}\n:hidden:\n\n" + "\n".join(names[1:]) + "\n```\n"
        _write(pages / page, text)
        code |= shown
    for path in code:
        page = pages / "code" / f"{path.relative_to(ROOT)}.md"
        shown = (
            f"{os.path.relpath(path, page.parent)}\n:language: {_LANGUAGES[path.suffix]}\n:linenos:"
        )
        title = f"---\norphan: true\n---\n\n# {path.relative_to(ROOT)}"
        _write(page, f"{title}\n\n```{{literalinclude}} {shown}\n```\n")


def _write(path: Path, text: str) -> None:
    """Write what is new, so that an unchanged page is not built again."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    pages = Path(app.srcdir)
    text, _ = _linked(source[0], (pages / name).parent, pages, name)
    text = _OTHER_LANGUAGE.sub("", text)
    text = re.sub(r'<a id="([\w-]+)"></a>', r"(\1)=", text)
    source[0] = chinese_gallery.joined(text) if CHINESE else text


def _say_docstring(
    app: Sphinx, kind: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Say a docstring of the API in Chinese, before its lists are taken apart."""
    if chinese_docstrings.is_shown(kind, name, obj, bool(options.imported_members)):
        app.env.note_dependency(FILE)
        lines[:] = chinese_docstrings.chinese("\n".join(lines), _SAY).split("\n")


def _write_colons(app: Sphinx, page: nodes.document) -> None:  # noqa: ARG001
    """Write a colon where Sphinx has two hyphens, of which it makes a dash in English only."""
    for text in [*page.findall(nodes.Text)]:
        if text == " -- ":
            text.parent.replace(text, nodes.Text("："))


def _remove_runs(app: Sphinx, error: Exception | None) -> None:  # noqa: ARG001
    """Remove the run folders of the gallery, whose examples run where they are."""
    shutil.rmtree(ROOT / "docs/examples/runs", ignore_errors=True)


def setup(app: Sphinx) -> None:
    """Connect what is particular to this site."""
    app.connect("builder-inited", _write_pages, priority=1)
    app.connect("source-read", _read)
    if CHINESE:
        app.connect("autodoc-process-docstring", _say_docstring, priority=1)
        app.connect("doctree-read", _write_colons)
    app.connect("build-finished", _remove_runs)
