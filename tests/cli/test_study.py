"""The commands that judge: what they print, what they write, and what they refuse."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from command_line import CONSTANT, TINY, Command, leave
from quick import small_chunks
from sfumato.data.io.rows import read_points
from sfumato.runs import compare
from sfumato.runs.run import open_run


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "run"
    assert leave(f"fit eight-gaussians --quiet --out {folder} {TINY} --set data.rows=800") == 0
    return folder


def test_score_writes_the_rows_with_their_log_densities(
    sfumato: Command, fitted: Path, tmp_path: Path
) -> None:
    rows = fitted.parent / "points.csv"
    code, out, _ = sfumato(f"score {fitted} {rows} --to scored.csv")
    assert code == 0
    scored = read_points(tmp_path / "scored.csv")
    assert scored.columns == ("a b", "c", "const", "log_prob")
    expected = open_run(fitted).log_prob(read_points(rows).values)
    assert np.array_equal(scored.values[:, 3], expected)
    assert f"{expected.mean():.4f}" in out
    error = expected.std(ddof=1) / math.sqrt(len(expected))
    assert f"± {error:.4f} nats" in out


def test_score_finds_columns_by_name(sfumato: Command, fitted: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(f"a b,c,const\n1001,0.001,{CONSTANT}\n")
    (tmp_path / "other.csv").write_text(f"const,more,c,a b\n{CONSTANT},5,0.001,1001\n")
    one, other = (json.loads(sfumato(f"score {fitted} {name}.csv --json")[1])
                  for name in ("one", "other"))  # fmt: skip
    assert one["nats"] == other["nats"]


def test_score_beside_the_truth(sfumato: Command, toy: Path, tmp_path: Path) -> None:
    assert sfumato(f"sample {toy} -n 60 --to rows.csv")[0] == 0
    values = read_points(tmp_path / "rows.csv").values
    told = json.loads(sfumato(f"score {toy} rows.csv --json")[1])
    density = open_run(toy).known_log_density()
    assert density is not None
    assert told["truth"] == pytest.approx(float(density(values).mean()))
    assert "true mean log density" in sfumato(f"score {toy} rows.csv")[1]


def test_the_bound_adds_up(sfumato: Command, toy: Path) -> None:
    assert sfumato(f"sample {toy} -n 60 --to rows.csv")[0] == 0
    bound = json.loads(sfumato(f"score {toy} rows.csv --bound --json")[1])
    jacobian = open_run(toy).model.codec.log_abs_det_jacobian
    total = sum(value for value, _ in bound["terms"].values())
    assert bound["nats"] == pytest.approx(jacobian - total)
    assert bound["bits_per_dimension"] == pytest.approx(-bound["nats"] / (2 * math.log(2)))


def test_an_adaptive_solver_and_probes_agree_with_fixed_steps(sfumato: Command, toy: Path) -> None:
    assert sfumato(f"sample {toy} -n 30 --to rows.csv")[0] == 0
    fixed, adaptive, probed = (
        json.loads(sfumato(f"score {toy} rows.csv --json {options}")[1])["nats"]
        for options in ("", "--tol 1e-5", "--probes 64")
    )
    assert adaptive == pytest.approx(fixed, abs=1e-3)
    assert probed == pytest.approx(fixed, abs=0.2)


def test_edit_keeps_near_rows_near(sfumato: Command, fitted: Path, tmp_path: Path) -> None:
    rows = fitted.parent / "points.csv"
    assert sfumato(f"edit {fitted} {rows} --from 0.03 --to near.csv")[0] == 0
    assert sfumato(f"edit {fitted} {rows} --from 1 --to far.csv")[0] == 0
    given, near, far = (
        read_points(path).values[:, 0]
        for path in (rows, tmp_path / "near.csv", tmp_path / "far.csv")
    )
    assert np.corrcoef(given, near)[0, 1] > 0.98
    assert abs(np.corrcoef(given, far)[0, 1]) < 0.2


def test_compare_measures_every_sampler(
    sfumato: Command, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_chunks(), monkeypatch.context() as patch:
        patch.setattr(compare, "_REFERENCE_STEPS", 20)  # to be drawn, not to be judged
        patch.setattr(compare, "_MIDDLE", 4)
        code, out, _ = sfumato(f"compare samplers {toy} --calls 4 --to errors.png")
    assert code == 0
    for name in ("ancestral", "ddim", "dpm++2m", "dpm++3m-sde", "heun", "unipc"):
        assert name in out
    assert "exact denoiser" in out
    assert out.count("Left out: euler (the same as ddim), euler-ancestral (the same as anc") == 2
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(compare, "_REFERENCE_STEPS", 100)
    monkeypatch.setattr(compare, "_MIDDLE", 12)
    with small_chunks():
        told = json.loads(sfumato(f"compare samplers {toy} --calls 6,12 --json")[1])
    exact = {(e["sampler"], e["num_calls"]): e for e in told[1]["entries"]}
    # With an exact denoiser a second-order method is nearer the flow than a first-order one, and
    # nearer with more calls.
    assert exact["dpm++2m", 12]["flow"] < exact["ddim", 12]["flow"]
    assert exact["ddim", 12]["flow"] < exact["ddim", 6]["flow"]
    assert all(e["flow"] is None for e in exact.values() if e["sampler"].endswith("sde"))
    assert all(e["num_calls"] <= 12 for e in exact.values())


def test_doctor_of_a_schedule(sfumato: Command) -> None:
    code, out, _ = sfumato("doctor sigmoid --set process.num_levels=100")
    assert code == 0
    assert "L_T = 0.850 nats" in out
    assert "1 fault found" in out
    assert "No fault was found" in sfumato("doctor rectified-flow")[1]
    told = json.loads(sfumato("doctor linear --set process.num_levels=50 --json")[1])
    assert [each["sound"] for each in told] == [True]


def test_doctor_of_a_schedule_and_data(sfumato: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{x},{y}" for x, y in rng.normal(0, 0.01, (500, 2)))
    (tmp_path / "small.csv").write_text(f"x,y\n{rows}\n")
    assert "scaled to the noise" in sfumato("doctor cosine --data small.csv")[1]
    unscaled = sfumato("doctor cosine --data small.csv --set data.standardise=false")[1]
    assert "not scaled to the noise" in " ".join(unscaled.split())


def test_doctor_of_a_schedule_judges_what_a_run_would_have(
    sfumato: Command, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(0, 1.5, (300, 2))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="x,y", comments="")
    assert "shift = 3.0" in sfumato("fit rows.csv --show-settings")[1]
    judge = "doctor cosine --data rows.csv --set data.standardise=false --json"
    code, found, _ = sfumato(judge)
    assert code == 0
    assert sfumato(f"{judge} --set process.options.shift=3")[1] == found
    assert sfumato(f"{judge} --set process.options.shift=0")[1] != found


def test_doctor_of_a_schedule_hears_its_options(sfumato: Command) -> None:
    low, plain = (
        json.loads(sfumato(f"doctor linear --json {options}")[1])[0]
        for options in ("--set process.options.beta_max=1", "")
    )
    assert plain["sound"]
    assert not low["sound"]


def test_doctor_of_a_preset_judges_its_own_settings_and_data(sfumato: Command) -> None:
    told = json.loads(sfumato("doctor tutorial --json")[1])
    assert [each["sound"] for each in told] == [False, True, False]
    # Its schedule leaves 0.7783 of the signal's variance (alpha_bar of the tutorial's betas), and
    # its data, blurred by 0.1, are not standardised.
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, 100))) * (0.5e-2 - 1e-5) + 1e-5
    assert f"alpha_bar is {np.prod(1 - betas):.3f}" in told[0]["sentence"]
    assert told[2]["remedy"] == "data.standardise=true"
    for line in ("doctor s-curve", "doctor s-curve --set process.num_levels=1000"):
        code, out, err = sfumato(line)
        assert (code, err) == (0, "")
        assert "No fault was found" in out
    scaled = json.loads(sfumato("doctor tutorial --set data.standardise=true --json")[1])
    assert [each["sound"] for each in scaled] == [False, True, True]


def test_doctor_of_a_preset_of_another_kind(sfumato: Command) -> None:
    pictures, table = (
        {each["title"]: each for each in json.loads(sfumato(f"doctor {preset} --json")[1])}
        for preset in ("digits", "table")
    )
    # Bytes from 0 to 255 are brought to -1 to 1.
    detail = next(each for title, each in pictures.items() if "least noise" in title)
    assert detail["number"].endswith(f"beside {2 / 255:.4g}")
    assert not any("data.standardise" in each["remedy"] for each in pictures.values())
    assert all(each["sound"] for each in table.values())


def test_doctor_of_rows_without_numbers_says_so(sfumato: Command, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("a,b\n" + "x,u\ny,v\nx,v\n" * 10)
    code, out, err = sfumato("doctor cosine --data words.csv")
    assert (code, out) == (2, "")
    assert err == (
        "sfumato: words.csv has no numeric column, and categories are not noised: there is no "
        "process to judge.\n"
    )


def test_doctor_of_a_run(sfumato: Command, toy: Path) -> None:
    code, out, _ = sfumato(f"doctor {toy}")
    assert code == 0
    assert "above the exact floor" in out  # forty steps of a narrow network
    assert "Do:" in out
    told = json.loads(sfumato(f"doctor {toy} --json")[1])
    assert {"title", "number", "sentence", "remedy", "state", "sound"} == set(told[0])


def test_steps_auto_says_what_it_chose(sfumato: Command, toy: Path) -> None:
    code, out, _ = sfumato(f"sample {toy} -n 5 --to x.csv --sampler unipc --steps auto")
    assert code == 0
    assert "Steps: " in out
    assert "standard deviations" in out


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("score RUN none.csv", 3, "none.csv"),
        ("score RUN short.csv", 3, "lacks the column const"),
        ("score RUN ROWS --to x.gif", 2, "the ending"),
        ("score RUN ROWS --to none/x.csv", 2, "none"),
        ("score RUN ROWS --tol 0", 2, "--tol"),
        ("score RUN ROWS --probes 0", 2, "--probes"),
        ("score RUN ROWS --bound --tol 0.1", 2, "--bound"),
        ("score RUN nan.csv", 3, "nan.csv"),
        ("score nothing ROWS", 4, "nothing"),
        ("edit RUN ROWS --from 0 --to x.csv", 2, "above 0"),
        ("edit RUN ROWS --from 1.5 --to x.csv", 2, "at most 1"),
        ("edit RUN ROWS --from nan --to x.csv", 2, "at most 1"),
        ("edit RUN short.csv --from 0.5 --to x.csv", 3, "lacks"),
        ("compare networks RUN", 2, "samplers"),
        ("compare samplers RUN --calls 5,x", 2, "--calls"),
        ("compare samplers RUN --calls 0", 2, "--calls"),
        ("compare samplers RUN --to x.txt", 2, "the ending"),
        ("compare samplers nothing", 4, "nothing"),
        ("doctor nothing", 2, "unknown run folder, preset or schedule"),
        ("doctor cosin", 2, "did you mean 'cosine'"),
        ("doctor scaled-linear", 2, "num_levels"),
        ("doctor cosine --set training.steps=5", 2, "process."),
        ("doctor RUN --set process.num_levels=5", 2, "keeps its settings"),
        ("doctor cosine --data none.csv", 3, "none.csv"),
        ("doctor .", 4, "not a run folder"),
        ("sample RUN --to x.csv --steps many", 2, "`auto`"),
        ("sample RUN --to x.csv --steps auto", 2, "draws noise"),
        ("sample RUN --to x.csv --steps 0", 2, "sampling.steps"),
        ("sample RUN --to x.csv --sampler heun --set sampling.options.eta=1", 2, "'eta'"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(
    sfumato: Command, fitted: Path, tmp_path: Path, line: str, code: int, told: str
) -> None:
    (tmp_path / "short.csv").write_text("a b,c\n1,2\n3,4\n")
    (tmp_path / "nan.csv").write_text("a b,c,const\n1,nan,3\n4,5,6\n")
    before = sorted(tmp_path.iterdir())
    line = line.replace("RUN", str(fitted)).replace("ROWS", str(fitted.parent / "points.csv"))
    left, out, err = sfumato(line)
    assert (left, out) == (code, "")
    assert told in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
