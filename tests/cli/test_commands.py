"""The command line as a person uses it, from the help to a run that was killed and resumed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command_line import CONSTANT, TINY, Command, leave
from forked import Forks
from sfumato.data.io.rows import read_points
from sfumato.runs.figures import points

LONGER = f"fit moons --quiet {TINY} --set training.steps=400 --set training.checkpoint_every=50"


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The longer run, never interrupted."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    assert leave(f"{LONGER} --out {folder}") == 0
    return folder


def test_help_of_every_command_shows_examples(sfumato: Command) -> None:
    code, out, _ = sfumato("--help")
    assert code == 0
    names = ["demo", "fit", "sample", "evaluate", "animate", "plot", "report", "datasets", "info"]
    for name in names:
        assert name in out
        code, out_of_one, _ = sfumato(f"{name} --help")
        assert code == 0
        assert f"sfumato {name}" in out_of_one.split("Example")[1]


def test_no_command_shows_the_help_alone(sfumato: Command) -> None:
    code, out, err = sfumato("")
    assert (code, err) == (2, "")
    assert out.strip() == sfumato("--help")[1].strip()


def test_version(sfumato: Command) -> None:
    import sfumato as package

    assert sfumato("--version")[1] == f"sfumato {package.__version__}\n"


def test_demo_makes_the_whole_run_folder(
    sfumato: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "ANIMATION_FRAMES", 5)
    code, out, err = sfumato(f"demo --out run {TINY} --set data.rows=500")
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


def test_points_that_are_no_plain_numbers_say_how_they_were_read(
    sfumato: Command, tmp_path: Path
) -> None:
    """As columns of a table do; a table's samples are written in that form."""
    rng = np.random.default_rng(0)
    rows = "".join(f"{a}.{b:03d},5;{b},25\n" for a, b in rng.integers(1, 999, (100, 2)))
    (tmp_path / "german.csv").write_text(f"price;weight\n{rows}")
    first = dict(zip(("price", "weight"), rows.splitlines()[0].split(";"), strict=True))
    for kind in ("auto", "points", "table"):
        out = sfumato(f"fit german.csv --out {kind} {TINY} --set data.kind={kind}")[1]
        for name, cell in first.items():
            number = cell.replace(".", "").replace(",", ".")
            (line,) = (each for each in out.splitlines() if each.startswith(f"  {name}"))
            assert line.endswith(f"read as numbers: {cell} is {number}")
        assert ("samples are written as plain numbers" in out) == (kind != "table")
        assert sfumato(f"sample {kind} -n 9 --to {kind}.csv")[0] == 0
        with (tmp_path / f"{kind}.csv").open() as file:
            cells = [cell for row in list(csv.reader(file))[1:] for cell in row]
        assert all(("," in cell) == (kind == "table") for cell in cells)
    out = sfumato(f"fit moons --out plain {TINY}")[1]
    assert "read as" not in out


def test_quiet_says_where_the_run_is_and_no_more(sfumato: Command) -> None:
    assert sfumato(f"fit moons -q {TINY}") == (0, "Done: runs/moons-001\n", "")
    assert sfumato("fit --resume --out runs/moons-001 -q") == (0, "Done: runs/moons-001\n", "")


def test_settings_are_shown_and_taken_back(sfumato: Command, tmp_path: Path) -> None:
    _, shown, _ = sfumato("fit --show-settings --set training.steps=7")
    (tmp_path / "mine.toml").write_text(shown)
    assert sfumato("fit --show-settings --config mine.toml")[1] == shown
    assert "steps = 7" in shown
    assert 'source = "moons"' in sfumato("fit moons --show-settings --config mine.toml")[1]


def test_the_seed_of_the_demo_may_be_set_either_way(
    sfumato: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.runs.report.write_report", lambda run, **_: (run.folder, None))
    size = "--set data.rows=100"
    told = sfumato(f"demo --out set --quiet {TINY} {size} --set seed=3")
    assert told == (0, "Report: set\n", "")  # of this write_report, the run itself
    assert json.loads(sfumato("info set --json")[1])["settings"]["seed"] == 3
    assert sfumato(f"demo --out said --quiet {TINY} {size} --set seed=3 --seed 4")[0] == 0
    assert json.loads(sfumato("info said --json")[1])["settings"]["seed"] == 4


def test_a_table_needs_nothing_but_its_number_of_levels(sfumato: Command) -> None:
    tiny = TINY.replace("--set sampling.steps=8", "")
    assert sfumato(f"fit moons --out run --quiet {tiny} --set process.num_levels=20")[0] == 0
    assert sfumato("sample run -n 5 --to a.csv")[0] == 0


def test_a_name_with_a_line_break_stays_one_and_breaks_no_line(
    sfumato: Command, tmp_path: Path
) -> None:
    counted = "".join(f"{k},{k * k % 7}\n" for k in range(30))
    (tmp_path / "counted.csv").write_text(f'"a\nb",c\n{counted}')
    out = sfumato(f"fit counted.csv --out counted {TINY}")[1]
    assert "\n  a b  identifier, numbers the rows from 0; set aside" in out
    assert "(as data: --column $'a\\x0ab=integer')\n" in out
    rows = "".join(f"{29 - k},{k * k % 7}\n" for k in range(30))
    (tmp_path / "rows.csv").write_text(f'"a\nb",c\n{rows}')
    code, out, _ = sfumato(f"fit rows.csv --out run {TINY}")
    assert code == 0
    assert "\n  a b  integer, 0 to 29\n" in out
    assert "\ncolumns      a b (integer), c (ordinal)\n" in sfumato("info run")[1]
    assert sfumato("sample run -n 3 --to new.csv")[0] == 0
    assert (tmp_path / "new.csv").read_text().startswith('"a\nb",c\n')


def test_what_is_to_be_typed_next_is_quoted(sfumato: Command) -> None:
    code, out, _ = sfumato(f"fit moons --out 'my run' {TINY}")
    assert code == 0
    assert "Next:  sfumato sample 'my run' -n 10000" in out


def test_a_settings_file_may_name_the_source(sfumato: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[data]\nsource = "circles"\nrows = 300\n')
    code, out, _ = sfumato(f"fit --config mine.toml --out run {TINY}")
    assert code == 0
    assert "Data: 300 rows" in out
    assert sfumato("info run")[1].startswith("source       circles")


@pytest.mark.parametrize("ending", ["csv", "npy", "parquet"])
def test_samples_are_in_the_datas_own_terms(
    sfumato: Command, fitted: Path, tmp_path: Path, ending: str
) -> None:
    assert sfumato(f"sample {fitted} -n 150 --to new.{ending}")[0] == 0
    rows = read_points(tmp_path / f"new.{ending}")
    if ending != "npy":
        assert rows.columns == ("a b", "c", "const")
    assert rows.values.shape == (150, 3)
    assert set(rows.values[:, 2]) == {CONSTANT}
    assert 900 < rows.values[:, 0].mean() < 1100
    sfumato(f"sample {fitted / 'model.safetensors'} -n 10 --to few.{ending}")
    np.testing.assert_array_equal(read_points(tmp_path / f"few.{ending}").values, rows.values[:10])


def test_no_samples_are_a_file_with_columns(sfumato: Command, fitted: Path, tmp_path: Path) -> None:
    assert sfumato(f"sample {fitted} -n 0 --to none.csv")[0] == 0
    assert (tmp_path / "none.csv").read_text() == "a b,c,const\n"


def test_how_many_are_written_is_said(sfumato: Command, fitted: Path) -> None:
    for count, said in ((0, "0 rows"), (1, "1 row"), (2, "2 rows")):
        assert sfumato(f"sample {fitted} -n {count} --to some.csv")[1] == f"{said} in some.csv\n"


def test_sampler_steps_and_seed_change_the_samples(
    sfumato: Command, fitted: Path, tmp_path: Path
) -> None:
    texts = set()
    for k, option in enumerate(
        ("", "--sampler ancestral", "--steps 5", "--seed 1", "--set sampling.options.eta=0")
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


def _interrupted(
    forks: Forks,
    folder: Path,
    is_time: Callable[[list[str]], bool],
    signum: int,
    line: str = LONGER,
) -> tuple[int, str]:
    """Fit in a process of its own until it is time for the signal: exit code, standard error."""
    process = forks.start(f"{line} --out {folder}", output=folder.with_name("said"))
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 60
    while not metrics.is_file() or not is_time(metrics.read_text().splitlines()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signum)
    code = process.code()
    assert len(metrics.read_text().splitlines()) < 40  # it did stop on the way
    return code, process.said()


def _same_model(one: Path, other: Path) -> bool:
    first, second = ((folder / "model.safetensors").read_bytes() for folder in (one, other))
    return first == second


@pytest.mark.skipif(os.name == "nt", reason="signals of Windows are others")
@pytest.mark.parametrize(
    ("signum", "code", "line"),
    [(signal.SIGINT, 130, LONGER.replace("--quiet ", "")), (signal.SIGTERM, 143, LONGER)],
)
def test_a_signal_saves_and_resuming_ends_in_the_same_model(
    sfumato: Command,
    forks: Forks,
    straight: Path,
    tmp_path: Path,
    signum: int,
    code: int,
    line: str,
) -> None:
    run = tmp_path / "run"
    found, err = _interrupted(forks, run, lambda lines: len(lines) > 0, signum, line)
    assert found == code
    *at_once, last = err.splitlines()
    quiet = "--quiet" in line
    assert at_once == ([] if quiet else ["stopping after this group of steps; saving ..."])
    assert last.startswith("sfumato: stopped at step ")
    assert f"saved. Go on with: sfumato fit --resume --out {run}" in last
    assert not _same_model(run, straight)

    assert sfumato("fit moons --resume --out run")[0] == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 40
    assert _same_model(run, straight)
    code, out, _ = sfumato("fit --resume --out run")
    assert code == 0
    assert "run is already finished: 400 steps" in out


@pytest.mark.skipif(os.name == "nt", reason="signals of Windows are others")
def test_a_killed_run_goes_on_from_its_last_checkpoint(
    sfumato: Command, forks: Forks, straight: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    _interrupted(forks, run, lambda lines: len(lines) > 6, signal.SIGKILL)

    code, out, _ = sfumato("fit --resume --out run")
    assert code == 0
    assert "Going on from step" in out
    assert "Going on from step 0" not in out
    assert _same_model(run, straight)


@pytest.mark.parametrize("line", ["--help", "fit --help", "--version", "fit --show-settings"])
def test_a_light_command_imports_nothing_heavy(line: str) -> None:
    code = (
        "import sys, sfumato.cli\n"
        f"sys.argv = ['sfumato', *{line.split()}]\n"
        "try: sfumato.cli.main()\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_python_m_is_the_same_program() -> None:
    command = [sys.executable, "-m", "sfumato", "fit", "moons", "--set", "seed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("sfumato: a setting is written section.name=value; got 'seed'")
    assert done.stderr.count("\n") == 1
