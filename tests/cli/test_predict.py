"""Predictions and conditions for each row, on the command line."""

import csv
import json
import math
import shlex
from pathlib import Path

import numpy as np
import pytest

from command_line import TINY, Command, leave
from sfumato.cli.app import print_evaluation
from sfumato.metrics.evaluation import Evaluation, judged
from sfumato.metrics.predictions import Predictions, judged_numbers
from sfumato.metrics.references import ShiftedLaws
from sfumato.runs.run import open_run


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run of the penguins."""
    run = tmp_path_factory.mktemp("people") / "run"
    assert leave(f"fit penguins --quiet --out {shlex.quote(str(run))} {TINY}") == 0
    return run


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


NEW = "species,island,body_mass_g,note\nAdelie,Dream,3700,a\nGentoo,Biscoe,,b\n"


def test_a_number_gets_its_mean_quantiles_and_draws(sfumato: Command, people: Path) -> None:
    Path("new.csv").write_text(NEW)
    line = f"predict {people} new.csv --target bill_length_mm --to out.csv --draws 4"
    code, _, err = sfumato(line)
    assert code == 0
    assert "new.csv lacks 'bill_depth_mm', 'flipper_length_mm'" in err
    found = read("out.csv")
    assert [row["note"] for row in found] == ["a", "b"]
    for row in found:
        low, middle, high = (
            float(row[f"bill_length_mm {level}"]) for level in ("5%", "50%", "95%")
        )
        assert 32.1 <= low < middle < high <= 59.6  # the ends of what the penguins have
        draws = [float(row[f"bill_length_mm draw {k}"]) for k in (1, 2, 3, 4)]
        assert draws == sorted(draws)
        assert low <= float(row["bill_length_mm mean"]) <= high


def test_a_category_gets_its_probabilities(sfumato: Command, people: Path) -> None:
    Path("new.csv").write_text(NEW)
    assert sfumato(f"predict {people} new.csv --target species --to out.csv -q")[0] == 0
    for row in read("out.csv"):
        chance = {
            name: float(row[f"species = {name}"]) for name in ("Adelie", "Chinstrap", "Gentoo")
        }
        assert sum(chance.values()) == pytest.approx(1)
        assert chance[row["species predicted"]] == max(chance.values())


def test_what_was_never_seen_is_said_but_not_of_the_target(sfumato: Command, people: Path) -> None:
    Path("new.csv").write_text("species,island,body_mass_g\nCrow,Texel,3700\n")
    code, out, err = sfumato(f"predict {people} new.csv --target species --to out.csv")
    assert (code, "1 prediction in out.csv" in out) == (0, True)
    assert "'island': 1 of 1 values were never seen" in err
    assert "a category as not known" in err
    assert "'species'" not in err


def test_each_row_of_conditions_is_drawn_so_often(sfumato: Command, people: Path) -> None:
    Path("new.csv").write_text("species,body_mass_g\nAdelie,3700\nGentoo,\n")
    assert sfumato(f"sample {people} -n 3 --given-file new.csv --to out.csv -q")[0] == 0
    found = read("out.csv")
    assert [row["species"] for row in found] == ["Adelie"] * 3 + ["Gentoo"] * 3
    assert [row["body_mass_g"] for row in found[:3]] == ["3700"] * 3
    assert len({row["bill_length_mm"] for row in found}) > 3


def test_of_conditions_a_column_that_is_not_the_model_s_is_named(
    sfumato: Command, people: Path
) -> None:
    Path("new.csv").write_text("species,colour\nAdelie,red\n")
    code, _, err = sfumato(f"sample {people} -n 3 --given-file new.csv --to out.csv -q")
    assert (code, err) == (0, "note: new.csv has 'colour', unknown to the model: not used.\n")
    with pytest.warns(UserWarning, match="^the conditions have 'colour', unknown to the model"):
        open_run(people).sample(1, given="new.csv")
    Path("new.csv").write_text("species\nAdelie\n")
    assert sfumato(f"sample {people} -n 3 --given-file new.csv --to out.csv -q")[2] == ""


def test_a_column_is_scored_given_the_rest(sfumato: Command, people: Path) -> None:
    """As in Python; the mean is of the rows that are written."""
    assert sfumato(f"sample {people} -n 6 --to new.csv -q")[0] == 0
    line = f"score {people} new.csv --target species --target island"
    code, out, _ = sfumato(f"{line} --to out.csv")
    assert code == 0
    nats = [float(row["log_prob"]) for row in read("out.csv")]
    assert f"of species, island given the rest, of 6 rows: {sum(nats) / 6:.4f} ±" in out
    expected = open_run(people).log_prob("new.csv", target=["island", "species"])
    assert nats == pytest.approx(expected.tolist())
    found = json.loads(sfumato(f"{line} --target species --json")[1])
    assert found["target"] == ["species", "island"]  # a column named twice is one
    assert found["bits_per_dimension"] == pytest.approx(-sum(nats) / 6 / 2 / math.log(2))


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("score {run} new.csv --target species", 3, "new.csv lacks the column"),
        ("score {run} some.csv --target weight", 2, "unknown column that varies 'weight'"),
        ("score {run} some.csv --target species --bound", 2, "leave them out with --bound"),
        (
            "predict {run} new.csv --target weight --to o.csv",
            2,
            "unknown column that varies 'weight'",
        ),
        ("predict {run} new.csv --target species --to o.csv --draws 2", 2, "leave `--draws` out"),
        ("predict {run} new.csv --target species --to o.csv --draws 0", 2, "--draws"),
        ("predict {run} none.csv --target species --to o.csv", 3, "there is no file none.csv"),
        ("predict {run} other.csv --target species --to o.csv", 3, "none of the columns"),
        ("sample {run} --given-file other.csv --to o.csv", 3, "none of the columns"),
        ("sample {run} --given-file new.csv --given year=2007 --to o.csv", 2, "not both"),
        ("predict {run} twice.csv --target species --to o.csv", 3, "'species predicted' already"),
        ("evaluate {run} --to o.csv", 2, "name it with --target"),
        ("evaluate {run} --target species --to o.csv", 2, "the ending must be one of .png"),
        ("evaluate {run} --target weight", 2, "unknown column that varies 'weight'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    sfumato: Command, people: Path, line: str, code: int, reason: str
) -> None:
    Path("new.csv").write_text(NEW)
    Path("other.csv").write_text("a,b\n1,2\n3,4\n")
    Path("some.csv").write_text(
        "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"
        "Adelie,Dream,39.1,18.7,181,3750,male,2007\n"
    )
    Path("twice.csv").write_text("island,species predicted\nDream,x\nBiscoe,y\n")
    found = sfumato(line.format(run=people))
    assert found[0] == code
    assert reason in found[2]
    assert not Path("o.csv").exists()


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ("--target weight", 2, "unknown column that varies 'weight'"),
        ("--target species --target weight", 2, "unknown column that varies 'weight'"),
        ("--target species --probes 4 --bound", 2, "leave them out with --bound"),
        ("--bound", 2, "a table has its likelihood itself"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_rows_are_looked_at(
    sfumato: Command, people: Path, options: str, code: int, reason: str
) -> None:
    """The row has a category that was never seen, of which a note would be printed."""
    Path("some.csv").write_text(
        "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"
        "Crow,Texel,39.1,18.7,181,3750,male,2007\n"
    )
    assert "note:" in sfumato(f"score {people} some.csv --target body_mass_g")[2]
    found = sfumato(f"score {people} some.csv {options}")
    assert found[:2] == (code, "")
    assert found[2].startswith("sfumato: ")
    assert reason in found[2]
    assert found[2].count("\n") == 1


def test_points_are_told_what_to_do(sfumato: Command, fitted: Path) -> None:
    Path("new.csv").write_text("c\n0\n1\n")
    for line in ("predict {run} new.csv --target c --to o.csv", "score {run} new.csv --target c"):
        code, _, err = sfumato(line.format(run=fitted))
        assert code == 2
        assert "data.kind=table" in err


def test_scores_of_predictions_are_printed_beside_those_of_other_laws(
    capsys: pytest.CaptureFixture[str],
) -> None:
    truth = np.random.default_rng(0).normal(size=200)
    errors = np.sort(np.random.default_rng(1).normal(size=500))
    law = ShiftedLaws(np.zeros(200), errors, lambda values: values)
    laws = {"model": law, "linear": law, "unconditional": law}
    found = Predictions("wage", 200, "days", *judged_numbers(laws, truth, 0.0), ("A note.",))
    measure = judged("m", "some measure", 0.2, [0.1, 0.3], 0.5, 200)
    print_evaluation(Evaluation((measure,), 200, predictions=found), "rows")
    out = capsys.readouterr().out
    assert "Predictions of 'wage' in 200 rows, in days" in out
    for title in ("this model", "linear model", "unconditional", "by chance"):
        assert title in out
    crps = law.crps(truth).mean()
    (line,) = (line for line in out.splitlines() if line.startswith("CRPS"))
    assert line.count(f"{crps:.3f} ± 0.0") == 3
    assert "in 90 % intervals" in out
    assert "A note." in out
