"""Every mistake is one line that says what to do, an exit code, and nothing made or lost."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from command_line import TINY, Command

LOCK_HOLDER = (
    "import sys, filelock\n"
    "with filelock.FileLock(sys.argv[1]):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


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
        "two.csv": "a,b\n1,2\n3,4\n",
        "ragged.csv": "a,b\n1,2\n3\n",
        "text.csv": "a,b\n1,2\n3,four\n",
        "nan.csv": "a,b\n1,nan\n,4\n5,6\n",
        "infinite.csv": "a,b\n1,nan\n,4\n5,inf\n",
        "twice.csv": "a,a\n1,2\n3,4\n",
        "semicolons.csv": "a;b\n1;2\n",
        "quote.csv": 'a,b\n"1,2\n3,4\n',
        "three.csv": "a,b\n1,2\n3,4\n5,6\n",
        "broken.csv": '"a\nb",c\n1,2\nthree,4\n',
        "constant.csv": "a,b\n1,2\n1,2\n1,2\n",
        "few.csv": "a b,c,const\n" + "1,2,3\n" * 30,
        "vast.csv": "a b,c,const\n" + "1,0,3\n2,2e200,3\n" * 80,
        "minute.csv": "a,b\n" + "0,2\n9e-200,4\n" * 80,
        "points.xls": "x",
        "bad.toml": "a = = 1",
        "unknown.toml": "[training]\nepoch = 3\n",
        "flat.toml": "training = 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.save(tmp_path / "cube.npy", np.zeros((3, 3, 3)))
    np.save(tmp_path / "words.npy", np.array([["a", "b"]]))
    np.save(tmp_path / "complex.npy", np.ones((9, 2), complex))

    trap = pickle.dumps(_Trap(tmp_path / "sprung"))
    (tmp_path / "pickle.npy").write_bytes(trap)
    (tmp_path / "pickle.safetensors").write_bytes(trap)
    model = (fitted / "model.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(model[:-100])
    (tmp_path / "nothing.safetensors").touch()
    (tmp_path / "flipped.safetensors").write_bytes(_flipped(model, len(model) - 50))
    save_file({"weight": torch.ones(3)}, tmp_path / "foreign.safetensors")

    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.toml").write_text('[data]\nsource = "moons"\n')
    (tmp_path / "spoiled").mkdir()
    (tmp_path / "spoiled" / "config.toml").write_text("seed = ")
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "config.toml").write_text('[data]\nsource = "moons"\nsize = 300\n')
    (tmp_path / "record" / "checkpoint").mkdir()
    (tmp_path / "record" / "checkpoint" / "manifest.json").write_text("{")
    for name, damaged in (("marred", "metrics.jsonl"), ("spoilt", "snapshots/step-0000040.npy")):
        shutil.copytree(fitted, tmp_path / name)
        content = (tmp_path / name / damaged).read_bytes()
        (tmp_path / name / damaged).write_bytes(b"{\n" + content)
    return tmp_path


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def _told(err: str) -> str:
    """The one line on standard error, after checking that it is one."""
    assert re.fullmatch(r"sfumato: \S[^\n]*\n", err), err
    assert "Traceback" not in err
    return err


ARGUMENTS = [
    ("fit moon", "did you mean 'moons'"),
    ("fit Moons", "did you mean 'moons'"),
    ("demo tutoral", "did you mean 'tutorial'"),
    ("smaple x", "Did you mean 'sample'"),
    ("fit moons --sed 3", "--sed"),
    ("fit moons circles", "circles"),
    ("fit", "what to fit to"),
    ("fit ''", "'data.source'"),
    ("fit --set data.source=", "'data.source'"),
    ("fit moons --seed -1", "--seed"),
    ("fit moons --seed 9223372036854775808", "--seed"),
    ("demo --seed 9223372036854775808", "--seed"),
    ("fit moons --set seed=9223372036854775808", "'seed'"),
    ("fit moons --set data.rows=1000000000000", "'data.rows'"),
    ("fit moons --set training.batch_size=1000000000000", "'training.batch_size'"),
    ("fit moons --set threads=1000000000000", "'threads'"),
    ("fit moons --seed one", "an integer"),
    ("fit moons --out", "requires an argument"),
    ("fit moons --set training.epoch=3", "did you mean 'training.epochs'"),
    ("fit moons --set epochs=3", "did you mean 'training.epochs'"),
    ("fit moons --set training.steps=0", "'training.steps'"),
    ("fit moons --set training.steps=many", "got 'many'"),
    ("fit moons --set training.learning_rate=nan", "finite"),
    ("fit moons --set training=3", "`training` is a section"),
    ("fit moons --set sampling=3", "`sampling` is a section"),
    ("fit moons --set process.options=3", "`process.options` is a section"),
    ("fit moons --set training.optimizer=sgd", "'adam', 'adamw' or 'muon'"),
    ("fit moons --set training.times=stratifid", "did you mean 'stratified'"),
    ("fit moons --set training.weighting=simpel", "did you mean 'simple'"),
    ("fit moons --set training.steps", "section.name=value"),
    ("fit moons --set =5", "section.name=value"),
    ("fit moons --set process.schedule=cosin", "did you mean 'cosine'"),
    ("fit moons --set process.schedule=scaled-linear", "process.num_levels=1000"),
    ("fit moons --set process.options.shfit=2", "did you mean 'shift'"),
    ("fit moons --set network.parameterisation=epsilon", "did you mean 'eps'"),
    ("fit moons --set network.name=vektor-mlp", "did you mean 'vector-mlp'"),
    ("fit moons --set sampling.sampler=dimm", "did you mean 'ddim'"),
    ("fit moons --set sampling.schedule=ve", "is for drawing from a fitted run"),
    ("fit moons --set sampling.grid=karas", "did you mean 'karras'"),
    ("fit moons --config none.toml", "cannot read the settings file none.toml"),
    ("fit moons --config taken", "cannot read the settings file taken"),
    ("fit moons --config bad.toml", "bad.toml is not TOML"),
    ("fit moons --config unknown.toml", "did you mean 'training.epochs'"),
    ("fit moons --config flat.toml", "`training` is a section"),
    ("fit --resume --out x --seed 3", "keeps its settings"),
    ("fit --resume --out x --config unknown.toml", "keeps its settings"),
    ("fit --resume --out RUN --set training.steps=40", "give more than 40 to train on"),
    ("fit --resume --out RUN --set training.steps=9", "give more than 40 to train on"),
    ("fit --resume --out RUN --set training.learning_rate=1e-3", "asks for no step more"),
    ("fit --resume --out RUN --set network.width=8", "network.width is not 8 in"),
    ("fit --resume --out RUN --set training.step=9", "did you mean 'training.steps'"),
    ("fit --resume --out RUN --from RUN", "leave --from out"),
    ("fit --from RUN", "what to fit to?"),
    ("fit moons --from RUN --set network.width=8", "network.width is 16 in"),
    ("fit moons --from RUN --set process.schedule=linear", "process.schedule is 'cosine' in"),
    ("fit circles --resume --out begun", "fitted to 'moons', not to 'circles'"),
    ("fit --resume", "sfumato fit --resume --out RUN"),
    ("sample RUN", "--to"),
    ("sample RUN -n -5 --to a.csv", "must not be negative"),
    ("sample RUN -n many --to a.csv", "an integer"),
    ("sample RUN -n 1.5 --to a.csv", "an integer"),
    ("sample RUN -n 5 --to a.xls", "must be one of .csv, .csv.gz, .tsv, .parquet, .npy"),
    ("sample RUN -n 5 --to a", "must be one of .csv, .csv.gz, .tsv, .parquet, .npy"),
    ("sample RUN -n 5 --to none/a.csv", "there is no folder none; make it first"),
    ("sample RUN -n 5 --to a.csv --steps 0", "got 0"),
    ("sample RUN -n 5 --to a.csv --steps few", "a number or `auto`"),
    ("sample RUN -n 5 --to a.csv --seed -1", "--seed"),
    ("sample RUN -n 5 --to a.csv --seed 9223372036854775808", "--seed"),
    ("sample RUN -n 1000000000000000000000 --to a.csv", "-n"),
    ("sample RUN -n 5 --to a.csv --steps 1000000000000000000000", "'sampling.steps'"),
    ("evaluate RUN -n 1000000000000000000000", "-n"),
    ("sample RUN -n 5 --to a.csv --sampler dimm", "did you mean 'ddim'"),
    ("sample RUN -n 5 --to a.csv --set sampling.schedule=linaer", "did you mean 'linear'"),
    ("sample RUN -n 5 --to a.csv --set sampling.grid=karas", "did you mean 'karras'"),
    ("sample RUN -n 5 --to a.csv --set sampling.gird=karras", "did you mean 'sampling.grid'"),
    ("sample RUN -n 5 --to a.csv --set sampling.options.eta=-1", "`eta`"),
    ("sample RUN -n 5 --to a.csv --set training.steps=5", "only settings under `sampling.`"),
    ("sample RUN -n 5 --to a.csv --set sampling=3", "`sampling` is a section"),
    ("sample RUN -n 5 --to a.csv --set sampling.options=3", "`sampling.options` is a section"),
    ("evaluate RUN -n 3", "at least 20"),
    ("evaluate RUN -n -1", "at least 20"),
    ("plot RUN los --to a.png", "did you mean 'loss'"),
    ("plot RUN loss --to a.jpg", "must be one of .png, .svg, .pdf"),
    ("plot RUN loss --to none/a.png", "there is no folder none"),
    ("animate RUN sideways --to a.gif", "'forward', 'reverse'"),
    ("animate RUN reverse --to a.webm", "must be one of .gif, .mp4"),
    ("animate RUN reverse --to none/a.gif", "there is no folder none"),
    ("datasets --to a.gif", "must be one of .png, .svg, .pdf"),
]

DATA = [
    ("fit none.csv", "there is no file none.csv"),
    ("fit taken/", "taken holds no picture that can be used"),
    ("fit points.xls", "must be one of .csv, .csv.gz, .tsv, .txt"),
    ("fit empty.csv", "empty.csv is empty"),
    ("fit header.csv", "no rows"),
    ("fit one.csv", "one.csv has 1 row of data; at least 3 rows"),
    ("fit two.csv", "two.csv has 2 rows of data; at least 3 rows"),
    ("fit broken.csv --set data.kind=points", "line 4, column 'a\\nb': "),
    ("fit ragged.csv", "ragged.csv, line 3"),
    ("fit text.csv --set data.kind=points", "text.csv, line 3, column 'b': 'four' is not a number"),
    (
        "fit nan.csv --set data.kind=points",
        "2 values are missing, NaN or infinite, the first in line 2, column 'b'",
    ),
    ("fit infinite.csv", "infinite.csv, line 4, column 'b': inf is infinite"),
    ("fit twice.csv", "'a' stands more than once"),
    ("fit semicolons.csv", "semicolons"),
    ("fit quote.csv", "quote.csv, line 3"),
    ("fit constant.csv", "constant.csv: among the rows to learn from, every column is constant"),
    ("fit cube.npy", "(3, 3, 3)"),
    ("fit words.npy", "words.npy has 1 row of data; at least 3 rows"),
    ("fit complex.npy", "complex.npy holds values of type complex128; numbers or text are needed"),
    ("fit pickle.npy", "never opened"),
    ("evaluate RUN --against none.csv", "there is no file none.csv"),
    ("evaluate RUN --against taken", "taken is a folder"),
    ("evaluate RUN --against points.xls", ".arff, .dta, .sav, .zsav, .npy, .npz.\n"),
    (
        "evaluate RUN --against two.csv",
        "two.csv lacks the columns a b, c, const; this run's are a b, c, const",
    ),
    ("evaluate RUN --against few.csv", "it has 30"),
    ("evaluate RUN --against vast.csv", "vast.csv: the column 'c' goes from 0 to 2e+200"),
    ("fit moons --from RUN", "its columns are a b, c, const; got x, y"),
    ("fit digits --from RUN", "is a model of points in space, and digits holds pictures"),
    ("fit vast.csv", "vast.csv: the column 'c' goes from 0 to 2e+200"),
    ("fit minute.csv", "minute.csv: the column 'a' goes from 0 to 9e-200"),
]

RUNS = [
    ("fit moons --out taken", "never overwritten"),
    ("fit moons --out RUN", "never overwritten"),
    ("fit moons --out points.xls", "already there"),
    ("fit moons --out points.xls/run", "cannot write to points.xls/run: "),
    ("fit --resume --out taken", "not a run folder"),
    ("fit --resume --out none --set training.steps=9", "not a run folder"),
    ("fit moons --from none", "there is no run folder or model file none"),
    ("fit moons --from taken", "taken is not a run folder"),
    ("fit moons --from two.csv", "two.csv is not a model"),
    ("fit RUN/../points.csv --from RUN --out RUN", "never overwritten"),
    ("fit --resume --out none", "none"),
    ("fit --resume --out spoiled", "the settings of spoiled are damaged"),
    ("fit --resume --out record", "manifest.json cannot be read"),
    ("sample none -n 5 --to a.csv", "no run folder or model file none"),
    ("sample begun -n 5 --to a.csv", "go on with `sfumato fit --resume --out begun`"),
    ("report begun", "go on with `sfumato fit --resume --out begun`"),
    ("sample taken -n 5 --to a.csv", "not a run folder"),
    ("sample two.csv -n 5 --to a.csv", "give a run folder or its model.safetensors"),
    ("info marred", "line 1 of marred/metrics.jsonl is damaged"),
    ("report marred", "line 1 of marred/metrics.jsonl is damaged"),
    ("plot marred loss --to a.png", "line 1 of marred/metrics.jsonl is damaged"),
    ("plot spoilt reverse --to a.png", "snapshots/step-0000040.npy is damaged; delete it"),
    ("sample short.safetensors -n 5 --to a.csv", "not a whole safetensors"),
    ("info nothing.safetensors", "not a whole safetensors"),
    ("info pickle.safetensors", "not a whole safetensors"),
    ("info flipped.safetensors", "SHA-256"),
    ("info foreign.safetensors", "not one that sfumato wrote"),
    ("evaluate none", "no run folder or model file none"),
    ("animate short.safetensors reverse --to a.gif", "not a whole safetensors"),
    ("plot MODEL loss --to a.png", "give the run folder"),
    ("report MODEL", "lone model file"),
]

MISTAKES = [
    (line, code, phrase)
    for code, table in ((2, ARGUMENTS), (3, DATA), (4, RUNS))
    for line, phrase in table
]


@pytest.mark.parametrize(("line", "code", "phrase"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_one_line_and_a_code(
    sfumato: Command, fitted: Path, faulty: Path, line: str, code: int, phrase: str
) -> None:
    line = line.replace("RUN", str(fitted))
    line = line.replace("MODEL", str(fitted / "model.safetensors"))
    before = {path: path.stat().st_mtime_ns for place in (faulty, fitted) for path in _all(place)}
    found, out, err = sfumato(line)
    assert phrase in _told(err)
    assert found == code
    assert out == ""
    after = {path: path.stat().st_mtime_ns for place in (faulty, fitted) for path in _all(place)}
    assert after == before  # nothing made, nothing lost, no pickle run


def _all(folder: Path) -> Iterator[Path]:
    """Every file, but for the lock of what is a run."""
    for path in folder.rglob("*"):
        is_lock = path.name == ".lock" and (path.parent / "config.toml").exists()
        if path.is_file() and not is_lock:
            yield path


def test_the_trap_is_a_trap(faulty: Path) -> None:
    pickle.loads((faulty / "pickle.npy").read_bytes())
    assert (faulty / "sprung").exists()


def test_a_flipped_bit_anywhere_in_the_header_is_told(
    sfumato: Command, fitted: Path, tmp_path: Path
) -> None:
    model = (fitted / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(model[:8], "little")
    for place in [*range(9), *np.linspace(9, header - 1, 40).astype(int)]:
        (tmp_path / "m.safetensors").write_bytes(_flipped(model, place))
        code, out, err = sfumato("sample m.safetensors -n 1 --to a.csv")
        assert (code, out) == (4, ""), place
        assert "m.safetensors" in _told(err)
        assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "sample run --to a.csv --seed -1",
            "`--seed` must be at least 0; got -1. Try `sfumato sam",
        ),
        (
            "score run a.csv --tol 5",
            "`--tol` must be at most 1; got 5. Try `sfumato score --help`.",
        ),
        ("sample run --to a.csv -n few", "`-n` must be an integer; got 'few'. Try"),
        ("sample run --to a.csv --guidance x", "`--guidance` must be a number; got 'x'. Try"),
        ("interpolate run 1.5 3 --to a.csv", "`FIRST` must be an integer; got '1.5'. Try"),
        ("export run d --to foo", "`--to` must be one of 'diffusers', 'onnx'; got 'foo'. Try"),
        ("compare samplers", "Missing argument 'RUN'. Try `sfumato compare samplers --help`."),
        ("sampel", "No such command 'sampel'. Did you mean 'sample'? Try `sfumato --help`."),
    ],
)
def test_an_option_that_is_wrong_is_a_sentence(sfumato: Command, line: str, said: str) -> None:
    code, out, err = sfumato(line)
    assert (code, out) == (2, "")
    assert _told(err).startswith(f"sfumato: {said}")


def test_steps_of_a_table_are_bounded_by_its_levels(sfumato: Command) -> None:
    table = "--set process.num_levels=20 --set sampling.grid=trailing --set data.rows=100"
    assert sfumato(f"fit moons --out run --quiet {TINY} {table}")[0] == 0
    for steps in (0, 21):
        code, _, err = sfumato(f"sample run -n 1 --to a.csv --steps {steps}")
        assert code == 2
        assert f"got {steps}" in _told(err)
    assert sfumato("sample run -n 1 --to a.csv --steps 20")[0] == 0


@contextmanager
def _held_by_another_process(lock: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK_HOLDER, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate(timeout=30)


def test_a_folder_in_use_by_another_process_is_told(sfumato: Command, faulty: Path) -> None:
    with _held_by_another_process(faulty / "begun" / ".lock"):
        code, _, err = sfumato("fit --resume --out begun --quiet")
        assert code == 4
        assert "begun is in use by another process" in _told(err)


@pytest.mark.skipif(os.name == "nt" or not os.geteuid(), reason="root may write anywhere")
@pytest.mark.parametrize(
    ("line", "code"), [("fit moons --out closed", 4), ("sample RUN -n 1 --to closed/a.csv", 2)]
)
def test_a_folder_that_cannot_be_written_is_told(
    sfumato: Command, fitted: Path, tmp_path: Path, line: str, code: int
) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    found, _, err = sfumato(line.replace("RUN", str(fitted)))
    assert found == code
    assert "closed" in _told(err)


@pytest.mark.parametrize(
    ("missing", "line", "extra"),
    [
        ("pyarrow", "sample RUN -n 1 --to a.parquet", "sfumato[tables]"),
        ("pyarrow", "fit a.parquet", "sfumato[tables]"),
        ("av", "animate RUN reverse --to a.mp4", "sfumato[video]"),
    ],
)
def test_a_missing_extra_is_named(
    sfumato: Command,
    fitted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    line: str,
    extra: str,
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, err = sfumato(line.replace("RUN", str(fitted)))
    assert code == 5
    assert f"install {extra}" in _told(err)


def test_a_full_disk_is_one_line_and_loses_nothing(
    sfumato: Command, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "new.csv").write_text("precious")
    monkeypatch.setattr(os, "fsync", full)
    code, _, err = sfumato(f"sample {fitted} -n 5 --to new.csv")
    assert code == 5
    assert err == "sfumato: new.csv: No space left on device; what was there before is whole.\n"
    assert (tmp_path / "new.csv").read_text() == "precious"


def _numpy_fails() -> None:
    np.empty(2**55, dtype=np.uint8)


def _torch_fails() -> None:
    torch.empty(2**55, dtype=torch.uint8)


@pytest.mark.parametrize("fails", [_numpy_fails, _torch_fails])
def test_too_little_memory_is_one_line(
    sfumato: Command, monkeypatch: pytest.MonkeyPatch, fails: Callable[[], None]
) -> None:
    monkeypatch.setattr("sfumato.runs.fit.prepare", lambda *_, **__: fails())
    code, _, err = sfumato("fit moons --out run")
    assert code == 5
    assert "not enough memory" in _told(err)


def test_a_fault_of_the_program_is_not_taken_for_a_lack_of_memory(
    sfumato: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("sfumato.runs.fit.prepare", fails)
    with pytest.raises(RuntimeError, match="a fault"):
        sfumato("fit moons --out run")


@pytest.mark.filterwarnings("default::sfumato.errors.RenamedWarning")
def test_an_old_name_of_a_setting_is_one_line_on_stderr(sfumato: Command) -> None:
    code, out, err = sfumato("fit moons --show-settings --set network.target=eps")
    assert code == 0
    assert 'parameterisation = "eps"' in out
    assert err == "sfumato: the setting 'network.target' is now 'network.parameterisation'.\n"
