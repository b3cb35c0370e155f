"""Pages of the documentation as tests see them: links, examples, maths, both languages."""

import ast
import os
import re
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def links(page: str) -> list[tuple[str, str]]:
    """(text, target) of every link and picture."""
    return re.findall(r"\[([^\]\[]*)\]\(([^)\s]+)\)", text(page))


def place(page: str, target: str) -> str:
    """Where a link of a page leads, from docs/."""
    return os.path.normpath(Path(page).parent / target)


def examples(page: str) -> list[tuple[str, str]]:
    """(code, what it prints) of every example."""
    return re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text(page), re.DOTALL)


@cache
def names(path: Path) -> frozenset[str]:
    """Functions, classes, methods and constants of a Python file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return frozenset(found)


def followed(page: str) -> int:
    """How many links of a page name a function or test of a file, each of which is there."""
    count = 0
    for label, target in links(page):
        path, _, anchor = target.partition("#")
        if not path:
            assert f'<a id="{anchor}"></a>' in text(page), f"{page}: no anchor {anchor}"
        elif not path.startswith("https://"):
            file = DOCS / place(page, path)
            assert file.exists(), f"{page}: {path} is not there"
            if path.endswith(".py") and label.startswith("`"):
                assert label.strip("`") in names(file), f"{page}: no {label} in {path}"
                count += 1
    return count


def assert_maths_renders(page: str) -> None:
    # What GitHub's Markdown takes for its own: a backslash before punctuation, an underscore that
    # could begin emphasis, `|` in a table, `$` after anything but a space, $$ without blank lines.
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text(page), flags=re.DOTALL)
    display = re.findall(r"\$\$\n(.*)\n\$\$", prose)
    assert len(display) == len(re.findall(r"(?:^|\n\n)\$\$\n.*\n\$\$(?=\n\n)", prose))
    rest = re.sub(r"\$\$\n.*\n\$\$", "", prose)
    inline = re.findall(r"(?<![^\s])\$([^\s$](?:[^$\n]*[^\s$])?)\$(?![\w$])", rest)
    assert 2 * len(inline) == rest.count("$")
    for formula in display + inline:
        assert not re.search(r"\\[^A-Za-z]|[|<>*]|(?<![A-Za-z0-9])_[A-Za-z0-9]", formula), formula
        assert formula.count("{") == formula.count("}"), formula


def assert_same_in_both_languages(english: str) -> None:
    """A page and its Chinese one: formulas, code without comments, links, headings, anchors."""
    chinese = f"zh/{english}"
    pages = (english, chinese)

    def skeleton(page: str) -> list[list[str]]:
        body = text(page)
        display = re.findall(r"\$\$\n(.*)\n\$\$", body)
        said = r'"""[^"]*"""| *#.*'
        code = [re.sub(said, "", part) for example in examples(page) for part in example]
        places = [place(page, target) for _, target in links(page)]
        targets = [each.removeprefix("zh/") for each in places if each not in pages]
        linked = [label for label, _ in links(page) if label.startswith("`")]
        levels = re.findall(r"^#+", body, re.MULTILINE)
        return [display, code, targets, linked, levels, re.findall(r'<a id="(.*?)"></a>', body)]

    for ours, theirs in zip(skeleton(english), skeleton(chinese), strict=True):
        assert ours == theirs
    for page, other in (pages, pages[::-1]):
        assert any(place(page, target) == other for _, target in links(page)[:2])
