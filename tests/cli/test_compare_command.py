"""The command `compare models`: what it prints and writes, and what it refuses."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import Command
from sfumato.errors import DivergedError
from sfumato.plots import fonts
from sfumato.runs import compare_models
from sfumato.runs.families import Fitted, gan


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in {"_MEASURED": 150, "_SCORED": 50, "_DRAWN": 200, "_SHOWN": 50}.items():
        monkeypatch.setattr(compare_models, name, rows)


def test_it_prints_a_line_for_each_and_writes_a_page(sfumato: Command, tmp_path: Path) -> None:
    code, out, err = sfumato("compare models moons --models gan,mixture --seconds 0.01 --quiet")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    gan = next(line for line in lines if line[:1] == ["GAN"])
    assert gan[4] == "–"
    assert any(line[:2] == ["Gaussian", "mixture"] for line in lines)
    assert any(line[:2] == ["real", "rows"] for line in lines)
    verdict = "(cannot be told apart|close|apart|no power)"
    assert re.search(rf"GAN: {verdict}; none: a GAN only draws", out)
    assert "/home" not in out
    assert out.endswith("Page with the figure: runs/moons-models-001/report.html\n")
    written = {path.name for path in (tmp_path / "runs/moons-models-001").iterdir()}
    assert written >= {"comparison.json", "models.png", "report.html"}


def test_the_page_is_chinese_and_a_missing_font_is_one_line(
    sfumato: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "compare models moons --models gan --seconds 0.01 --language zh --quiet"
    monkeypatch.setattr(fonts, "chinese", lambda: None)
    code, out, err = sfumato(line)
    assert code == 0
    assert len(err.splitlines()) == 1
    assert err.startswith("note: the figure has English words, as no font with Chinese characters")
    assert "apt install fonts-noto-cjk" in err
    assert "GAN: apart; none: a GAN only draws" in out
    page = (tmp_path / "runs/moons-models-001/report.html").read_text("utf-8")
    assert "生成对抗网络 GAN" in page
    assert "没有：GAN 只能采样" in page


def test_json_is_all_that_is_printed(sfumato: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"{x},{y},{z}\n" for x, y, z in rng.normal(size=(300, 3)))
    (tmp_path / "three.csv").write_text(f"x,y,z\n{rows}")
    code, out, _ = sfumato(
        "compare models three.csv --models mixture --seconds 0.01 --out one --seed 4 --json --quiet"
    )
    told = json.loads(out)
    assert code == 0
    assert (told["folder"], told["seed"], told["columns"]) == ("one", 4, ["x", "y", "z"])
    assert told["truth"] is None
    assert told["entries"][0]["log_prob"] < 0
    assert (tmp_path / "one/report.html").is_file()


@pytest.mark.parametrize(
    ("end", "code"), [(KeyboardInterrupt(), 130), (DivergedError("not finite."), 1)]
)
def test_what_ends_early_leaves_no_folder(
    sfumato: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: BaseException,
    code: int,
) -> None:
    held = list[str]()

    def fit(*_: object) -> Fitted:
        held.extend(path.name for path in (tmp_path / "runs").iterdir())
        raise end

    monkeypatch.setattr(gan, "fit", fit)
    assert sfumato("compare models moons --models gan --quiet")[0] == code
    assert held == ["moons-models-001"]
    assert not list((tmp_path / "runs").iterdir())
    (tmp_path / "mine").mkdir()
    assert sfumato("compare models moons --models gan --out mine --quiet")[0] == code
    assert (tmp_path / "mine").is_dir()  # it was there before


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("moonz", 2, "did you mean 'moons'"),
        ("moons --models gan,vea", 2, "did you mean 'vae'"),
        ("moons --models ''", 2, "unknown family of models"),
        ("moons --language ch", 2, "unknown language 'ch'"),
        ("moons --seconds 0", 2, "above 0"),
        ("moons --seconds -3", 2, "above 0"),
        ("digits", 3, "digits holds pictures"),
        ("penguins", 3, "the column 'species' holds categories"),
        ("dates.csv", 3, "the column 'day' holds dates, and"),
        ("keys.csv", 3, "the column 'key' holds keys, which name the rows, and"),
        ("gaps.csv", 3, "100 values are missing"),
        ("few.csv", 3, "few.csv has 30 rows; at least 140"),
        ("none.csv", 3, "there is no file none.csv"),
        ("moons --out taken", 4, "never overwritten"),
        ("moons --models flow", 5, "pip install 'sfumato[compare]'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    sfumato: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    code: int,
    told: str,
) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    (tmp_path / "gaps.csv").write_text("a,b\n" + "1.5,\n2.5,0.5\n" * 100)
    (tmp_path / "few.csv").write_text("a,b\n" + "".join(f"{k}.5,{k * k}.5\n" for k in range(30)))
    days = np.datetime64("2020-01-01") + np.arange(150)
    lines = "".join(f"{day},{k * k}.5\n" for k, day in enumerate(days))
    (tmp_path / "dates.csv").write_text(f"day,b\n{lines}")
    lines = "".join(f"k-{k * 7919:x}z,{k * k}.5\n" for k in range(150))
    (tmp_path / "keys.csv").write_text(f"key,b\n{lines}")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/note.txt").write_text("mine")
    left, out, err = sfumato(f"compare models {line} --quiet")
    assert (left, out) == (code, "")
    assert told in err
    assert err.splitlines()[-1].startswith("sfumato: ")
    assert not (tmp_path / "runs").exists()
