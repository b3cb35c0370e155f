"""A run folder's model card: what the hub reads in it, what stands there, and whose text it is."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import sfumato
from quick import blank_figures
from sfumato import Run
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.runs import distill
from sfumato.runs.card import write_card, write_measures
from sfumato.runs.figures import points


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


def test_a_report_writes_its_measures(own_moons: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "ANIMATION_FRAMES", 3)
    with blank_figures():
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


def test_training_on_changes_the_facts_and_nothing_of_the_users(own_moons: Run) -> None:
    assert own_moons.folder is not None
    card = _card(own_moons)
    write_measures(own_moons, _MEASURED, "They are close.")
    # Another encoding, and the ends of lines of another system.
    card.write_bytes(card.read_bytes().replace(b"Not stated.", b"CC BY \xe9.\r\n"))
    sfumato.resume(own_moons.folder, quiet=True)  # at its end: nothing has changed
    assert b"They are close." in card.read_bytes()
    sfumato.resume(own_moons.folder, settings={"training.steps": 70}, quiet=True)
    after = card.read_bytes()
    assert b"| training | step 70 of 70" in after
    assert b"Not measured yet" in after
    assert b"They are close." not in after
    assert b"CC BY \xe9.\r\n" in after
    write_measures(sfumato.open(own_moons.folder), _MEASURED, "They are close.")
    assert b"They are close." in card.read_bytes()


def test_a_map_that_draws_is_on_the_card(own_moons: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(distill._RECIPES, "points", (200, 6, 0.5, 1))
    distill.learn_map(own_moons, [1, 2], seed=0, measure=False, quiet=True)
    assert "| map | few-step map of 1, 2 calls" in _card(own_moons).read_text("utf-8")


def test_the_name_of_a_folder_is_a_name_wherever_it_stands(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moons.folder is not None
    place = tmp_path / 'h"i` <b>'
    shutil.copytree(moons.folder, place)
    (place / "README.md").unlink()
    monkeypatch.chdir(place)
    write_card(sfumato.open("."))
    text = (place / "README.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert "<b>" not in re.sub(r"```.*?```|``.*?``", "", text, flags=re.DOTALL)


def test_a_start_is_named_without_its_place(moons: Run, tmp_path: Path) -> None:
    settings = {"training.steps": 1}
    run = sfumato.fit("moons", start=moons, settings=settings, out=tmp_path / "run", quiet=True)
    assert moons.folder is not None
    text = _card(run).read_text("utf-8")
    assert f"| start | the weights of {moons.folder.name} |" in text
    assert str(moons.folder.parent) not in text
