"""A run folder's model card: what the hub reads in it, what stands there, and whose text it is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import sfumato
from sfumato import Run
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.runs.card import write_measures


def _card(run: Run) -> Path:
    assert run.folder is not None
    return run.folder / "README.md"


_MEASURED = Evaluation(
    (Measure("energy", "energy distance", 0.012, (0.01, 0.02), 0.03, 0.1, 200, "close"),), 200
)


@pytest.mark.parametrize(("name", "tag"), [("moons", "points"), ("of_table", "tabular")])
def test_the_hub_reads_it(name: str, tag: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    from huggingface_hub import ModelCard

    card = ModelCard.load(_card(run))
    assert card.data.library_name == "sfumato"
    assert card.data.tags == ["diffusion", tag]
    assert "Not measured yet" in card.text


def test_its_own_lines_draw_from_the_run(moons: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert moons.folder is not None
    monkeypatch.chdir(moons.folder.parent)
    (code,) = re.findall(r"```python\n(.*?)```", _card(moons).read_text("utf-8"), re.DOTALL)
    names: dict[str, np.ndarray] = {}
    exec(code, names)
    assert names["rows"].shape == (1000, 2)


def test_it_says_what_was_fitted_with_what(moons: Run) -> None:
    text = _card(moons).read_text("utf-8")
    assert "| source | moons |" in text
    assert "| training | step 60 of 60" in text
    assert f"| numpy | {np.__version__} |" in text
    assert f"| sfumato | {sfumato.__version__} |" in text


def test_measures_take_their_place_and_nothing_else(own_moons: Run) -> None:
    card = _card(own_moons)
    edited = card.read_text("utf-8").replace("Not stated. Whoever", "CC BY 4.0. Whoever")
    card.write_text(edited, "utf-8")
    for _ in range(2):  # a second report replaces the first one's
        write_measures(own_moons, _MEASURED, "They are close.")
    text = card.read_text("utf-8")
    line = "| energy distance | 0.012 | 0.015 | 0.03 | close |"
    assert text.count(line) == text.count("They are close.") == 1
    head, _, rest = edited.partition("Not measured yet")
    assert text.startswith(head)
    assert text.endswith(rest.partition("does it.\n")[2])
    card.write_text("Mine.", "utf-8")
    write_measures(own_moons, _MEASURED, "They are close.")
    assert card.read_text("utf-8") == "Mine."


def test_a_report_writes_its_measures(own_moons: Run) -> None:
    path, evaluation = sfumato.write_report(own_moons, quiet=True)
    assert evaluation is not None
    text = _card(own_moons).read_text("utf-8")
    recorded = json.loads((path.parent / "evaluation.json").read_text("utf-8"))["measures"]
    for measure in recorded:
        assert f"| {measure['value']:.4g} |" in text
        assert f"| {measure['verdict']} |" in text


def test_names_are_plain_text(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    file = tmp_path / "rows.csv"
    lines = [f"{a:.3f},{b:.3f}" for a, b in rows]
    file.write_text("\n".join(["<i>a|b</i>,*c*", *lines]), "utf-8")
    run = sfumato.fit(file, settings={"training.steps": 1}, out=tmp_path / "run", quiet=True)
    text = _card(run).read_text("utf-8")
    assert r"&lt;i&gt;a\|b&lt;/i&gt;, \*c\*" in text
    assert "| source | rows.csv |" in text  # not where it lies on this machine
    assert str(tmp_path) not in text


def test_who_trains_on_gets_a_new_one(own_moons: Run) -> None:
    assert own_moons.folder is not None
    before = _card(own_moons).read_bytes()
    more = sfumato.resume(own_moons.folder, settings={"training.steps": 70}, quiet=True)
    assert "| training | step 70 of 70" in _card(more).read_text("utf-8")
    assert (own_moons.folder / "before" / "step-0000060" / "README.md").read_bytes() == before
