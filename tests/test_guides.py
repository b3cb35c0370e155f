"""The guides and the README: their Python runs, in fewer steps; their commands are commands."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import sfumato
from quick import few_trees, quick_measures
from sfumato import config
from sfumato.runs import distill

ROOT = Path(__file__).parent.parent
CHINESE = [ROOT / "README.zh-CN.md", *sorted((ROOT / "docs/zh").glob("*.md"))]
ENGLISH = [ROOT / "README.md", *(ROOT / "docs" / each.name for each in CHINESE[1:])]
# The textbook's is run in test_chapters.py, to the digit; index.md has the README's first lines.
GUIDES = ("README", "start", "tables", "predict", "go-on", "few-calls", "compare-models")
FEW = {
    "data": {"rows": 1000},
    "training": {"steps": 20, "log_every": 10, "snapshots": 0},
    "sampling": {"steps": 8},
}
SHORTER = {"seconds=20": "seconds=0.1", "1_000_000": "300", "sample(1000": "sample(60"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def without_comments(code: str) -> str:
    return re.sub(r'"""[^"]*"""| *#.*', "", code)


def frame(n: int) -> pd.DataFrame:
    """People and their orders, with missing values."""
    rng = np.random.default_rng(n)
    age, city = rng.integers(20, 60, n), rng.integers(0, 3, n)
    ordered = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D")
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "sex": rng.choice(["F", "M"], n),
            "income": np.exp(0.02 * age + rng.normal(size=n)).round(2),
            "ordered": ordered,
            "delivered": ordered + pd.to_timedelta(rng.integers(0, 9, n), "D"),
            "city": np.array(["Rome", "Milan", "Lyon"])[city],
            "country": np.array(["Italy", "Italy", "France"])[city],
        }
    )


class MyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        out: Tensor = self.layer(torch.column_stack([x, log_snr.expand(len(x))]))
        return out


def names(page: str) -> dict[str, Any]:
    """What a page takes for granted."""
    people = frame(120)
    people.to_csv("people.csv", index=False)
    numbers = np.random.default_rng(0).normal(size=(60, 3))
    return {
        "sfumato": sfumato,
        "frame": people,
        "new": frame(9),
        "MyNetwork": MyNetwork,
        "MySampler": sfumato.samplers.DDIM,
        "my_schedule": sfumato.schedules.Cosine(),
        "run": sfumato.fit("moons", quiet=True) if page == "few-calls" else None,
        "X": numbers,
        "y": np.arange(60) % 3 * 1.0,
        "X_new": numbers[:4],
    }


@pytest.mark.parametrize("page", GUIDES)
def test_the_python_of_a_guide_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (each for each in ENGLISH if each.stem == page)
    monkeypatch.chdir(tmp_path)
    resolve = config.resolve
    monkeypatch.setattr(config, "resolve", lambda *layers: resolve(*layers, FEW))
    for kind in distill._RECIPES:
        monkeypatch.setitem(distill._RECIPES, kind, (200, 6, 0.5, 1))
    torch.manual_seed(0)
    with quick_measures(), few_trees():
        known = names(page)
        assert blocks(path, "python")
        for code in blocks(path, "python"):
            for long, short in SHORTER.items():
                code = code.replace(long, short)
            exec(compile(code, f"{page}.md", "exec"), known)


@pytest.mark.parametrize("place", range(len(ENGLISH)), ids=[each.stem for each in ENGLISH])
def test_the_code_of_a_chinese_page_is_that_of_the_english_one(place: int) -> None:
    for language in ("python", "sh"):
        ours, theirs = (
            ["".join(without_comments(code).split()) for code in blocks(page, language)]
            for page in (ENGLISH[place], CHINESE[place])
        )
        assert ours == theirs


def commands(page: Path) -> list[list[str]]:
    """The words of every command of ours on a page, from the name of the command on."""
    found = []
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" > ")[0], comments=True)
            for at, word in enumerate(words):
                if word == "sfumato" and (at == 0 or words[at - 1] == "-m"):
                    # An array of the shell may hold any words.
                    found.append([each for each in words[at + 1 :] if not each.startswith("${")])
    return found


def all_commands() -> Any:
    from typer.main import get_command

    # Each adds its commands.
    from sfumato.cli import compare, edit, explore, fit, judge, predict, sample, show  # noqa: F401
    from sfumato.cli.app import app

    return get_command(app)


def strictly_parsed(command: Any, words: list[str]) -> list[str]:
    """The words that are no option of the command, no value of one and no argument of it."""
    context = command.make_context(command.name, [], resilient_parsing=True)
    context.resilient_parsing = False
    rest: list[str] = command.make_parser(context).parse_args(list(words))[1]
    return rest


def test_every_command_of_the_pages_is_one_with_options_that_it_has() -> None:
    count, whole = 0, all_commands()
    for page in (*ENGLISH, *CHINESE):
        for words in commands(page):
            command = whole
            while hasattr(command, "commands"):
                assert words, page
                assert words[0] in command.commands, (page.name, words)
                command, words = command.commands[words[0]], words[1:]
            assert strictly_parsed(command, words) == [], (page.name, words)
            count += 1
    assert count > 100


def test_options_and_arguments_that_are_not_there_are_found() -> None:
    fit = all_commands().commands["fit"]
    with pytest.raises(Exception, match="no-such-option"):
        strictly_parsed(fit, ["moons", "--no-such-option"])
    assert strictly_parsed(fit, ["moons", "and", "more"]) == ["and", "more"]
