"""The Chinese gallery: the English one's pages, with the words of docs/zh/examples in their places.

A Chinese example has the code of the English one, so its figures and outputs are those that the
English build has computed, and nothing is computed twice.
"""

import json
import re
import shutil
import zipfile
from html import escape
from pathlib import Path

from sphinx_gallery.gen_rst import codestr2rst, extract_intro_and_title
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

DOCS = Path(__file__).parent
ENGLISH, CHINESE = DOCS / "examples", DOCS / "zh/examples"

# What sphinx-gallery itself writes on every page.
_FRAME = {
    r":ref:`Go to the end (<\S+>)`\n\s+to download the full example code\.": (
        r":ref:`到页末 \1`\\ 可下载完整的示例代码。"
    ),
    r"\*\*Total running time of the script:\*\* \((\d+) minutes ([\d.]+) seconds\)": (
        r"**运行总时间：**\\ \1 分 \2 秒"
    ),
    r"`Download Jupyter notebook: ": "`下载 Jupyter 笔记本：",
    r"`Download Python source code: ": "`下载 Python 源代码：",
    r"`Download zipped: ": "`下载压缩包：",
}


def write(english: Path, chinese: Path) -> None:
    """Write the Chinese gallery to a folder, from the folder of the built English one."""
    if not (english / "index.rst").exists():
        raise FileNotFoundError(f"{english} is missing: build the English site first")
    shutil.rmtree(chinese, ignore_errors=True)  # examples that are no more
    shutil.copytree(english / "images", chinese / "images")
    index = (english / "index.rst").read_text("utf-8")
    header = "GALLERY_HEADER.rst"
    index = _once(
        index,
        (ENGLISH / header).read_text("utf-8").strip(),
        (CHINESE / header).read_text("utf-8").strip(),
    )
    for path in sorted(ENGLISH.glob("plot_*.py")):
        twin = CHINESE / path.name
        (chinese / path.name).write_text(twin.read_text("utf-8"), "utf-8")
        built = english / path.name
        text = page(built.with_suffix(".rst").read_text("utf-8"), path, twin)
        (chinese / path.name).with_suffix(".rst").write_text(text, "utf-8")
        text = notebook(built.with_suffix(".ipynb").read_text("utf-8"), twin)
        (chinese / path.name).with_suffix(".ipynb").write_text(text, "utf-8")
        with zipfile.ZipFile((chinese / path.name).with_suffix(".zip"), "w") as file:
            for suffix in (".py", ".ipynb"):
                part = (chinese / path.name).with_suffix(suffix)
                file.write(part, part.name)
        (intro, title), (its_intro, its_title) = _heads(path), _heads(twin)
        index = _once(index, f'"{escape(intro)}"', f'"{escape(its_intro)}"')
        index = _once(index, f">{title}<", f">{its_title}<")
    (chinese / "index.rst").write_text(index, "utf-8")


def page(built: str, english: Path, chinese: Path) -> str:
    """A built page of an English example, with the text and the code of its Chinese twin."""
    for (kind, old, _), (its_kind, new, _) in zip(blocks(english), blocks(chinese), strict=True):
        if kind != its_kind:
            raise ValueError(f"{chinese}: {its_kind} stands where {english} has {kind}")
        built = _once(built, _shown(kind, old), _shown(kind, new))
    for old, new in _FRAME.items():
        built, count = re.subn(old, new, built)
        if count != 1:
            raise ValueError(f"{old!r} is on {english.name}'s page {count} times, not once")
    return built


def notebook(built: str, chinese: Path) -> str:
    """The notebook of an English example, with the text and the code of its Chinese twin."""
    content = json.loads(built)
    for cell, (kind, text, _) in zip(content["cells"], blocks(chinese), strict=True):
        cell["source"] = [text.strip("\n") if kind == "code" else _markdown(text)]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def blocks(example: Path) -> list[tuple[str, str, int]]:
    """The blocks of text and of code of an example, in their order: kind, content, line."""
    return split_code_and_text_blocks(example)[1]


def joined(text: str) -> str:
    """Text whose lines of Chinese are joined without a space; those after a heading are not."""
    of_chinese = r"[\u3000-\u9fff\uff00-\uffef]"
    joint = rf"^(?!#)(.*{of_chinese})\n(?={of_chinese})"
    return re.sub(joint, r"\1", text, flags=re.MULTILINE)


def _shown(kind: str, content: str) -> str:
    return codestr2rst(content, lang="Python").rstrip() if kind == "code" else content.strip()


def _heads(example: Path) -> tuple[str, str]:
    intro, title = extract_intro_and_title(example, joined(blocks(example)[0][1]))
    return intro.replace("``", ""), title


def _markdown(text: str) -> str:
    text = re.sub(r"^(.+)\n=+$", r"# \1", text.strip(), flags=re.MULTILINE)
    text = re.sub(r"^(.+)\n-+$", r"## \1\n", text, flags=re.MULTILINE)
    return joined(text).replace("``", "`")


def _once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old!r} is on the English page {text.count(old)} times, not once")
    return text.replace(old, new)
