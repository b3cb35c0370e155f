"""Every command on every kind of data: it works, or one line says why it does not."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from subjects import KINDS, Subject, quick, subject

from command_line import Command, leave
from onnx_loop import draws_the_same, operators_read_once
from quick import few_guesses, small_chunks
from sfumato import plots
from sfumato.data.io.rows import read_rows
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs import compare
from sfumato.runs.figures import images, points, table
from sfumato.runs.report import build
from sfumato.runs.run import Run, open_run
from sfumato.samplers import SAMPLERS

__all__ = ["operators_read_once"]

# What must be true of a run, what was printed, and the folder of what was written.
Check = Callable[[Subject, str, Path], None]

POINTS = {"points", "wide points", "discrete", "step-mlp"}
TABLES = {"table", "categories"}
PICTURES = {"grey", "colour", "foreign"}
FIGURES = {
    kind: (points if kind in POINTS else table if kind in TABLES else images).FIGURES
    for kind in KINDS
}

# What each command writes; the name of a command is its line up to the first option.
COMMANDS: dict[str, str] = {
    "info": "info {run} --json",
    "sample": "sample {run} -n 7 --to new.{ending} --quiet",
    "sample --given": "sample {run} -n 7 --given {given} --to new.{ending} --quiet",
    "evaluate": "evaluate {run} --json --quiet",
    "evaluate --against": "evaluate {run} --against {rows} --json --quiet",
    "evaluate --target": "evaluate {run} --target {target} --to target.png --json --quiet",
    "score": "score {run} {few} --json --quiet",
    "score --to": "score {run} {few} --to scored.csv --quiet",
    "score --target": "score {run} {few} --target {target} --json --quiet",
    "score --bound": "score {run} {few} --bound --json --quiet",
    "score --tol": "score {run} {few} --tol 0.1 --json --quiet",
    "edit": "edit {run} {few} --from 0.5 --to like.{ending} --quiet",
    "impute": "impute {run} {incomplete} --to filled.{ending} --quiet",
    "impute --draws": "impute {run} {incomplete} --draws 2 --to filled.{ending} --quiet",
    "predict": "predict {run} {few} --target {target} --to predicted.csv --quiet",
    "sample --given-file": "sample {run} -n 2 --given-file {few} --to new.csv --quiet",
    "inpaint": "inpaint {run} {few} mask.png --times 1 --to filled.{ending} --quiet",
    "interpolate": "interpolate {run} 0 1 -n 3 --to between.{ending} --quiet",
    **{
        f"animate {direction} {ending}": f"animate {{run}} {direction} --to moving.{ending} --quiet"
        for direction in ("forward", "reverse")
        for ending in ("gif", "mp4")
    },
    "report": "report {run} --quiet",
    "export diffusers": "export {run} out --to diffusers --quiet",
    "export onnx": "export {run} out --to onnx --quiet",
    "doctor": "doctor {run} --json",
    "doctor --data": "doctor {run} --data {rows} --json",
    "compare samplers": "compare samplers {run} --calls 4 --json --quiet",
    "explore": "explore {run} --to page.html",
    "fit --resume": "fit --resume --out {run}",
    "fit --from": "fit {rows} --from {run} --out new --quiet --set training.steps=2 "
    "--set training.batch_size=32 --set training.log_every=1 --set training.snapshots=0",
}

# What the others take: no run (or two), or a test of their own on every kind.
ELSEWHERE = {"compare", "datasets", "demo", "distill", "plot"}

GONE = "fitted to rows in memory, which are gone"
LEVELS = "this network knows only the levels of its own discrete schedule"

# Which commands refuse which kinds: with which code, and a part of the true reason.
REFUSALS: list[tuple[set[str], set[str], int, str]] = [
    ({"sample --given"}, {"grey", "foreign"}, 2, "this model learned no classes"),
    ({"evaluate --target"}, POINTS | PICTURES, 2, "--target is for tables"),
    ({"score", "score --to", "score --tol"}, {"step-mlp"}, 2, LEVELS),
    ({"score", "score --tol"}, {"foreign"}, 2, LEVELS),
    ({"score --to"}, PICTURES, 2, "scores of pictures are printed, not written"),
    ({"score --bound"}, TABLES, 2, "a table has its likelihood itself"),
    ({"score --tol"}, TABLES, 2, "a tolerance is for points and pictures"),
    ({"impute", "impute --draws"}, PICTURES, 2, "pictures have no missing values"),
    (
        {"predict", "sample --given-file", "score --target"},
        POINTS | PICTURES,
        2,
        "predictions, and conditions row by row, are for tables",
    ),
    ({"inpaint"}, POINTS | TABLES, 2, "only pictures have masks"),
    ({"interpolate"}, TABLES, 2, "categories have no values between them"),
    ({"export diffusers"}, POINTS | TABLES, 2, "UNet2DModel is a unet of pictures"),
    ({"export onnx"}, {"categories"}, 2, "no numeric column, and so no denoiser to export"),
    ({"compare samplers"}, {"categories"}, 2, "there is no sampler to compare"),
    (
        {name for name in COMMANDS if name.startswith("animate")},
        {"categories"},
        2,
        "an animation shows how two numeric columns go together, and this table has none",
    ),
    # A folder that diffusers wrote has neither the pictures nor a record of the training.
    (
        {
            "evaluate",
            "doctor",
            "doctor --data",
            "compare samplers",
            "animate forward gif",
            "animate forward mp4",
        },
        {"foreign"},
        4,
        GONE,
    ),
    ({"evaluate --against"}, {"foreign"}, 3, "pictures that this run learned from cannot be had"),
    ({"report"}, {"foreign"}, 4, "this is a lone model file"),
    ({"fit --resume"}, {"foreign"}, 4, "is not a run folder"),
    ({"explore"}, {"wide points"}, 2, "the explorer shows points of one to three columns"),
    ({"plot predictions"}, {"categories"}, 2, "this run was fitted without training.target"),
    ({"plot loss"}, {"foreign"}, 4, "no record of its training"),
    (
        {
            f"plot {name}"
            for name in ("data", "forward", "samples", "neighbours", "errors", "distances")
        },
        {"foreign"},
        4,
        GONE,
    ),
]
REFUSED = {
    (command, kind): (code, reason)
    for commands, kinds, code, reason in REFUSALS
    for command in commands
    for kind in kinds
}

# Figures of the run alone: those of a report show the same as those of `plot`.
OF_THE_RUN = {"data", "forward", "reverse", "trajectories", "training", "loss", "errors"}

CELLS = [(command, kind) for kind in KINDS for command in COMMANDS]
PLOTS = [(name, kind) for kind in KINDS for name in FIGURES[kind]]


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with quick(), small_chunks(), few_guesses(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "PICTURES", 16)  # of the 64 that a figure shows
        yield


@pytest.fixture(scope="module", autouse=True)
def measured_once() -> Iterator[None]:
    """Samples of a run are measured once for `evaluate` and for the figure of the distances."""
    evaluate = Run.evaluate
    made: dict[Path, Evaluation] = {}

    def once(run: Run, *, quiet: bool = True, **options: Any) -> Evaluation:
        if run.folder is None or not {"against", "target", "sample"}.isdisjoint(
            name for name, value in options.items() if value is not None
        ):
            return evaluate(run, quiet=quiet, **options)
        if run.folder not in made:
            made[run.folder] = evaluate(run, quiet=quiet, **options)
        return made[run.folder]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "evaluate", once)
        yield


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    """A figure of the run alone is made and rendered once, for the report and for `plot`."""
    made: dict[tuple[Callable[..., Figure], Path], Figure] = {}
    rendered: dict[Figure, bytes] = {}

    def once(figure: Callable[..., Figure]) -> Callable[..., Figure]:
        def of(run: Run, _: object = None) -> Figure:
            if run.folder is None:
                return figure(run)
            key = figure, run.folder
            if key not in made:
                made[key] = figure(run, object())  # which has nothing to show
            return made[key]

        return of

    def saved(figure: Figure, path: Path) -> None:
        if figure not in made.values():
            plots.style.save_figure(figure, path)
            return
        if figure not in rendered:
            plots.style.save_figure(figure, path)
            rendered[figure] = path.read_bytes()
        path.write_bytes(rendered[figure])

    with pytest.MonkeyPatch.context() as patch:
        for module in (points, images, table):
            figures = {
                name: once(figure) if name in OF_THE_RUN else figure
                for name, figure in module.FIGURES.items()
            }
            patch.setattr(module, "FIGURES", figures)
        for module in (plots, build):
            patch.setattr(module, "save_figure", saved)
        yield


def test_no_command_is_missing(sfumato: Command) -> None:
    code, out, _ = sfumato("--help")
    assert code == 0
    commands = {*re.findall(r"^│ (\w+) ", out, re.MULTILINE)}
    assert {line.split()[0] for line in COMMANDS.values()} | ELSEWHERE == commands


@pytest.mark.parametrize(("command", "kind"), CELLS, ids=[f"{c} of {k}" for c, k in CELLS])
def test_every_command_of_every_kind(
    request: pytest.FixtureRequest,
    sfumato: Command,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    kind: str,
) -> None:
    given = subject(kind, tmp_path_factory)
    if command.endswith("mp4"):
        pytest.importorskip("av")
    if command == "export onnx":
        request.getfixturevalue("operators_read_once")
    if command == "compare samplers" and kind not in {"points", "discrete", "table"}:
        few = {name: SAMPLERS[name] for name in ("ancestral", "heun", "unipc")}
        few["runge-kutta"] = SAMPLERS["runge-kutta"]
        monkeypatch.setattr(compare, "SAMPLERS", few)
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    line = COMMANDS[command].format(**vars(given))
    if (command, kind) in REFUSED:
        _refused(sfumato, line, *REFUSED[command, kind], tmp_path)
        return
    code, out, err = sfumato(line)
    assert (code, err) == (0, "")
    CHECKS[command](given, out, tmp_path)


@pytest.mark.parametrize(("name", "kind"), PLOTS, ids=[f"{n} of {k}" for n, k in PLOTS])
def test_every_figure_of_every_kind(
    sfumato: Command,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    name: str,
    kind: str,
) -> None:
    line = f"plot {subject(kind, tmp_path_factory).run} {name} --to figure.png --quiet"
    if (f"plot {name}", kind) in REFUSED:
        _refused(sfumato, line, *REFUSED[f"plot {name}", kind], tmp_path)
        return
    code, _, err = sfumato(line)
    assert (code, err) == (0, "")
    _opened(tmp_path / "figure.png")


def _refused(sfumato: Command, line: str, code: int, reason: str, folder: Path) -> None:
    """One line with the true reason, its code, nothing on standard output and nothing made."""
    before = sorted(folder.rglob("*"))
    found, out, err = sfumato(line)
    assert (found, out) == (code, ""), err
    assert err.startswith("sfumato: ")
    assert err.count("\n") == 1
    assert reason in err
    assert sorted(folder.rglob("*")) == before


def _opened(path: Path) -> None:
    """A picture or an animation is whole."""
    with Image.open(path) as image:
        image.load()
        assert min(image.size) > 7


def _rows_in(path: Path) -> int:
    """How many rows or pictures a file holds."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return len(arrays["pixels"])
    if path.suffix == ".npy":
        pixels = np.load(path)
        assert pixels.dtype == np.uint8
        return len(pixels)
    return len(read_rows(path)[0])


def _info(given: Subject, out: str, _: Path) -> None:
    told = json.loads(out)
    assert told["settings"]["sampling"]["steps"] > 0
    assert "weights" in told["model"]
    assert ("pictures" if given.ending.startswith("np") else "columns") in told


def _made(name: str, count: int | None = None) -> Check:
    """The file of that name holds so many rows, of the run's columns; or as many as were given."""

    def check(given: Subject, _: str, folder: Path) -> None:
        path = folder / f"{name}.{given.ending}"
        of_columns = given.ending == "csv"
        assert _rows_in(path) == (count or (4 if of_columns else 1))
        if of_columns:
            assert read_rows(path)[0].names == read_rows(given.rows)[0].names

    return check


def _sampled(given: Subject, out: str, folder: Path) -> None:
    _made("new", 7)(given, out, folder)
    if given.ending == "npz":
        with np.load(folder / "new.npz") as arrays:
            assert len(arrays["labels"]) == 7
            assert set(arrays["labels"]) <= {0, 1}


def _given(given: Subject, out: str, folder: Path) -> None:
    _made("new", 7)(given, out, folder)
    name, _, value = given.given.partition("=")
    if given.ending == "csv":
        rows = read_rows(folder / "new.csv")[0]
        assert {str(each) for each in rows[name].values} == {value}
    else:
        with np.load(folder / "new.npz") as arrays:
            assert set(arrays["labels"]) == {1}  # of bright and dark


def _measures(_: Subject, out: str, __: Path) -> None:
    told = json.loads(out)
    assert told["rows"] >= 20
    assert len(told["measures"]) >= 4
    for each in told["measures"]:
        assert np.isfinite(each["value"])
        assert np.isfinite(each["floor"]).all()


def _predicted(given: Subject, out: str, folder: Path) -> None:
    _measures(given, out, folder)
    titles = {each["name"]: each["detail"] for each in json.loads(out)["measures"]}
    assert f"'{given.target}'" in titles["efficacy"]
    told = json.loads(out)["predictions"]
    assert told["target"] == given.target
    for each in told["scores"]:
        assert set(each["values"]) == {"model", "linear", "unconditional"}
        assert np.isfinite([*each["values"].values()]).all()
    _opened(folder / "target.png")


def _scored(given: Subject, out: str, _: Path) -> None:
    told = json.loads(out)
    assert told["rows"] == (4 if given.ending == "csv" else 1)
    assert np.isfinite(told["nats"])
    assert np.isfinite(told["bits_per_dimension"])


def _scored_rows(given: Subject, _: str, folder: Path) -> None:
    rows = read_rows(folder / "scored.csv")[0]
    assert rows.names == (*read_rows(given.few)[0].names, "log_prob")
    assert len(rows) == 4
    assert np.isfinite(rows["log_prob"].values).all()


def _predicted_rows(given: Subject, _: str, folder: Path) -> None:
    before, after = (read_rows(path)[0] for path in (given.few, folder / "predicted.csv"))
    assert after.names[: len(before.names)] == before.names
    assert {f"{given.target} mean", f"{given.target} predicted"} & {*after.names}
    assert len(after) == len(before)


def _drawn_for_each(given: Subject, _: str, folder: Path) -> None:
    before, after = (read_rows(path)[0] for path in (given.few, folder / "new.csv"))
    assert len(after) == 2 * len(before)
    for column in before:
        assert after[column.name].values.tolist() == np.repeat(column.values, 2).tolist()


def _filled(*names: str) -> Check:
    def check(given: Subject, _: str, folder: Path) -> None:
        before = read_rows(given.incomplete)[0]
        assert any(column.missing.any() for column in before)
        for name in names:
            after = read_rows(folder / f"{name}.csv")[0]
            assert after.names == before.names
            for one, other in zip(before, after, strict=True):
                assert not other.missing.any()
                there = ~one.missing
                assert (one.values[there] == other.values[there]).all()

    return check


def _inpainted(given: Subject, _: str, folder: Path) -> None:
    filled = np.load(folder / f"filled.{given.ending}")
    pixels = filled if given.ending == "npy" else filled["pixels"]
    with Image.open(given.few) as image:
        known = np.asarray(image).reshape(8, 8, -1)
    np.testing.assert_array_equal(pixels[0, :4], known[:4])
    assert (pixels[0, 4:] != known[4:]).any()


def _page(_: Subject, out: str, folder: Path) -> None:
    """Whole, and nothing in it is to be fetched."""
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    assert 'src="http' not in text
    assert "page.html" in out


def _moving(ending: str) -> Check:
    def check(_: Subject, __: str, folder: Path) -> None:
        path = folder / f"moving.{ending}"
        if ending == "gif":
            with Image.open(path) as image:
                assert getattr(image, "n_frames", 1) == 3
            _opened(path)
            return
        import av

        with av.open(str(path)) as film:
            frames = list(film.decode(video=0))
        assert len(frames) == 3
        assert min(frames[0].width, frames[0].height) > 7

    return check


def _reported(given: Subject, out: str, _: Path) -> None:
    assert out == f"Report: {given.run / 'report.html'}\n"
    page = (given.run / "report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert json.loads((given.run / "evaluation.json").read_text())["measures"]
    for path in (given.run / "figures").iterdir():
        _opened(path)
    assert page.count("data:image/") == len(list((given.run / "figures").iterdir()))
    predicted = open_run(given.run).settings.training.target
    assert (given.run / "figures" / "predictions.png").exists() == bool(predicted)
    assert (f"<h2>How well {predicted} is predicted</h2>" in page) == bool(predicted)


def _exported_pipeline(given: Subject, _: str, folder: Path) -> None:
    theirs, own = open_run(folder / "out"), open_run(given.run)
    assert theirs.sample(3, steps=4).shape == own.sample(3, steps=4).shape


def _exported_onnx(given: Subject, _: str, folder: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(folder / "out" / "denoiser.onnx"))
    assert session.get_outputs()[0].name == "x_0"
    told = json.loads((folder / "out" / "sampling.json").read_text())
    assert session.get_inputs()[0].shape[1:] == told["event"]
    assert len(told["levels"]["alpha"]) == len(told["levels"]["number"]) + 1
    if "table" not in told["codec"]:  # whose loop takes more: models/test_onnx_table.py
        draws_the_same(folder / "out", open_run(given.run).model)


def _findings(_: Subject, out: str, __: Path) -> None:
    found = json.loads(out)
    assert len(found) >= 2
    for each in found:
        assert each["title"]
        assert each["number"]
        assert each["sentence"]


def _compared(_: Subject, out: str, __: Path) -> None:
    network, exact = json.loads(out)
    assert network["title"] == "this run's network"
    assert "exact denoiser" in exact["title"]
    for each in (network, exact):
        assert {"ancestral", "unipc"} <= {entry["sampler"] for entry in each["entries"]}
        assert all(np.isfinite(entry["distance"]) for entry in each["entries"])


def _finished(_: Subject, out: str, __: Path) -> None:
    assert "is already finished" in out


def _started(given: Subject, out: str, folder: Path) -> None:
    """Trained on, it has the weights that its settings alone lead to."""
    assert open_run(folder / "new").settings.start.path == str(given.run)
    assert leave("fit --resume --out new --quiet --set training.steps=5") == 0
    assert leave(f"fit {given.rows} --config new/config.toml --out again --quiet") == 0
    steps = [record["step"] for record in open_run(folder / "new").records()]
    assert steps == [1, 2, 3, 4, 5]
    models = [(folder / name / "model.safetensors").read_bytes() for name in ("new", "again")]
    assert models[0] == models[1]


CHECKS: dict[str, Check] = {
    "info": _info,
    "explore": _page,
    "sample": _sampled,
    "sample --given": _given,
    "evaluate": _measures,
    "evaluate --against": _measures,
    "evaluate --target": _predicted,
    "score": _scored,
    "score --to": _scored_rows,
    "score --target": _scored,
    "score --bound": _scored,
    "score --tol": _scored,
    "edit": _made("like"),
    "impute": _filled("filled"),
    "impute --draws": _filled("filled-1", "filled-2"),
    "predict": _predicted_rows,
    "sample --given-file": _drawn_for_each,
    "inpaint": _inpainted,
    "interpolate": _made("between", 3),
    "animate forward gif": _moving("gif"),
    "animate forward mp4": _moving("mp4"),
    "animate reverse gif": _moving("gif"),
    "animate reverse mp4": _moving("mp4"),
    "report": _reported,
    "export diffusers": _exported_pipeline,
    "export onnx": _exported_onnx,
    "doctor": _findings,
    "doctor --data": _findings,
    "compare samplers": _compared,
    "fit --resume": _finished,
    "fit --from": _started,
}
