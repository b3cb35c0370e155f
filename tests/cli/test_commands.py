"""The command line as a person uses it, and every mistake as one line with its exit code."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sfumato.cli import main
from sfumato.data.files import read_points

Outcome = tuple[int, str, str]
Command = Callable[[str], Outcome]

TINY = (
    "--set training.steps=40 --set training.batch_size=64 --set training.log_every=10 "
    "--set training.snapshots=2 --set sampling.steps=8 --set network.width=16"
)


@pytest.fixture
def sfumato(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command line in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sfumato", *line.split()])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run on a CSV with a constant column."""
    folder = tmp_path_factory.mktemp("fitted")
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{x},{y},42.125" for x, y in rng.normal([1000, 0], [5, 1e-3], (400, 2)))
    (folder / "points.csv").write_text(f"a b,c,const\n{rows}\n")
    command = [sys.executable, "-m", "sfumato", "fit", str(folder / "points.csv"), "--quiet"]
    subprocess.run([*command, "--out", str(folder / "run"), *TINY.split()], check=True)
    return folder / "run"


def test_help_of_every_command_shows_examples(sfumato: Command) -> None:
    code, out, _ = sfumato("--help")
    assert code == 0
    names = ["demo", "fit", "sample", "evaluate", "animate", "plot", "report", "datasets", "info"]
    for name in names:
        assert name in out
        code, out_of_one, _ = sfumato(f"{name} --help")
        assert code == 0
        assert f"sfumato {name}" in out_of_one.split("Example")[1]


def test_version(sfumato: Command) -> None:
    import sfumato as package

    assert sfumato("--version")[1] == f"sfumato {package.__version__}\n"


def test_demo_makes_the_whole_run_folder(sfumato: Command, tmp_path: Path) -> None:
    code, out, err = sfumato(f"demo --out run {TINY} --set data.size=500")
    assert code == 0
    assert "Traceback" not in err
    assert "Report: run/report.html" in out
    assert "Next:  sfumato sample run" in out
    made = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*")}
    assert {
        "config.toml",
        "model.safetensors",
        "metrics.jsonl",
        "samples.csv",
        "evaluation.json",
        "report.html",
        "figures/forward.gif",
        "figures/reverse.gif",
        "figures/forward.png",
        "figures/reverse.png",
        "figures/samples.png",
        "figures/loss.png",
        "figures/sheet.png",
        "figures/distances.png",
    } <= made


def test_fit_tells_what_it_inferred_and_what_to_do_next(sfumato: Command) -> None:
    code, out, _ = sfumato(f"fit moons {TINY}")
    assert code == 0
    assert "Data: 10,000 rows of 2 columns (x, y)" in out
    assert "Run folder: runs/moons-001" in out
    assert "sfumato sample runs/moons-001 -n 10000 --to new.csv" in out


def test_settings_are_shown_and_taken_back(sfumato: Command, tmp_path: Path) -> None:
    _, shown, _ = sfumato("fit --show-settings --set training.steps=7")
    (tmp_path / "mine.toml").write_text(shown)
    assert sfumato("fit --show-settings --config mine.toml")[1] == shown
    assert "steps = 7" in shown


def test_a_settings_file_may_name_the_source(sfumato: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[data]\nsource = "circles"\nsize = 300\n')
    code, out, _ = sfumato(f"fit --config mine.toml --out run {TINY}")
    assert code == 0
    assert "Data: 300 rows" in out
    assert sfumato("info run")[1].startswith("source       circles")


@pytest.mark.parametrize("ending", ["csv", "npy", "parquet"])
def test_samples_are_in_the_datas_own_terms(
    sfumato: Command, fitted: Path, tmp_path: Path, ending: str
) -> None:
    assert sfumato(f"sample {fitted} -n 150 --to new.{ending}")[0] == 0
    points = read_points(tmp_path / f"new.{ending}")
    if ending != "npy":
        assert points.columns == ("a b", "c", "const")
    assert points.values.shape == (150, 3)
    assert set(points.values[:, 2]) == {42.125}
    assert 900 < points.values[:, 0].mean() < 1100
    sfumato(f"sample {fitted / 'model.safetensors'} -n 10 --to few.{ending}")
    np.testing.assert_array_equal(
        read_points(tmp_path / f"few.{ending}").values, points.values[:10]
    )


def test_no_samples_are_a_file_with_columns(sfumato: Command, fitted: Path, tmp_path: Path) -> None:
    assert sfumato(f"sample {fitted} -n 0 --to none.csv")[0] == 0
    assert (tmp_path / "none.csv").read_text() == "a b,c,const\n"


def test_sampler_steps_and_seed_change_the_samples(
    sfumato: Command, fitted: Path, tmp_path: Path
) -> None:
    texts = set()
    for k, option in enumerate(
        ("", "--sampler ancestral", "--steps 5", "--seed 1", "--set sampling.eta=0")
    ):
        assert sfumato(f"sample {fitted} -n 5 --to {k}.csv {option}")[0] == 0
        texts.add((tmp_path / f"{k}.csv").read_text())
    assert len(texts) == 5


def test_evaluate_as_a_table_and_as_json(sfumato: Command, fitted: Path) -> None:
    code, out, _ = sfumato(f"evaluate {fitted}")
    assert code == 0
    assert "classifier" in out
    assert "Verdict: " in out
    code, out, _ = sfumato(f"evaluate {fitted} --json")
    evaluation = json.loads(out)
    assert evaluation["rows"] == 40
    assert len(evaluation["measures"]) == 5
    assert all(len(measure["floor"]) == 6 for measure in evaluation["measures"])


@pytest.mark.parametrize("what", ["data", "forward", "reverse", "trajectories", "samples", "loss"])
def test_every_plot(sfumato: Command, fitted: Path, tmp_path: Path, what: str) -> None:
    ending = {"loss": "pdf", "data": "svg"}.get(what, "png")
    assert sfumato(f"plot {fitted} {what} --to a.{ending}")[0] == 0
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert (tmp_path / f"a.{ending}").read_bytes().startswith(starts)


def test_animate_datasets_and_info(sfumato: Command, fitted: Path, tmp_path: Path) -> None:
    from PIL import Image

    for direction in ("forward", "reverse"):
        assert sfumato(f"animate {fitted} {direction} --to a.gif")[0] == 0
        with Image.open(tmp_path / "a.gif") as image:
            assert image.n_frames == 100  # type: ignore[attr-defined]
            assert (image.info["duration"], image.info["loop"]) == (100, 0)
    code, out, _ = sfumato("datasets --to sheet.png")
    assert code == 0
    assert "pinwheel" in out
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    code, out, _ = sfumato(f"info {fitted} --json")
    assert json.loads(out)["columns"] == "a b, c, const"


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def faulty(fitted: Path, tmp_path: Path) -> Path:
    """A folder full of things that are wrong."""
    files = {
        "empty.csv": "",
        "header.csv": "a,b\n",
        "one.csv": "a,b\n1,2\n",
        "ragged.csv": "a,b\n1,2\n3\n",
        "text.csv": "a,b\n1,2\n3,four\n",
        "nan.csv": "a,b\n1,nan\n3,4\n",
        "constant.csv": "a,b\n1,2\n1,2\n1,2\n",
        "other.csv": "p,q\n1,2\n3,4\n",
        "points.xls": "x",
        "bad.toml": "a = = 1",
        "unknown.toml": "[training]\nepoch = 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    trap = pickle.dumps(_Trap(tmp_path / "sprung"))
    (tmp_path / "pickle.npy").write_bytes(trap)
    (tmp_path / "pickle.safetensors").write_bytes(trap)
    model = (fitted / "model.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(model[:-100])
    (tmp_path / "flipped.safetensors").write_bytes(
        model[:-50] + bytes([model[-50] ^ 4]) + model[-49:]
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.toml").write_text("seed = 0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "phrase"),
    [
        ("fit moon", 2, "did you mean 'moons'"),
        ("demo tutoral", 2, "did you mean 'tutorial'"),
        ("smaple x", 2, "Did you mean 'sample'"),
        ("fit moons --sed 3", 2, "--sed"),
        ("fit", 2, "what to fit to"),
        ("fit moons --seed -1", 2, "--seed"),
        ("fit moons --set training.epoch=3", 2, "did you mean 'training.epochs'"),
        ("fit moons --set training.steps=0", 2, "training.steps"),
        ("fit moons --set training.steps", 2, "section.name=value"),
        ("fit moons --set process.schedule=cosin", 2, "did you mean 'cosine'"),
        ("fit moons --set network.target=epsilon", 2, "did you mean 'eps'"),
        ("fit moons --config none.toml", 2, "cannot read"),
        ("fit moons --config bad.toml", 2, "not TOML"),
        ("fit moons --config unknown.toml", 2, "did you mean 'training.epochs'"),
        ("fit --resume --out x --seed 3", 2, "keeps its settings"),
        ("fit --resume", 2, "which run"),
        ("fit none.csv", 3, "there is no file none.csv"),
        ("fit taken/", 3, "taken"),
        ("fit points.xls", 3, "ending must be one of"),
        ("fit empty.csv", 3, "is empty"),
        ("fit header.csv", 3, "no rows"),
        ("fit one.csv", 3, "at least 2"),
        ("fit ragged.csv", 3, "line 3"),
        ("fit text.csv", 3, "line 3, column 'b'"),
        ("fit nan.csv", 3, "1 values are missing"),
        ("fit constant.csv", 3, "every column is constant"),
        ("fit pickle.npy", 3, "never opened"),
        ("fit moons --out taken", 4, "never overwritten"),
        ("fit --resume --out taken", 4, "not a run folder"),
        ("sample RUN -n -5 --to a.csv", 2, "must not be negative"),
        ("sample RUN -n many --to a.csv", 2, "valid integer"),
        ("sample RUN -n 5 --to a.xls", 2, "ending must be one of"),
        ("sample RUN -n 5 --to none/a.csv", 2, "there is no folder none"),
        ("sample RUN -n 5 --to a.csv --steps 0", 2, "sampling.steps"),
        ("sample RUN -n 5 --to a.csv --sampler dimm", 2, "did you mean 'ddim'"),
        ("sample RUN -n 5 --to a.csv --set training.steps=5", 2, "sampling."),
        ("sample none -n 5 --to a.csv", 4, "no run folder or model file"),
        ("sample begun -n 5 --to a.csv", 4, "no model yet"),
        ("sample taken -n 5 --to a.csv", 4, "not a run folder"),
        ("sample short.safetensors -n 5 --to a.csv", 4, "not a whole safetensors"),
        ("sample flipped.safetensors -n 5 --to a.csv", 4, "damaged"),
        ("sample pickle.safetensors -n 5 --to a.csv", 4, "not a whole safetensors"),
        ("evaluate RUN -n 3", 2, "at least 20"),
        ("evaluate RUN --against other.csv", 3, "columns"),
        ("plot RUN los --to a.png", 2, "did you mean 'loss'"),
        ("plot RUN loss --to a.jpg", 2, "ending must be one of"),
        ("plot MODEL loss --to a.png", 4, "lone model file"),
        ("animate RUN sideways --to a.gif", 2, "'forward', 'reverse'"),
        ("animate RUN reverse --to a.webm", 2, "ending must be one of"),
        ("report MODEL", 4, "lone model file"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(
    sfumato: Command, fitted: Path, faulty: Path, line: str, code: int, phrase: str
) -> None:
    line = line.replace("RUN", str(fitted)).replace("MODEL", str(fitted / "model.safetensors"))
    before = set(faulty.rglob("*"))
    found, out, err = sfumato(line)
    assert phrase in err
    assert found == code
    assert err.startswith("sfumato: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert set(faulty.rglob("*")) == before  # nothing made, nothing lost


def test_steps_of_a_table_are_bounded_by_its_levels(sfumato: Command) -> None:
    table = "--set process.num_levels=20 --set sampling.grid=trailing"
    assert sfumato(f"fit moons --out run {TINY} {table}")[0] == 0
    for steps in (0, 21):
        code, _, err = sfumato(f"sample run -n 1 --to a.csv --steps {steps}")
        assert code == 2
        assert f"got {steps}" in err
    assert sfumato("sample run -n 1 --to a.csv --steps 20")[0] == 0


@pytest.mark.parametrize(("missing", "line"), [
    ("pyarrow", "sample RUN -n 1 --to a.parquet"), ("av", "animate RUN reverse --to a.mp4"),
])  # fmt: skip
def test_a_missing_extra_is_named(
    sfumato: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch, missing: str, line: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, err = sfumato(line.replace("RUN", str(fitted)))
    assert code == 5
    assert "install sfumato[" in err


def test_a_full_disk_is_one_line_and_loses_nothing(
    sfumato: Command, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "new.csv").write_text("precious")
    monkeypatch.setattr(os, "fsync", full)
    code, _, err = sfumato(f"sample {fitted} -n 5 --to new.csv")
    assert code == 5
    assert err == "sfumato: No space left on device; what was there before is whole.\n"
    assert (tmp_path / "new.csv").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="signals of Windows are others")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resuming_ends_in_the_same_model(
    sfumato: Command, tmp_path: Path, signum: int, code: int
) -> None:
    fit = f"fit moons {TINY} --set training.steps=800"
    assert sfumato(f"{fit} --out straight")[0] == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "sfumato", *fit.split(), "--out", "run"],
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not metrics.is_file() or not metrics.read_text():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "sfumato fit --resume --out run" in err
    assert "Traceback" not in err
    assert len(metrics.read_text().splitlines()) < 80  # it did stop on the way

    code, _, err = sfumato("fit circles --resume --out run")
    assert code == 2
    assert "was fitted to 'moons', not to 'circles'" in err
    assert sfumato("fit moons --resume --out run")[0] == 0
    assert len(metrics.read_text().splitlines()) == 80
    models = [tmp_path / name / "model.safetensors" for name in ("run", "straight")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_import_and_help_are_light() -> None:
    code = (
        "import sys, sfumato, sfumato.cli.commands\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
